package doctor

import (
	"slices"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/lastfault"
)

// tableOf is an fstab of one good line, one of the same account that names no identity, and one of another account that
// cannot be mounted either.
const tableOf = fstabHead + "_netdev,identity=system\n" +
	"//" + acct + "/y /mnt/y azfiles _netdev,identity=sytem,cruid=4242\n" +
	"//" + otherAcct + "/z /mnt/z azfiles password=x\n"

// TestMountPointNamed: who names a mount point asks about that share. What is wrong with other lines of the account is
// a warning, and skips nothing; lines of other accounts do not appear.
func TestMountPointNamed(t *testing.T) {
	files := healthyFiles()
	files["etc/fstab"], files["proc/1/mountinfo"] = tableOf, ""
	m := start(t, files, azurefake.Options{}, running())
	m.opts.IMDS, m.opts.Endpoint = broken{}, "/mnt/share"
	r := examined(t, m.opts)
	checked(t, r, "imds", Problem)
	checked(t, r, "fstab", Warning)
	checked(t, r, "user-uid", Warning)
	if f := checked(t, r, "identity-choice", Warning); !strings.Contains(strings.Join(f.Evidence, "\n"), "/etc/fstab:3: ") {
		t.Errorf("%+v", f)
	}
	if r.First.ID != "imds" || r.Problems != 1 {
		t.Errorf("first %s of %d problems in\n%s", r.First.ID, r.Problems, text(r))
	}
	if said := text(r); strings.Contains(said, "fstab:4") || strings.Contains(said, otherAcct) {
		t.Error(said)
	}

	m.opts.Endpoint = "/mnt/y/"
	r = examined(t, m.opts)
	checked(t, r, "identity-choice", Problem)
	checked(t, r, "user-uid", Problem)
	checked(t, r, "imds", Skipped)

	m.opts.Endpoint = acct
	r = examined(t, m.opts)
	if said := text(r); r.Exit != Failing || strings.Contains(said, "fstab:4") {
		t.Error(said)
	}
}

// TestMountPointNamedLast: what its last mount failed with is told of a line of fstab too, and nothing of other places.
func TestMountPointNamedLast(t *testing.T) {
	files := healthyFiles()
	files["proc/1/mountinfo"] = ""
	h := machine(build(t, files))
	for _, target := range []string{"/mnt/share", "/mnt/x"} {
		a := lastfault.Attempt{Source: "//" + acct + "/share", Target: target, Options: "identity=arc"}
		must(t, lastfault.SaveAttempt(h, a, fault.ArcUnreachable.New()))
	}
	r := examined(t, Options{Host: h, Endpoint: "/mnt/share", Offline: true})
	f := checked(t, r, "last-mount", Warning)
	if len(f.Evidence) != 1 || !strings.HasPrefix(f.Evidence[0], "//"+acct+"/share on /mnt/share with the options") || f.Fault != fault.ArcUnreachable.ID {
		t.Errorf("%+v", f)
	}
	if f := checked(t, r, "identity-choice", OK); !slices.Equal(f.Evidence, []string{"/etc/fstab:3: system"}) {
		t.Errorf("%+v", f)
	}
}

// TestFailedMountIsNoUse: trying one identity after another leaves no collision behind.
func TestFailedMountIsNoUse(t *testing.T) {
	files := healthyFiles()
	files["proc/1/mountinfo"] = ""
	files["etc/request-key.d/x.conf"] = "create cifs.spnego * * /usr/sbin/cifs.upcall %k\n"
	h := machine(build(t, files))
	for target, options := range map[string]string{"/mnt/x": "identity=arc", "/mnt/x2": "client_id=" + oneClient} {
		a := lastfault.Attempt{Source: "//" + acct + "/share", Target: target, Options: options}
		must(t, lastfault.SaveAttempt(h, a, fault.ArcUnreachable.New()))
	}
	for _, named := range []string{"", acct, "/mnt/share", "/mnt/x"} {
		r := examined(t, Options{Host: h, Endpoint: named, Offline: true})
		checked(t, r, "identity-collisions", OK)
		checked(t, r, "identity-choice", OK)
	}
}

// TestCollisionAside: another line of the account is a problem of the share that was asked for when it is mounted.
func TestCollisionAside(t *testing.T) {
	files := healthyFiles()
	files["etc/request-key.d/x.conf"] = "create cifs.spnego * * /usr/sbin/cifs.upcall %k\n"
	files["etc/fstab"] = fstabHead + "_netdev,identity=system\n//" + acct + "/two /two azfiles _netdev,client_id=" + oneClient + "\n"
	for mounted, want := range map[string]Status{"": Warning, mountLine(acct, "/two", "cruid=0,username="+oneClient): Problem} {
		files["proc/1/mountinfo"] = mounted
		f := checked(t, examined(t, Options{Host: machine(build(t, files)), Endpoint: "/mnt/share", Offline: true}), "identity-collisions", want)
		if f.Fault != fault.IdentityConflict.ID {
			t.Errorf("%+v", f)
		}
	}
}

// examined makes every check that looks at accounts, lines and mounts.
func examined(t *testing.T, o Options) Report {
	t.Helper()
	s, err := New(o)
	must(t, err)
	return Run(t.Context(), s, append(azureChecks(), checkOf("user-uid"), checkOf("last-mount")))
}
