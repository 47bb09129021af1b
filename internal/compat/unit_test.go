package compat

import (
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

// TestFailureIsBounded shows what goes first when a line is too long: what was used, then the cause,
// and the end of the fix at last.
func TestFailureIsBounded(t *testing.T) {
	s := &session{Tool: &Tool{Host: host.Host{Config: "/etc/config"}}, ccache: "/tmp/" + strings.Repeat("c", 200)}
	cause := errors.New(strings.Repeat("because ", 30))
	for _, c := range []struct {
		storageHost        int
		used, cause, fixed bool
	}{{10, true, true, true}, {100, false, true, true}, {190, false, false, true}, {2000, false, false, false}} {
		f := fault.DNSFailed.New(strings.Repeat("hh", c.storageHost)).Because(cause)
		line := s.failure(f)
		if len(line) > maxLine || !utf8.ValidString(line) {
			t.Errorf("%d bytes: %s", len(line), line)
		}
		used, why, fixed := strings.Contains(line, "; used: "), strings.Contains(line, "because"), strings.Contains(line, "to this network")
		if used != c.used || why != c.cause || fixed != c.fixed {
			t.Errorf("%d: used %v, cause %v, fix %v: %s", c.storageHost, used, why, fixed, line)
		}
	}
	if line := fault.Shorten(strings.Repeat("ä", maxLine), maxLine); len(line) > maxLine || !strings.HasSuffix(line, "...") || !utf8.ValidString(line) {
		t.Error(line)
	}
}

// TestFixesSpeakOfThisProgram holds that no fix sends people to another program's options.
func TestFixesSpeakOfThisProgram(t *testing.T) {
	for _, f := range []*fault.Fault{
		fault.Usage.New("p", program), fault.NotRoot.New(program), fault.HostUnknown.New(storageHost, "p"), fault.ConfigInvalid.New("f", "p"),
		fault.IdentityInvalid.New("p", "r"), fault.IdentityConflict.New(storageHost, "a", "b"), fault.TicketUnknown.New(storageHost, "/cc"),
		fault.EndpointTimeout.New(storageHost), fault.Timeout.New(), fault.CCacheDamaged.New("/cc", "p"), fault.TokenRefused.New(storageHost),
	} {
		text := fix(f)
		for _, word := range []string{"azfiles_timeout", "identity=", "mount -t", "cruid=", "azfilesauth list"} {
			if strings.Contains(text, word) && !(word == "cruid=" && f.ID() == fault.IdentityConflict.ID) { // it is the mounts that matter
				t.Errorf("%s: %s", f.ID(), text)
			}
		}
	}
}

// provision is config.Provision on a machine with the password file and the programs of m.
func (m *machine) provision(c *config.Config) (*config.Config, error) {
	h := m.tool.Host
	h.Config, h.Passwd, h.Programs = c.Path, m.in("passwd"), []string{m.dir}
	return config.Provision(h, c)
}

// TestProvision has the user made whose cache it is when the configuration names none, by set alone.
func TestProvision(t *testing.T) {
	m := newMachine(t)
	// The tickets look the uid up in the machine's own password file.
	m.write("useradd", "#!/bin/sh\necho azfilesuser:x:65534:65534::/nonexistent:/usr/sbin/nologin >>"+m.in("passwd")+"\n")
	must(t, os.Chmod(m.in("useradd"), 0o700))
	m.write("passwd", "root:x:0:0:root:/root:/bin/sh\n")
	m.tool.Provision = m.provision
	m.works("list")
	m.run("clear", uri)
	if b, _ := os.ReadFile(m.in("passwd")); strings.Contains(string(b), config.SystemUser) {
		t.Error("list or clear made a user")
	}
	m.works("set", uri, m.token)
	var st syscall.Stat_t
	must(t, syscall.Stat(m.ccache, &st))
	if who := ccache.Loose(m.tool.Host, m.ccache, 65534); int(st.Uid) != os.Geteuid() || who != "" {
		t.Errorf("the cache belongs to %d:%d", st.Uid, st.Gid)
	}
	must(t, os.Remove(m.in("config.yaml")))
	m.fails(fault.HostUnknown, "set", "https://evil.example", m.token)
	m.fails(fault.TokenFile, "set", uri, "--token-file", m.in("no-such-file"))
	if _, err := os.Stat(m.in("config.yaml")); err == nil {
		t.Error("a mistake on the command line made a configuration")
	}
	m.works("list")
	t.Cleanup(func() { _ = os.Remove("/tmp/krb5cc_65534") }) // where the cache is when no configuration says so
	m.works("set", uri, m.token)
	info, err := os.Stat(m.in("config.yaml"))
	must(t, err)
	if b, err := os.ReadFile(m.in("config.yaml")); err != nil || info.Mode().Perm() != 0o600 || !strings.Contains(string(b), "\nUSER_UID: 65534\n") {
		t.Errorf("the new configuration: %v %v %s", err, info.Mode(), b)
	}
}

// TestArc: in a container, the variables of the machine's Arc agent, or a switch, say that the identity is the agent's.
func TestArc(t *testing.T) {
	const agent, virtual = "http://localhost:40342/metadata/identity/oauth2/token", "http://169.254.169.254/metadata/identity/oauth2/token"
	m := newMachine(t)
	arcs := map[string]string{"IDENTITY_ENDPOINT": agent, "IMDS_ENDPOINT": "http://localhost:40342"}
	m.tool.Environment = arcs
	// Nobody listens at the agent's place; that it was asked is what counts, and IMDS was not.
	m.hurry()
	m.fails(fault.ArcUnreachable, "set", uri, "--system")
	m.fails(fault.ArcSystemOnly, "set", uri, "--imds-client-id", clientID)
	m.fails(fault.ArcSystemOnly, "set", uri, "--imds-object-id", "b0000000-0000-4000-8000-0000000000ff", "--identity-endpoint", agent)
	m.idle()
	set := func(args ...string) {
		t.Helper()
		m.run("clear", uri)
		m.works(args...)
	}
	set("set", uri, m.token)
	set(m.workload("volume")...)
	set("set", uri, "--system", "--identity-endpoint", virtual, "--refresh")
	set("set", uri, "--system", "--identity-endpoint", strings.Replace(virtual, "/metadata", ":80/metadata", 1))
	m.tool.Environment = nil
	m.fails(fault.ArcUnreachable, "set", uri, "--system", "--identity-endpoint="+agent)
	m.fails(fault.Usage, "set", uri, "--system", "--identity-endpoint", "http://10.0.0.4/token")
	m.fails(fault.Usage, "set", uri, m.token, "--identity-endpoint", agent)
	m.fails(fault.Usage, "list", "--refresh")
	m.tool.Environment = map[string]string{"IDENTITY_ENDPOINT": "http://10.0.0.4:40342/token", "IMDS_ENDPOINT": "http://10.0.0.4:40342"}
	set("set", uri, "--system")
	set("set", uri, "--imds-client-id", clientID)
}

// FuzzArgs holds, for any command line, that whatever may be a token is wiped and that no error
// repeats it.
func FuzzArgs(f *testing.F) {
	for _, s := range []string{
		"set\n" + uri + "\ntoken-of-somebody", "set\n" + uri + "\n-\n-v", "set\n" + uri + "\n--system=token-of-somebody",
		"--json\nlist", "clear\n" + uri, "token-of-somebody\nset\n--imds-client-id\n--tenant-id\nx", "set\n" + uri + "\n--token-file\n/a\n--token-file=/b", "\n\n",
	} {
		f.Add(s)
	}
	known := []string{"", "-", "-v", "-h", cmdSet, cmdClear, cmdList, "--help", "--version", "--verbose", "--force", "--json", "--system", "--workload-identity"}
	f.Fuzz(func(t *testing.T, text string) {
		args := strings.Split(text, "\n")
		inv, err := parseArgs(args)
		if err != nil && !fault.Is(err, fault.Usage) {
			t.Fatal(err)
		}
		for _, word := range inv.hidden { // a short one may be the name of a switch, which is repeated
			if len(word) > 30 && err != nil && strings.Contains(err.Error(), word) {
				t.Fatalf("%q is in %v", word, err)
			}
		}
		// Every word is known, a URI, a value, or wiped.
		for n, arg := range args {
			name, _, _ := strings.Cut(arg, "=")
			value := n > 0 && slices.Contains(valued[:], args[n-1])
			switch {
			case slices.Contains(known, arg), slices.Contains(valued[:], name), value, strings.Contains(arg, "://"),
				slices.Contains(inv.hidden, arg), inv.help || inv.version:
			default:
				t.Fatalf("%q is neither known nor wiped in %q", arg, args)
			}
		}
		if err == nil && inv.command == cmdSet && !inv.help && !inv.version {
			if w := inv.way(); !w.chosen || inv.uri == "" && !slices.Contains(args, "") {
				t.Fatalf("%q is accepted as %+v", args, inv)
			}
		}
	})
}
