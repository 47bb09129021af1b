package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

// layered makes a root with files and gives the path of its configuration.
func layered(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		put(t, path, content, 0o600)
	}
	return root + DefaultPath
}

const (
	vendorFile = "usr/lib/azfilesauth/config.d/"
	mainFile   = "etc/azfilesauth/config.yaml"
	ownFile    = "etc/azfilesauth/config.d/"
)

func TestLayers(t *testing.T) {
	path := layered(t, map[string]string{
		vendorFile + "50-azfilesauth.yaml": "USER_UID: 0\nKRB5_CC_NAME: /run/azfilesauth/krb5cc_%{uid}\nrefresh: {at: 0.5, jitter: 5%}\n",
		vendorFile + "60-more.yaml":        "refresh: {at: 0.55}\n",
		vendorFile + "ignored.conf":        "refresh: {at: 0.1}\n",
		mainFile: "KRB5_CC_NAME: /tmp/cc\nidentities: {a: {kind: workload, tenant_id: " + guid + ", client_id: " + guid + ", token_file: /a}, b: {kind: system}}\n" +
			"endpoints: {files.example: {canonical: acct.file.core.windows.net}}\nENVIRONMENT: {A: 1, B: 2}\n",
		ownFile + "10-x.yaml":     "identities: {a: {token_file: /x}}\nendpoints: {Files.Example.: {identity: c}}\ndefault_identity: a\nENVIRONMENT: {B: 3}\n",
		ownFile + "20-y.yaml":     "identities: {c: {client_id: " + guid2 + "}}\ndefault_identity: b\nnonsense: 1\n",
		ownFile + ".hidden.yaml":  "[",
		ownFile + "20-y.yaml.bak": "[",
	})
	c, err := readAt(path)
	if err != nil {
		t.Fatal(err)
	}
	root := strings.TrimSuffix(path, DefaultPath)
	in := func(names ...string) (all []string) {
		for _, name := range names {
			all = append(all, filepath.Join(root, name))
		}
		return all
	}
	if want := in(vendorFile+"50-azfilesauth.yaml", vendorFile+"60-more.yaml", mainFile, ownFile+"10-x.yaml", ownFile+"20-y.yaml"); !slices.Equal(c.Files, want) || c.Missing {
		t.Errorf("files %q", c.Files)
	}
	where := map[string]string{}
	for _, s := range c.Settings() {
		where[s.Key] = s.Value + " " + strings.TrimPrefix(s.From(), root+"/")
	}
	for key, want := range map[string]string{
		"USER_UID":                 "0 " + vendorFile + "50-azfilesauth.yaml:1",
		"KRB5_CC_NAME":             "/tmp/cc " + mainFile + ":1",
		"refresh.at":               "55% " + vendorFile + "60-more.yaml:1",
		"refresh.jitter":           "5% " + vendorFile + "50-azfilesauth.yaml:3",
		"refresh.concurrency":      "8 default",
		"default_identity":         "system " + ownFile + "20-y.yaml:2",
		"identities.a":             "workload client_id=" + guid + " tenant_id=" + guid + " token_file=/x " + ownFile + "10-x.yaml:1",
		"identities.b":             "system " + mainFile + ":2",
		"endpoints.Files.Example.": "identity=c canonical=acct.file.core.windows.net " + ownFile + "10-x.yaml:2",
		"ENVIRONMENT.A":            "REDACTED " + mainFile + ":4",
		"ENVIRONMENT.B":            "REDACTED " + ownFile + "10-x.yaml:4",
	} {
		if where[key] != want {
			t.Errorf("%s: %q, want %q", key, where[key], want)
		}
	}
	if want := map[string]string{"A": "1", "B": "3"}; !reflect.DeepEqual(c.Environment, want) {
		t.Errorf("environment %q", c.Environment)
	}
	if id, ok := c.IdentityFor("acct.file.core.windows.net"); !ok || id.ClientID != guid2 {
		t.Errorf("identity %v", id)
	}
	odd := in(ownFile + "20-y.yaml")[0]
	if got := c.Warnings; !slices.Equal(got, []string{odd + ": line 3: nonsense: this key is unknown"}) {
		t.Errorf("warnings %q", got)
	}
	if err := c.Strict(); !fault.Is(err, fault.ConfigInvalid) || !strings.Contains(err.Error(), odd+" is not valid: line 3: nonsense") {
		t.Errorf("strict: %v", err)
	}
}

