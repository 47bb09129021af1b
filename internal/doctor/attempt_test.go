package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/lastfault"
)

// TestMountThatFailed: a mount by hand, which left no line of fstab, is what a person means by its mount point, its
// account or nothing at all.
func TestMountThatFailed(t *testing.T) {
	root := hostTree(t)
	must(t, os.MkdirAll(filepath.Join(root, "run"), 0o755))
	h := machine(root)
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	h.Now = func() time.Time { return now.Add(-40 * time.Second) }
	const client = "11111111-2222-4333-8444-555555555555"
	a := lastfault.Attempt{Source: "//gone.file.core.windows.net/share", Target: "/mnt/gone", Options: "client_id=" + client}
	must(t, lastfault.SaveAttempt(h, a, fault.ShareNotFound.New("share", "gone.file.core.windows.net", "gone")))
	h.Now = func() time.Time { return now }
	for _, named := range []string{"/mnt/gone", "/mnt/gone/", "gone", "//gone.file.core.windows.net/share", ""} {
		s, err := New(Options{Host: h, Endpoint: named, Offline: true})
		must(t, err)
		r := Run(t.Context(), s, []Check{checkOf("identity-choice"), checkOf("last-mount")})
		f := checked(t, r, "last-mount", Warning)
		if said := strings.Join(f.Evidence, " "); !strings.Contains(said, `//gone.file.core.windows.net/share on /mnt/gone with the options "client_id=`+client+`", 40 s ago: AZF-SHARE-NOT-FOUND: `) ||
			f.Fault != fault.ShareNotFound.ID || !strings.Contains(f.Fix, "--storage-account gone") {
			t.Errorf("%q: %s; %s", named, said, f.Fix)
		}
		if f := checked(t, r, "identity-choice", OK); f.Endpoint != "gone.file.core.windows.net" || !strings.Contains(f.Evidence[0], client) {
			t.Errorf("%q: %+v", named, f)
		}
	}
	h.Now = func() time.Time { return now.Add(2 * time.Hour) }
	s, err := New(Options{Host: h, Offline: true})
	must(t, err)
	checked(t, Run(t.Context(), s, []Check{checkOf("last-mount")}), "last-mount", OK)
	if len(s.Targets) != 0 {
		t.Errorf("%+v", s.Targets)
	}
	lastfault.ClearAttempt(h, "/mnt/gone")
	if _, err := New(Options{Host: h, Endpoint: "/mnt/gone"}); !fault.Is(err, fault.HostUnknown) {
		t.Error(err)
	}
}

// TestNoEndpoint: on a machine that has mounted nothing yet, who would log in is tried all the same.
func TestNoEndpoint(t *testing.T) {
	files := healthyFiles()
	files["etc/fstab"], files["proc/1/mountinfo"] = "", ""
	files["etc/azfilesauth/config.yaml"] = "USER_UID: 0\n"
	m := start(t, files, azurefake.Options{}, running())
	r := reported(t, m.opts)
	if len(r.Endpoints) != 0 || checked(t, r, "imds", OK).Endpoint != "" || !strings.Contains(checked(t, r, "identity", OK).Evidence[0], "system: token for https://storage.azure.com") {
		t.Error(text(r))
	}
	m.opts.IMDS = broken{}
	r = reported(t, m.opts)
	checked(t, r, "imds", Problem)
	if f := checked(t, r, "identity", Skipped); f.Evidence[0] != "because of imds" {
		t.Errorf("%+v", f)
	}
}
