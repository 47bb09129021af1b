package setup

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/krb5conf"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

const ourRule = "create cifs.spnego ver=0x2;host=* * /usr/sbin/azfiles.upcall %k\n"

// Each action mends what it is for, can be shown, repeated and taken back.
func TestActions(t *testing.T) {
	const layer = "config.d/10-azfilesauth.yaml"
	_, tickets, _ := strings.Cut(shippedText(t, layer), "USER_UID: 0\n")
	if !strings.HasSuffix(tickets, "\nKRB5_CC_NAME: /run/azfilesauth/krb5cc_%{uid}\n") {
		t.Fatalf("where are the tickets? %q", tickets)
	}
	longRule := "create x y z /bin/sh " + strings.Repeat("a", 4096) + "\n"
	for name, test := range map[string]struct {
		machine map[string]string
		actions string
		changes string            // paths
		after   map[string]string // content
	}{
		"healthy":            {nil, "folders config request-key-rule links user unit ccache user-groups", "", nil},
		"folder missing":     {map[string]string{"/run/azfilesauth/ 0711": "gone"}, "folders", "/run/azfilesauth", nil},
		"folder too open":    {map[string]string{"/run/azfilesauth/ 0777 65534": ""}, "folders", "/run/azfilesauth", nil},
		"folder closed":      {map[string]string{"/run/azfilesauth/ 0700": ""}, "folders", "/run/azfilesauth", nil},
		"config folder open": {map[string]string{"/etc/azfilesauth/ 0775": ""}, "folders", "/etc/azfilesauth", nil},
		"config folder own":  {map[string]string{"/etc/azfilesauth/ 0700": ""}, "folders", "", nil},
		"config missing": {map[string]string{"/etc/azfilesauth/config.yaml 0600": "gone"}, "config", "/etc/azfilesauth/config.yaml", map[string]string{
			config.DefaultPath: shippedText(t, "azfilesauth/config.yaml") + tickets,
		}},
		"config missing below packages": {map[string]string{"/etc/azfilesauth/config.yaml 0600": "gone", config.ShippedPath: shippedText(t, layer)}, "config", "/etc/azfilesauth/config.yaml", map[string]string{
			config.DefaultPath: shippedText(t, "azfilesauth/config.yaml"),
		}},
		"config with mistake": {map[string]string{"/etc/azfilesauth/config.yaml 0600": "USER_UID: x\n"}, "config", "", nil},
		"config too open":     {map[string]string{"/etc/azfilesauth/config.yaml 0666": ""}, "config", "", nil},
		"rule missing":        {map[string]string{rulePath: "gone"}, "request-key-rule", rulePath, map[string]string{rulePath: shippedText(t, "request-key.d/azfiles.conf")}},
		"rule folder missing": {map[string]string{rulePath: "gone", "/etc/request-key.d/": "gone"}, "request-key-rule", "/etc/request-key.d " + rulePath, nil},
		"no final newline":    {map[string]string{rulePath: "# mine\n" + strings.TrimSpace(ourRule)}, "request-key-rule", rulePath, map[string]string{rulePath: "# mine\n" + ourRule}},
		"rule and another":    {map[string]string{rulePath: "create cifs.spnego x * /bin/true\n \n" + ourRule}, "request-key-rule", "", nil},
		"malformed line":      {map[string]string{rulePath: ourRule + "create cifs.spnego\n"}, "request-key-rule", rulePath, map[string]string{rulePath: shippedText(t, "request-key.d/azfiles.conf")}},
		"rule switched off":   {map[string]string{rulePath: "#" + ourRule}, "request-key-rule", rulePath, nil},
		"rule indented":       {map[string]string{rulePath: " " + ourRule}, "request-key-rule", rulePath, nil},
		"rule too long":       {map[string]string{rulePath: ourRule + longRule}, "request-key-rule", rulePath, nil},
		"rule empty":          {map[string]string{rulePath: ""}, "request-key-rule", rulePath, nil},
		"rule open to others": {map[string]string{rulePath + " 0666": ourRule}, "request-key-rule", rulePath, map[string]string{rulePath: ourRule}},
		"rule of a user":      {map[string]string{rulePath + " 0644 65534": ourRule}, "request-key-rule", rulePath, nil},
		"rule closed":         {map[string]string{rulePath + " 0600": ourRule}, "request-key-rule", "", nil},
		"links missing":       {map[string]string{"/usr/sbin/azfiles.upcall": "gone", "/usr/bin/azfilesrefresh": "gone"}, "links", "/usr/bin/azfilesrefresh /usr/sbin/azfiles.upcall", nil},
		"links elsewhere":     {map[string]string{"/usr/sbin/azfiles.upcall": "gone", "/usr/bin/azfilesauth": "gone"}, "links", "", nil},
		"user wanted": {map[string]string{"/etc/azfilesauth/config.yaml 0600": "LOG_DESTINATION: file\n"}, "user", "/etc/group /etc/gshadow /etc/shadow /etc/passwd", map[string]string{
			"/etc/passwd":  usual["/etc/passwd"] + "azfilesuser:x:997:997:Azure Files tickets:/nonexistent:/usr/sbin/nologin\n",
			"/etc/group":   usual["/etc/group"] + "azfilesuser:x:997:\n",
			"/etc/shadow":  usual["/etc/shadow"] + "azfilesuser:!*:" + today() + "::::::\n",
			"/etc/gshadow": usual["/etc/gshadow"] + "azfilesuser:!*::\n",
		}},
		"user without shadow": {map[string]string{"/etc/azfilesauth/config.yaml 0600": "LOG_DESTINATION: file\n", "/etc/shadow": "gone", "/etc/gshadow": "gone"}, "user", "/etc/group /etc/passwd", nil},
		"user has a group": {map[string]string{"/etc/azfilesauth/config.yaml 0600": "LOG_DESTINATION: file\n", "/etc/group": "azfilesuser:x:555:"}, "user", "/etc/shadow /etc/passwd", map[string]string{
			"/etc/passwd": usual["/etc/passwd"] + "azfilesuser:x:555:555:Azure Files tickets:/nonexistent:/usr/sbin/nologin\n",
		}},
		"no newline in passwd": {map[string]string{"/etc/azfilesauth/config.yaml 0600": "LOG_DESTINATION: file\n", "/etc/passwd": "root:x:0:0::/:/bin/sh", "/etc/group": "", "/etc/shadow": "gone", "/etc/gshadow": "gone"}, "user", "/etc/group /etc/passwd", map[string]string{
			"/etc/passwd": "root:x:0:0::/:/bin/sh\nazfilesuser:x:999:999:Azure Files tickets:/nonexistent:/usr/sbin/nologin\n", "/etc/group": "azfilesuser:x:999:\n",
		}},
		"user is there":    {map[string]string{"/etc/azfilesauth/config.yaml 0600": "LOG_DESTINATION: file\n", "/etc/passwd": "azfilesuser:x:5:5::/:/bin/false\n"}, "user", "", nil},
		"no configuration": {map[string]string{"/etc/azfilesauth/config.yaml 0600": "gone"}, "user", "", nil},
		"user in sudo": {map[string]string{"/etc/group": "wheel:x:10:azfilesuser\nsudo:x:27:me,azfilesuser,you\nother:x:4:azfilesuser\n", "/etc/gshadow": "sudo:*::azfilesuser,me\n"}, "user-groups", "/etc/group /etc/group /etc/gshadow", map[string]string{
			"/etc/group": "wheel:x:10:\nsudo:x:27:me,you\nother:x:4:azfilesuser\n", "/etc/gshadow": "sudo:*::me\n",
		}},
		"unit disabled":             {map[string]string{"/etc/systemd/system/multi-user.target.wants/" + unitName: "gone"}, "unit", "/etc/systemd/system/multi-user.target.wants /etc/systemd/system/multi-user.target.wants/" + unitName, nil},
		"unit masked":               {map[string]string{adminUnit: "->/dev/null", "/etc/systemd/system/azfilesauth.service": "->/dev/null"}, "unit", "", nil},
		"unit of an admin":          {map[string]string{adminUnit: "[Install]\nWantedBy=x.target\n", "/usr/lib/systemd/system/" + unitName: "gone"}, "unit", "/etc/systemd/system/x.target.wants /etc/systemd/system/x.target.wants/" + unitName, nil},
		"no systemd":                {map[string]string{"/usr/lib/systemd/systemd": "gone", "/usr/lib/systemd/system/" + unitName: "gone"}, "unit", "", nil},
		"cache damaged":             {map[string]string{"/run/azfilesauth/krb5cc_0 0640": "\x05\x04damage"}, "ccache", "/run/azfilesauth/krb5cc_0", map[string]string{"/run/azfilesauth/krb5cc_0.damaged": "\x05\x04damage", "/run/azfilesauth/krb5cc_0": "missing"}},
		"cache of another":          {map[string]string{"/run/azfilesauth/krb5cc_0 0640 65534": "secret"}, "ccache", "/run/azfilesauth/krb5cc_0", map[string]string{"/run/azfilesauth/krb5cc_0.foreign": "secret"}},
		"cache is a link":           {map[string]string{"/run/azfilesauth/krb5cc_0": "->/etc/passwd"}, "ccache", "/run/azfilesauth/krb5cc_0", map[string]string{"/etc/passwd": usual["/etc/passwd"]}},
		"aside is taken":            {map[string]string{"/run/azfilesauth/krb5cc_0 0640": "x", "/run/azfilesauth/krb5cc_0.damaged": "older"}, "ccache", "/run/azfilesauth/krb5cc_0", map[string]string{"/run/azfilesauth/krb5cc_0.damaged": "older", "/run/azfilesauth/krb5cc_0.damaged.2": "x"}},
		"cache is a directory":      {map[string]string{"/run/azfilesauth/krb5cc_0/": ""}, "ccache", "/run/azfilesauth/krb5cc_0", nil},
		"cache is no cache":         {map[string]string{"/etc/azfilesauth/config.yaml 0600": "USER_UID: 0\nKRB5_CC_NAME: /etc/passwd\n"}, "ccache", "", map[string]string{"/etc/passwd": usual["/etc/passwd"]}},
		"cache is /etc":             {map[string]string{"/etc/azfilesauth/config.yaml 0600": "USER_UID: 0\nKRB5_CC_NAME: /etc\n"}, "ccache", "", nil},
		"cache is whole":            {map[string]string{"/run/azfilesauth/krb5cc_0 0640": string((&ccache.Cache{}).Marshal())}, "ccache", "", nil},
		"cache in bad folder":       {map[string]string{"/run/azfilesauth/krb5cc_0 0640": "x", "/run/azfilesauth/ 0777": ""}, "ccache", "", nil},
		"cache of the user":         {map[string]string{"/etc/azfilesauth/config.yaml 0600": "KRB5_CC_NAME: /tmp/krb5cc_%{uid}\n", "/tmp/ 1777": "", "/etc/passwd": "azfilesuser:x:5:5::/:/bin/false\n"}, "ccache", "", nil},
		"cache is no file":          {map[string]string{"/etc/azfilesauth/config.yaml 0600": "USER_UID: 0\nKRB5_CC_NAME: \"KCM:\"\n"}, "ccache", "", nil},
		"krb5.conf missing":         {nil, "krb5-conf", krb5Conf, map[string]string{krb5Conf: "[libdefaults]\n\tdefault_realm = " + ccache.AzureRealm + "\n"}},
		"krb5.conf":                 {map[string]string{krb5Conf: "[libdefaults]\n  rdns = false\n#default_realm = X\n[realms]\n default_realm = Y"}, "krb5-conf", krb5Backup + " " + krb5Conf, map[string]string{krb5Conf: "[libdefaults]\n\tdefault_realm = " + ccache.AzureRealm + "\n  rdns = false\n#default_realm = X\n[realms]\n default_realm = Y\n", krb5Backup: "[libdefaults]\n  rdns = false\n#default_realm = X\n[realms]\n default_realm = Y"}},
		"krb5.conf without section": {map[string]string{krb5Conf: "[realms]\n"}, "krb5-conf", krb5Backup + " " + krb5Conf, map[string]string{krb5Conf: "[realms]\n[libdefaults]\n\tdefault_realm = " + ccache.AzureRealm + "\n"}},
		"krb5.conf has one":         {map[string]string{krb5Conf: "[libdefaults]\n default_realm = OWN\n"}, "krb5-conf", "", nil},
		"krb5.conf includes":        {map[string]string{krb5Conf: "include /etc/own\nincludedir /etc/krb5.conf.d\n", "/etc/krb5.conf.d/x.conf": "[libdefaults]\n default_realm = OWN\n"}, "krb5-conf", "", nil},
		"not included":              {map[string]string{krb5Conf: "includedir /etc/krb5.conf.d\n", "/etc/krb5.conf.d/x.rpmsave": "[libdefaults]\n default_realm = OWN\n"}, "krb5-conf", krb5Backup + " " + krb5Conf, nil},
		"stock handler":             {map[string]string{krb5Conf: "includedir /etc/krb5.conf.d/\n"}, "stock-handler", "/etc/krb5.conf.d " + krb5Drop, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := tree(t, usual, healthy, test.machine)
			var actions []Action
			for id := range strings.FieldsSeq(test.actions) {
				actions = append(actions, action(t, id))
			}
			made, out := roundTrip(t, h, actions...)
			var paths []string
			for _, c := range made {
				paths = append(paths, c.Path)
			}
			if got := strings.Join(paths, " "); got != test.changes {
				t.Errorf("changed %q, want %q\n%s", got, test.changes, out)
			}
			_, err := Run(context.Background(), h, actions, io.Discard)
			must(t, err)
			for path, want := range test.after {
				if got := h.content(t, path); got != want {
					t.Errorf("%s holds %q, want %q", path, got, want)
				}
			}
			for _, secret := range []string{"secrethash", "\x05\x04damage", "secret"} {
				if strings.Contains(out, secret) || strings.Contains(h.content(t, journalPath), secret) {
					t.Errorf("%q got out", secret)
				}
			}
		})
	}
}

