package compat

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/log"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/requestkey"
	"github.com/azfilesauth/azfilesauth/internal/secret"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
	"github.com/azfilesauth/azfilesauth/watcher"
)

// successorRows are what an installation notices that changes from the one to the other.
func successorRows() []peerRow {
	return []peerRow{
		{"row_ticket_without_record", "a mount with `username=root`, whose ticket has no record", "renewed as the machine", func(m *machine) string {
			cred := fixed(storageHost, "AzureFileClient")
			cred.EndTime = time.Now().Add(time.Minute)
			m.stored(cred)
			m.mounted("root")
			cfg := m.config()
			live, err := mounts.ListFrom(m.tool.Host.Mounts, cfg.Resolver)
			must(m.T, err)
			l := tickets.Login{Endpoint: live[0].Endpoint, CRUID: cfg.CredentialUID, Username: live[0].Username}
			if got, ok := tickets.Unexpired(m.tool.Host, cfg, l); !ok || !got.EndTime.Equal(cred.EndTime.Truncate(time.Second)) {
				m.Errorf("%+v", got)
			}
			if hosts := tickets.LeftToTheMachine(cfg, live, nil); !slices.Equal(hosts, []string{storageHost}) {
				m.Error(hosts)
			}
			m.configure("default_identity: system")
			if hosts := tickets.LeftToTheMachine(m.config(), live, nil); len(hosts) != 0 {
				m.Error(hosts)
			}
			return "answers the kernel until it expires; renewed as the machine, which an upgrade writes into `config.d/50-upgrade.yaml`"
		}},
		{"row_removed", "Kerberos mounts of other servers when the package is removed", "continue", func(m *machine) string {
			m.etcFiles("put")
			equalText(m, m.asks(), "/usr/sbin/azfiles.upcall")
			m.etcFiles("take")
			equalText(m, m.asks(), "/usr/sbin/cifs.upcall")
			m.etcFiles("put")
			equalText(m, m.asks(), "/usr/sbin/azfiles.upcall")
			return "continue: our rule comes after its program and goes before it, at removal, purge and downgrade"
		}},
		{"row_gone_back", "the old package, installed over the new one", "its unit starts", func(m *machine) string {
			const wanted, unit = "etc/systemd/system/multi-user.target.wants/azfilesrefresh.service", "/usr/lib/systemd/system/azfilesrefresh.service"
			m.etcFiles("put")
			must(m.T, os.MkdirAll(filepath.Dir(m.in(wanted)), 0o755))
			must(m.T, os.Symlink(unit, m.in(wanted)))
			m.etcFiles("back")
			if target, err := os.Readlink(m.in(wanted)); err != nil || !strings.HasSuffix(target, "/etc/systemd/system/azfilesrefresh.service") {
				m.Errorf("what starts at boot: %s, %v", target, err)
			}
			equalText(m, m.asks(), "/usr/sbin/cifs.upcall")
			return "finds its unit, enabled, and no rule of ours"
		}},
		{"row_log_form", "a line of `azfilesrefresh.log`", "`2026-11-27 00:42:40,742 [INFO] Ticket for ... refreshed`, 0644", func(m *machine) string {
			path := m.in("azfilesrefresh.log")
			d := log.Dropin(m.tool.Host, path, os.NewFile(0, ""), log.Settings{}, false)
			d.Info("Ticket for " + storageHost + " refreshed")
			d.Flush(time.Minute)
			text, err := os.ReadFile(path)
			must(m.T, err)
			if !regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \[INFO\] Ticket for acct\.file\.core\.windows\.net refreshed\n$`).Match(text) {
				m.Errorf("%q", text)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
				m.Error(info, err)
			}
			return "the same; ours adds words at its end"
		}},
		{"row_refresh_before", "`AZFILES_REFRESH_BEFORE_EXPIRY_SECONDS=86400`", "a refresh at each look", func(m *machine) string {
			now := time.Now()
			key := watcher.Key{Host: storageHost}
			e, err := endpoint.Resolver{}.Resolve(storageHost)
			must(m.T, err)
			plan := watcher.Plan(now, map[watcher.Key][]mounts.Mount{key: {{Endpoint: e, Username: "root"}}},
				map[watcher.Key]watcher.Ticket{key: {Key: key, Name: e.SPN(), Start: now, End: now.Add(10 * time.Hour), Obtained: now, Identity: "system", Refreshable: true, Trusted: true}},
				map[watcher.Key]watcher.Attempt{key: {At: now.Add(-time.Minute), Success: now.Add(-time.Minute)}},
				watcher.Policy{Refresh: m.config().Refresh, Before: 24 * time.Hour, Pace: 5 * time.Second})
			if len(plan) != 1 || plan[0].State == control.Fresh || plan[0].When.After(now) {
				m.Errorf("%+v", plan)
			}
			return "the same, at the pace of `AZFILES_REFRESH_SLEEP_SECONDS`"
		}},
		{"row_token_cache", "a token of an identity whose rights or endpoint have changed", "asked for at each `set`", tokensFollowWhatChanges},
		{"row_local", "`USER_UID: local` with `KRB5_CC_NAME`", "newer versions: `/tmp/krb5cc_<uid>` of each user", func(m *machine) string {
			m.configure("USER_UID: local")
			if cfg := m.config(); cfg.CCacheName(4242) != "/tmp/krb5cc_4242" {
				m.Error(cfg.CCacheName(4242))
			}
			return "the same, and users without an entry in `/etc/passwd` have one"
		}},
		{"row_proxy", "`HTTPS_PROXY` in the environment of `set`", "used, also for IMDS; the daemon does not know it", func(m *machine) string {
			m.tool.Environment = map[string]string{"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": ".windows.net"}
			m.works("set", uri, "--system")
			if rec, _ := m.cache().Record("cifs/" + storageHost); rec.Proxy != "http://proxy.example:3128" || rec.NoProxy != ".windows.net" {
				m.Errorf("%+v", rec)
			}
			return "used for Entra and the account, and kept beside the ticket for daemon and upcall"
		}},
		{"row_tuning", "a bad `CURL_TOTAL_TIMEOUT`, an empty `KRB5_CC_NAME`, an indented or space-less line", "the default; read", func(m *machine) string {
			m.write("config.yaml", "CURL_TOTAL_TIMEOUT: soon\nLOG_DESTINATION: moon\nKRB5_CC_NAME:\n  USER_UID:0\n")
			cfg := m.config()
			if cfg.CredentialUID != 0 || !cfg.Sets("USER_UID") || cfg.CCacheName(0) != "/tmp/krb5cc_0" || cfg.TotalTimeout != config.Defaults(m.tool.Host).TotalTimeout || len(cfg.Warnings) < 3 {
				m.Errorf("%+v", cfg)
			}
			return "the default, with a warning; read. `azfilesauth config check` is strict"
		}},
		{"row_arc", "Azure Arc's `IDENTITY_ENDPOINT` in the environment of `set`", "not asked; IMDS is", func(m *machine) string {
			m.tool.Environment = map[string]string{"IDENTITY_ENDPOINT": "http://localhost:40342/metadata/identity/oauth2/token"}
			defer m.idle()
			return "the agent is asked, and the record says so. `--imds-client-id` there is " + m.fails(fault.ArcSystemOnly, "set", uri, "--imds-client-id", clientID)
		}},
		{"row_header", "programs in C and in C++ written for `azfilesauth.h`", "compile", func(m *machine) string {
			for _, name := range []string{"azfilesauth.h", "azfilesauthversion.h"} {
				text, err := os.ReadFile("../clib/" + name)
				must(m.T, err)
				m.write(name, strings.ReplaceAll(string(text), "@VERSION@", "2.0.0"))
			}
			for compiler, source := range map[string]string{"g++": "older.cpp", "gcc": "older.c"} {
				if out, err := exec.Command(compiler, "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I"+m.dir, "../clib/testdata/"+source).CombinedOutput(); err != nil {
					m.Errorf("%v: %s", err, out)
				}
			}
			return "compile, and find `libazfilesauth.so.0.0.0`"
		}},
		{"row_provision", "tickets for lines of fstab when the machine starts", "newer versions: before the daemon, and the boot waits", func(m *machine) string {
			unit, err := os.ReadFile("../../etc/systemd/azfilesrefresh-provision.service")
			must(m.T, err)
			daemon, err := os.ReadFile("../../etc/systemd/azfilesrefresh.service")
			must(m.T, err)
			for _, line := range []string{"\nAfter=azfilesrefresh.service network-online.target\n", "\nExecStart=/usr/bin/azfilesrefresh --provision\n"} {
				if !strings.Contains(string(unit), line) || strings.Contains(string(unit), "Before=") {
					m.Errorf("%q: %s", line, unit)
				}
			}
			if !strings.Contains(string(daemon), "\nWants=azfilesrefresh-provision.service\n") {
				m.Error(string(daemon))
			}
			return "after the daemon is up, in a unit that nothing waits for"
		}},
		{"row_clouds", "`*.file.storage.azure.net`, and the air-gapped clouds", "as the caller names the authority", func(m *machine) string {
			for host, authority := range map[string]string{
				"acct.file.storage.azure.net":             "https://login.microsoftonline.com",
				"acct.file.core.eaglex.ic.gov":            "https://login.microsoftonline.eaglex.ic.gov",
				"acct.file.core.microsoft.scloud":         "https://login.microsoftonline.microsoft.scloud",
				"acct.file.core.usgovcloudapi.net":        "https://login.microsoftonline.us",
				"acct.z12.file.storage.azure.net":         "https://login.microsoftonline.com",
				"acct.privatelink.file.storage.azure.net": "https://login.microsoftonline.com",
			} {
				if e, err := (endpoint.Resolver{}).Resolve(host); err != nil || e.Cloud().Authority != authority {
					m.Errorf("%s: %+v, %v", host, e, err)
				}
			}
			return "each by its own authority"
		}},
		{"row_layers", "a tool that empties `config.yaml`", "moves the tickets to the default cache", func(m *machine) string {
			write := func(name, text string) {
				must(m.T, os.MkdirAll(filepath.Dir(m.in(name)), 0o755))
				m.write(name, text)
			}
			layer, err := os.ReadFile("../../etc/config.d/10-azfilesauth.yaml")
			must(m.T, err)
			write(config.ShippedPath, string(layer))
			write(config.DefaultPath, "")
			m.tool.Host.Config, m.tool.Host.Passwd = m.in(config.DefaultPath), m.in("passwd")
			if cfg := m.config(); cfg.CCacheName(cfg.CredentialUID) != "/run/azfilesauth/krb5cc_0" || !slices.Equal(cfg.Files, []string{m.in(config.ShippedPath), m.in(config.DefaultPath)}) {
				m.Errorf("%s of %q", cfg.CCacheName(cfg.CredentialUID), cfg.Files)
			}
			write("etc/azfilesauth/config.d/90-local.yaml", "KRB5_CC_NAME: /srv/cc\n")
			if cfg := m.config(); cfg.CCacheName(cfg.CredentialUID) != "/srv/cc" {
				m.Error(cfg.CCacheName(cfg.CredentialUID))
			}
			return "moves nothing: the packages' layer is below it, the administrator's `config.d` above; `azfilesauth config show` names the file of each value"
		}},
	}
}

// config is the machine's configuration now.
func (m *machine) config() *config.Config {
	m.Helper()
	cfg, err := config.Read(m.tool.Host)
	must(m.T, err)
	return cfg
}

func equalText(m *machine, got, want string) {
	m.Helper()
	if got != want {
		m.Errorf("got %q, want %q", got, want)
	}
}

// etcFiles runs what the packages' scripts run, on a machine below m.dir.
func (m *machine) etcFiles(what string) {
	m.Helper()
	script, err := os.ReadFile("../../packaging/etc-files")
	must(m.T, err)
	rule, err := os.ReadFile("../../etc/request-key.d/azfiles.conf")
	must(m.T, err)
	for name, text := range map[string]string{
		"usr/share/azfilesauth/etc/request-key.d/azfiles.conf": string(rule),
		"etc/request-key.d/cifs.spnego.conf":                   "create cifs.spnego * * /usr/sbin/cifs.upcall %k\n",
		"etc/request-key.conf":                                 "",
	} {
		must(m.T, os.MkdirAll(filepath.Dir(m.in(name)), 0o755))
		m.write(name, text)
	}
	text := string(script)
	for _, below := range []string{"/etc/", "/usr/share/", "/var/lib/"} {
		text = regexp.MustCompile(`(^|[="' ])`+below).ReplaceAllString(text, "${1}"+m.dir+below)
	}
	text = strings.ReplaceAll(text, m.dir+"/etc/systemd/system/$unit $wanted", "/etc/systemd/system/$unit $wanted")
	m.write("etc-files", text)
	if out, err := exec.Command("sh", m.in("etc-files"), what, "dpkg-old").CombinedOutput(); err != nil {
		m.Fatalf("%v: %s", err, out)
	}
}

// asks gives the program that the kernel asks for a login at a server of somebody else.
func (m *machine) asks() string {
	m.Helper()
	files := requestkey.Files{Directory: m.in("etc/request-key.d"), Last: m.in("etc/request-key.conf")}
	won, err := files.Winner(requestkey.Request{
		Op: "create", Type: "cifs.spnego",
		Description: "ver=0x2;host=nas.example.org;ip4=192.0.2.7;sec=krb5;uid=0x0;creduid=0x0;user=root;pid=0x2a",
	}, nil)
	must(m.T, err)
	name, _, _, err := won.Argv(requestkey.Macros{})
	must(m.T, err)
	return name
}

// memory is a keyring in this process.
type memory struct {
	sync.Mutex
	entries map[string]secret.Value
}

func (r *memory) Get(name string) (secret.Value, error) {
	r.Lock()
	defer r.Unlock()
	v, ok := r.entries[name]
	if !ok {
		return v, keyring.ErrNotFound
	}
	return v, nil
}

func (r *memory) Set(name string, v secret.Value, _ time.Duration) error {
	r.Lock()
	defer r.Unlock()
	r.entries[name] = v
	return nil
}

func (r *memory) Remove(name string) error {
	r.Lock()
	defer r.Unlock()
	delete(r.entries, name)
	return nil
}

// tokensFollowWhatChanges keeps tokens, as the machine's keyring does.
func tokensFollowWhatChanges(m *machine) string {
	ring := &memory{entries: map[string]secret.Value{}}
	m.tool.OpenRing = func() (keyring.Ring, error) { return ring, nil }
	tokens := func(want int, what string) {
		m.Helper()
		n := 0
		for _, r := range m.fake.Requests() {
			if r.Target == azurefake.TargetIMDS {
				n++
			}
		}
		if n != want {
			m.Errorf("%s: %d tokens were asked for, want %d", what, n, want)
		}
	}
	m.works("set", uri, "--system")
	m.works("set", otherURI, "--system")
	tokens(1, "twice")
	m.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Status: 403, Code: "AuthorizationPermissionMismatch", Times: 1})
	m.works("set", uri, "--system")
	tokens(2, "refused once")
	m.configure("ENVIRONMENT: {SOMETHING: else}")
	m.works("set", uri, "--system")
	tokens(3, "another environment")
	return "kept, and asked for again at once when `ENVIRONMENT:` or the assertion has changed, and after a 401 or 403"
}