// What is wrong in a layer is said of its file, and stops the reading as in the configuration itself.
func TestWrongLayers(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"value":       {map[string]string{ownFile + "x.yaml": "\nrefresh: {at: 7}\n"}, ownFile + "x.yaml is not valid: line 2: refresh.at: "},
		"overridden":  {map[string]string{vendorFile + "x.yaml": "upcall: {mode: x}\n", mainFile: "upcall: {mode: cifs}\n"}, vendorFile + "x.yaml is not valid: line 1: upcall.mode: "},
		"reference":   {map[string]string{mainFile: "USER_UID: 0\n", ownFile + "x.yaml": "default_identity: nobody\n"}, ownFile + "x.yaml is not valid: line 1: default_identity: "},
		"host":        {map[string]string{mainFile: "USER_UID: 0\n", ownFile + "x.yaml": "endpoints: {x.example: {}}\n"}, ownFile + "x.yaml is not valid: line 1: endpoints.x.example: "},
		"kinds merge": {map[string]string{mainFile: "identities: {a: {client_id: " + guid + "}}\n", ownFile + "x.yaml": "\n\nidentities: {a: {object_id: " + guid + "}}\n"}, ownFile + "x.yaml is not valid: line 3: identities.a: "},
		"syntax":      {map[string]string{ownFile + "x.yaml": "a: [\n"}, ownFile + "x.yaml is not valid: line "},
	} {
		path := layered(t, test.files)
		_, err := readAt(path)
		if want := filepath.Join(strings.TrimSuffix(path, DefaultPath), test.want); !fault.Is(err, fault.ConfigInvalid) || !strings.HasPrefix(fault.From(err).What(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

// A file or a directory of layers that others can write to is not believed.
func TestUnsafeLayers(t *testing.T) {
	for _, name := range []string{vendorFile, vendorFile + "x.yaml", ownFile, ownFile + "x.yaml"} {
		path := layered(t, map[string]string{vendorFile + "x.yaml": "USER_UID: 7\n", ownFile + "x.yaml": "USER_UID: 7\n"})
		bad := filepath.Join(strings.TrimSuffix(path, DefaultPath), name)
		if c, err := readAt(path); err != nil || !c.Missing || c.CredentialUID != 7 {
			t.Errorf("%v", err)
		}
		if err := os.Chmod(bad, 0o777); err != nil {
			t.Fatal(err)
		}
		if _, err := readAt(path); !fault.Is(err, fault.ConfigUnsafe) || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// In a directory that others can write to, anybody can take root's files away or exchange them for each other.
func TestUnsafeDirectory(t *testing.T) {
	path := layered(t, map[string]string{mainFile: "USER_UID: 7\n", ownFile + "x.yaml": "USER_UID: 8\n"})
	for mode, unsafe := range map[os.FileMode]bool{0o755: false, 0o775: true, 0o777: true, 0o777 | os.ModeSticky: true, 0o700: false} {
		if err := os.Chmod(filepath.Dir(path), mode); err != nil {
			t.Fatal(err)
		}
		_, err := readAt(path)
		h := host.Real().Trusting(os.Geteuid())
		h.Config = path
		_, _, errCheck := Check(h)
		if fault.Is(err, fault.ConfigUnsafe) != unsafe || fault.Is(errCheck, fault.ConfigUnsafe) != unsafe {
			t.Errorf("%v: %v, %v", mode, err, errCheck)
		}
		if unsafe && !strings.Contains(fault.From(err).Fix(), "chmod go-w "+filepath.Dir(path)) {
			t.Errorf("%s", fault.From(err).Fix())
		}
	}
}

// A configuration that is somewhere else has nothing of packages, but what is beside it.
func TestLayersOfAnotherFile(t *testing.T) {
	path := write(t, "USER_UID: 5\n")
	dir := filepath.Join(filepath.Dir(path), "config.d")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "x.yaml"), "USER_UID: 6\n", 0o600)
	c, err := readAt(path)
	if err != nil || c.CredentialUID != 6 || len(c.Files) != 2 {
		t.Errorf("%v: %q", err, c.Files)
	}
}

// Every row of the table takes its own default, and a row without a value is a mapping.
func TestSchema(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Schema() {
		if seen[k.Path] {
			t.Errorf("%s is there twice", k.Path)
		}
		seen[k.Path] = true
		if k.Doc == "" && !strings.HasSuffix(k.Path, "*") {
			t.Errorf("%s is not described", k.Path)
		}
		if (k.Kind == "") != (k.take == nil) {
			t.Errorf("%s: kind %q", k.Path, k.Kind)
		}
		p := &parser{Config: defaults("")}
		if k.Default != "" {
			if err := k.take(p, k.Default); err != nil {
				t.Errorf("%s: default: %v", k.Path, err)
			}
		}
	}
	if Find("", "refresh.at") != nil || Find("", "identities.*") != nil || Find("refresh", "at") == nil || Find("identities.*", "kind") == nil || Find("identities", "a.b") == nil {
		t.Error("keys are not found by their place")
	}
}

// TestSystemUserOutranksPackages reads configurations on a machine that has the user that upstream makes.
func TestSystemUserOutranksPackages(t *testing.T) {
	const vendor, user = vendorFile + "10-azfilesauth.yaml", "root:x:0:0::/:/bin/sh\n" + SystemUser + ":x:1007:1007::/:/bin/sh\n"
	for name, c := range map[string]struct {
		files map[string]string
		uid   int
		sets  bool // by a file of any layer
		here  bool
	}{
		"packages alone":       {map[string]string{vendor: "USER_UID: 5\n"}, 5, true, false},
		"packages and user":    {map[string]string{vendor: "USER_UID: 5\n", "etc/passwd": user}, 1007, false, false},
		"empty, and user":      {map[string]string{vendor: "USER_UID: 5\n", mainFile: "", "etc/passwd": user}, 1007, false, false},
		"the machine and user": {map[string]string{vendor: "USER_UID: 5\n", mainFile: "USER_UID: 0\n", "etc/passwd": user}, 0, true, true},
		"drop-in and user":     {map[string]string{vendor: "USER_UID: 5\n", ownFile + "a.yaml": "USER_UID: 0\n", "etc/passwd": user}, 0, true, true},
	} {
		path := layered(t, c.files)
		h := host.Real().Trusting(os.Geteuid())
		h.Config, h.Passwd = path, strings.TrimSuffix(path, DefaultPath)+"/etc/passwd"
		cfg, err := Read(h)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if cfg.CredentialUID != c.uid || cfg.Sets("USER_UID") != c.sets || cfg.SetsHere("USER_UID") != c.here {
			t.Errorf("%s: uid %d, set %v, here %v", name, cfg.CredentialUID, cfg.Sets("USER_UID"), cfg.SetsHere("USER_UID"))
		}
	}
}