// A stock cifs.upcall learns the realm of every account that there can be.
func TestDomainRealmOfAccounts(t *testing.T) {
	h := tree(t, usual, healthy, map[string]string{krb5Conf: "includedir /etc/krb5.conf.d/\n"})
	apply(t, h, StockHandler)
	profile := krb5conf.Of(h.Host)
	for _, host := range []string{"acct.file.core.windows.net", "acct.z12.file.storage.azure.net", "acct.file.core.usgovcloudapi.net", "acct.file.core.chinacloudapi.cn", "acct.file.core.eaglex.ic.gov"} {
		if r, ok := profile.RealmOf(host); !ok || r.Value != ccache.AzureRealm {
			t.Errorf("%s: %+v", host, r)
		}
	}
	if r, ok := profile.RealmOf("acct.blob.core.windows.net"); ok {
		t.Errorf("no account of files: %+v", r)
	}
}

// today is what shadow(5) calls a day.
func today() string { return strconv.FormatInt(time.Now().Unix()/(24*60*60), 10) }

func shippedText(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../etc", name))
	must(t, err)
	return string(text)
}

// A link in the machine leads nowhere but into the machine.
func TestLinksStayBeneathRoot(t *testing.T) {
	outside := t.TempDir()
	h := tree(t, usual, map[string]string{
		"/data/": "", "/etc/request-key.d/": "gone", "/etc/request-key.d": "->/data", "/etc/azfilesauth": "->../../../../../../../../.." + outside, outside + "/": "",
	})
	apply(t, h, Rule, Config)
	if h.content(t, "/data/azfiles.conf") == "missing" || h.content(t, outside+"/config.yaml") == "missing" {
		t.Error("a link was not followed")
	}
	if left, _ := os.ReadDir(outside); len(left) > 0 {
		t.Errorf("%v got out", left)
	}
	loop := tree(t, usual, map[string]string{"/etc/request-key.d/": "gone", "/etc/request-key.d": "->/etc/request-key.d"})
	if _, err := Run(context.Background(), loop, []Action{action(t, Rule)}, io.Discard); !fault.Is(err, fault.SetupFailed) {
		t.Errorf("got %v", err)
	}
}

