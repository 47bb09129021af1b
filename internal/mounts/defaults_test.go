package mounts

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

func configured(t *testing.T, text string) *config.Config {
	t.Helper()
	h := host.Beneath(t.TempDir()).Trusting(os.Geteuid())
	h.Config = "/config.yaml"
	if err := os.WriteFile(filepath.Join(h.Root, h.Config), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Read(h)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestDefaultOptions(t *testing.T) {
	const old, recent = "mfsymlinks,actimeo=30,serverino", "mfsymlinks,actimeo=30,serverino,rasize=8388608"
	for _, c := range []struct{ line, config, release, want string }{
		{"", "", "6.1.0-56-amd64", old},
		{"", "", "6.3.13", old},
		{"", "", "5.14.0-570.el9.x86_64", old},
		{"", "", "6.4.0-150600.21-default", recent},
		{"", "", "6.12", recent},
		{"", "", "10.0-rc1", recent},
		{"", "", "", old},
		{"", "", "odd", old},
		{"rw,azfiles_defaults=none", "mount_options: seal", "6.12", ""},
		{"mfsymlinks,actimeo=1,noserverino,rasize=4096", "", "6.12", ""},
		{"nomfsymlinks", "", "6.12", "actimeo=30,serverino,rasize=8388608"},
		{"nomfsymlinks,noactimeo,NORASIZE", "", "6.12", "serverino"},
		{"", "mount_options: nomfsymlinks,seal", "6.1", "seal,actimeo=30,serverino"},
		{"", "mount_options: mfsymlinks\nendpoints: {acct.file.core.windows.net: {mount_options: nomfsymlinks}}", "6.1", "actimeo=30,serverino"},
		{"sfu,ACTIMEO=60,serverino", "", "6.1", ""},
		{"symlink=native,acregmax=5", "", "6.1", "serverino"},
		{"acdirmax=5,rasize=0", "", "6.12", "mfsymlinks,serverino"},
		{"noac,max_channels=2,nobrl,noperm", "", "6.1", "mfsymlinks,serverino"},
		{"", "mount_options: [actimeo=1, nosharesock]", "6.1", "actimeo=1,nosharesock,mfsymlinks,serverino"},
		{"actimeo=7,nosharesock", "mount_options: actimeo=1,nosharesock,seal", "6.1", "seal,mfsymlinks,serverino"},
		{"", "mount_options: 'azfiles_defaults=none,seal'", "6.12", "seal"},
		{"", "mount_options: azfiles_defaults=none", "6.12", ""},
		{"", "mount_options: actimeo=1,seal\nendpoints: {acct.file.core.windows.net: {mount_options: [noseal, uid=7]}}", "6.1", "noseal,uid=7,actimeo=1,mfsymlinks,serverino"},
		{"", "endpoints: {other.file.core.windows.net: {mount_options: seal}, files.example: {canonical: acct.file.core.windows.net, mount_options: sign}}", "6.1", "sign," + old},
	} {
		cfg := configured(t, c.config)
		e, err := cfg.Resolver.Resolve("acct.file.core.windows.net")
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseOptions(c.line).Login().Given(cfg, e, c.release)
		if err != nil || got.String() != c.want {
			t.Errorf("%q, %q, %s: %q, %v, want %q", c.line, c.config, c.release, got, err, c.want)
		}
	}
}

func TestSiteOptionsThatAreNone(t *testing.T) {
	for text, problem := range map[string]string{
		"identity=system": "belongs on a line", "cruid=0": "belongs on a line", "_netdev": "belongs on a line", "remount": "belongs on a line",
		"sec=krb5i": "belongs on a line", "password=x": "no password", "mfsymlink": "did you mean mfsymlinks", "azfiles_defaults=off": "only be none",
	} {
		_, err := Login{}.Given(configured(t, "mount_options: "+text), endpoint.Endpoint{}, "6.12")
		if !fault.Is(err, fault.OptionInvalid) && !fault.Is(err, fault.OptionRefused) || !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A kernel that does not know an option refuses the mount.
func TestDefaultsAreKnownToTheirKernels(t *testing.T) {
	for _, d := range Defaults() {
		if d.Why == "" || d.Figure == "" || d.Source == "" {
			t.Errorf("%s: nobody knows why", d.Option)
		}
		for _, o := range ParseOptions(d.Option) {
			since, known := lookUp(o.Name)
			if !known || !d.Unused && (since != "" && d.Since == "" || since != "" && !AtLeast(d.Since, since)) {
				t.Errorf("%s: since %q, used from %q", o.Name, since, d.Since)
			}
		}
		for name := range strings.FieldsSeq(d.Instead) {
			if _, known := lookUp(name); !known {
				t.Errorf("%s: %s is not known", d.Option, name)
			}
		}
	}
	if slices.ContainsFunc(Defaults(), func(d Default) bool {
		return !d.Unused && strings.HasPrefix(d.Option, "nobrl") || strings.Contains(d.Option, "_mode")
	}) {
		t.Error("locks and modes are left to the administrator")
	}
}

// mount.cifs and the kernel refuse a negation that the kernel's table does not have.
func TestNegationsOfDefaults(t *testing.T) {
	for line, want := range map[string]string{
		"rw,nomfsymlinks": "rw", "NOACTIMEO": "", "norasize,seal": "seal", "mfsymlinks,nomfsymlinks": "", "nomfsymlinks,mfsymlinks": "mfsymlinks",
		"noserverino": "noserverino", "nomultichannel": "nomultichannel", "nobrl": "nobrl", "brl": "brl", "noac": "noac", "nosfu": "nosfu",
		"sharesock": "sharesock", "nosharesock": "nosharesock", "azfiles_defaults=none,nomfsymlinks": "",
	} {
		if got := ParseOptions(line).Login(); got.Err() == nil && got.Rest.String() != want {
			t.Errorf("%s: %q, want %q", line, got.Rest, want)
		}
	}
}