// On a running machine the rule waits for the program that it names.
func TestRuleWithoutHandler(t *testing.T) {
	p := &planner{ctx: context.Background(), host: At("/"), planned: map[string]view{host.Sbin("azfiles.upcall"): {}, host.Bin("azfilesauth"): {}, rulePath: {}, filepath.Dir(rulePath): {state: &state{Kind: isDirectory}}}}
	if err := planRule(p); !fault.Is(err, fault.SetupProgram) || !strings.HasPrefix(fault.From(err).What(), host.Bin("azfilesauth")+" is not") {
		t.Errorf("got %v", err)
	}
	p.planned[host.Bin("azfilesauth")] = view{state: &state{Kind: isFile}}
	p.planned["/usr/sbin"] = view{state: &state{Kind: isDirectory}}
	must(t, errors.Join(planLinks(p), planRule(p)))
	if len(p.changes) == 0 || p.changes[len(p.changes)-1].Path != rulePath {
		t.Errorf("got %+v", p.changes)
	}
}

// What users put at the paths of tickets in /tmp is moved out of the way, however large it is, of whatever kind, and
// even when they were at the names for that first.
func TestNobodyBlocksTheCache(t *testing.T) {
	needs.Root(t)
	const nobody = 65534
	for name, block := range map[string]func(path string) error{
		"sparse monster": func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 1<<40), os.Chown(path, nobody, nobody))
		},
		"directory": func(path string) error {
			return errors.Join(os.MkdirAll(path+"/full", 0o700), os.Chown(path, nobody, nobody))
		},
		"fifo": func(path string) error { return errors.Join(unix.Mkfifo(path, 0o666), os.Chown(path, nobody, nobody)) },
	} {
		t.Run(name, func(t *testing.T) {
			h := tree(t, usual, healthy, map[string]string{"/etc/azfilesauth/config.yaml 0600": "USER_UID: 0\n", "/tmp/ 1777": ""})
			const cache = "/tmp/krb5cc_0"
			for _, path := range []string{cache, cache + ".foreign", cache + ".foreign.2"} {
				must(t, block(h.Root+path))
			}
			changes, err := Run(t.Context(), h, Default(), io.Discard)
			if err != nil || len(changes) != 1 || changes[0].To != cache+".foreign.3" {
				t.Fatalf("%+v, %v", changes, err)
			}
			if _, err := os.Lstat(h.Root + cache); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("it is in the way: %v", err)
			}
			must(t, Undo(t.Context(), h, io.Discard))
		})
	}
}

// A root that is no directory is refused, and nothing waits for who writes into a FIFO.
func TestOddRoots(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	must(t, unix.Mkfifo(fifo, 0o600))
	for _, root := range []string{fifo, fifo + ".missing"} {
		if _, err := Run(t.Context(), At(root), Default(), io.Discard); !fault.Is(err, fault.SetupFailed) || !strings.Contains(err.Error(), root) {
			t.Errorf("%s: %v", root, err)
		}
	}
	for _, path := range []string{"/etc/azfilesauth/config.yaml", rulePath, "/etc/passwd", "/etc/group", "/etc/.pwd.lock", krb5Conf, journalPath} {
		h := tree(t, usual, healthy, map[string]string{path: "gone", rulePath: "gone"})
		must(t, errors.Join(os.MkdirAll(filepath.Dir(h.Root+path), 0o755), unix.Mkfifo(h.Root+path, 0o600)))
		_, _ = Run(t.Context(), h, Actions(), io.Discard) // whether it works does not matter, but that it ends
		_ = Undo(t.Context(), h, io.Discard)
	}
}

// Without a directory for temporary files the tools are not called missing.
func TestNoDirectoryForTools(t *testing.T) {
	h := tree(t, usual, healthy, map[string]string{
		"/etc/azfilesauth/config.yaml 0600": "LOG_DESTINATION: file\n", "/etc/systemd/system/azfilesauth.service": "gone",
	})
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
	for name, actions := range map[string][]Action{"systemctl": {action(t, Unit)}, "systemd-sysusers": Default()} {
		_, err := Run(t.Context(), h, actions, io.Discard)
		if f := fault.From(err); !fault.Is(err, fault.SetupFailed) || !strings.Contains(f.Cause(), "no directory for "+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Without the tool that makes users the command for it is told, and nothing is done.
func TestToolsAreMissing(t *testing.T) {
	h := tree(t, usual, healthy, map[string]string{
		"/etc/azfilesauth/config.yaml 0600": "LOG_DESTINATION: file\n", "/etc/systemd/system/azfilesauth.service": "gone",
	})
	h.Tools = host.Beneath(t.TempDir())
	before := snapshot(t, h.Root)
	if _, err := Run(t.Context(), h, Default(), io.Discard); !fault.Is(err, fault.SetupTool) || !strings.Contains(err.Error(), "useradd --system") {
		t.Errorf("got %v", err)
	}
	unchanged(t, h, before, "without systemd-sysusers")
	var out strings.Builder
	if _, err := Run(t.Context(), h, []Action{action(t, Unit)}, &out); err != nil || !strings.Contains(out.String(), "run systemctl enable azfilesrefresh.service") {
		t.Errorf("%v: %s", err, &out)
	}
}

// A program is larger than what is edited, and need not be read.
func TestLinksToALargeProgram(t *testing.T) {
	h := tree(t, usual, map[string]string{"/usr/sbin/mount.azfiles": "gone", "/usr/sbin/azfiles.upcall": ""})
	for _, name := range []string{host.Bin("azfilesauth"), host.Sbin("azfiles.upcall")} {
		must(t, os.Truncate(h.Root+name, 2*maxFile))
	}
	if changes := apply(t, h, Links, Rule); len(changes) != 2 || changes[0].Path != "/usr/sbin/mount.azfiles" {
		t.Errorf("got %+v", changes)
	}
}

func TestStockHandlerNeedsTheInclude(t *testing.T) {
	h := tree(t, usual, map[string]string{krb5Conf: "[libdefaults]\n"})
	_, err := Run(context.Background(), h, []Action{action(t, StockHandler)}, io.Discard)
	if !fault.Is(err, fault.SetupInclude) || !strings.Contains(err.Error(), "includedir /etc/krb5.conf.d") {
		t.Errorf("got %v", err)
	}
}

// The realm is the one of the tickets that are there.
func TestRealmOfTheCache(t *testing.T) {
	cache := ccache.Cache{Principal: ccache.Principal{Realm: "OWN.EXAMPLE", Components: []string{"AzureFileClient"}}}
	h := tree(t, usual, healthy, map[string]string{"/run/azfilesauth/krb5cc_0 0640": string(cache.Marshal())})
	apply(t, h, KRB5Conf)
	if got := h.content(t, krb5Conf); !strings.Contains(got, "default_realm = OWN.EXAMPLE\n") {
		t.Errorf("%s", got)
	}
}

func TestNothingIsEditedThroughALink(t *testing.T) {
	h := tree(t, usual, map[string]string{krb5Conf: "->/etc/own", "/etc/own": "[libdefaults]\n"})
	if _, err := Run(context.Background(), h, []Action{action(t, KRB5Conf)}, io.Discard); !fault.Is(err, fault.SetupFailed) {
		t.Errorf("got %v", err)
	}
}

// A configuration that others could change is not followed; its directory is repaired all the same.
func TestDirectoryOfOthers(t *testing.T) {
	h := tree(t, usual, healthy, map[string]string{"/etc/azfilesauth/ 0777": ""})
	made, out := roundTrip(t, h, Default()...)
	if len(made) != 1 || made[0].Path != host.ConfigDir || !strings.Contains(out, "note: ccache: not examined") {
		t.Errorf("%+v\n%s", made, out)
	}
}

// A directory of configuration that root keeps elsewhere is one.
func TestDirectoryBehindALink(t *testing.T) {
	h := tree(t, usual, map[string]string{"/etc/azfilesauth": "->/data/azfilesauth", "/data/azfilesauth/": ""})
	roundTrip(t, h, Default()...)
	must(t, os.Chmod(h.Root+"/data/azfilesauth", 0o777)) //nolint:gosec // that is the point
	if _, err := Run(context.Background(), h, Default(), io.Discard); !fault.Is(err, fault.SetupFailed) {
		t.Errorf("got %v", err)
	}
}

// Accounts are not touched while another program has them.
func TestAccountsLock(t *testing.T) {
	h := tree(t, usual, healthy, map[string]string{"/etc/azfilesauth/config.yaml 0600": "LOG_DESTINATION: file\n"})
	f, err := os.OpenFile(h.Root+accountsLock, os.O_RDWR, 0)
	must(t, err)
	defer func() { _ = f.Close() }()
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	must(t, unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lock))
	before := snapshot(t, h.Root)
	if _, err := Run(context.Background(), h, []Action{action(t, User)}, io.Discard); !errors.Is(err, errBusy) {
		t.Errorf("got %v", err)
	}
	unchanged(t, h, before, "locked")
}
