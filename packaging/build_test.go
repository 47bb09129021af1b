//go:build packages

package packaging

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The second build of the Debian packages is the one with sources, "dpkg-buildpackage -us -uc".
func TestTwoBuildsGiveTheSameBytes(t *testing.T) {
	second := t.TempDir()
	for w, names := range all {
		first := built(t, names[0])
		if err := build(second, w, "FULL=1"); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			a, err := os.ReadFile(filepath.Join(filepath.Dir(first), name))
			if err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(filepath.Join(second, name))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(a, b) {
				t.Errorf("%s: two builds differ", name)
			}
		}
	}
}

func TestVersionTellsTheCommit(t *testing.T) {
	head := strings.TrimSpace(command(t, "git", "rev-parse", "HEAD"))
	out := command(t, unpacked(t, debAMD64).path("usr/bin/azfilesauth"), "version", "--json")
	if !strings.Contains(out, `"commit": "`+head+`"`) {
		t.Errorf("the package does not tell its commit: %s", out)
	}
}

func unpacked(t *testing.T, debs ...string) root {
	t.Helper()
	dir := t.TempDir()
	for _, deb := range debs {
		command(t, "dpkg-deb", "-x", built(t, deb), dir)
	}
	return root(dir)
}

func TestLicencesOfAllThatIsLinkedIn(t *testing.T) {
	for deb, lib := range map[string]string{debAMD64: debLibAMD64, debARM64: debLibARM64} {
		r := unpacked(t, deb, lib)
		text := r.read(t, "usr/share/doc/azfilesauth/THIRD-PARTY")
		equal(t, lib, r.read(t, "usr/share/doc/libazfilesauth0/THIRD-PARTY"), text)
		for _, program := range []string{"usr/bin/azfilesauth", "usr/lib/libazfilesauth.so"} {
			info, err := buildinfo.ReadFile(r.path(program))
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range info.Deps {
				name := `(?m)^` + regexp.QuoteMeta(m.Path) + `(/\S*)?` // of the module, or of what is used of it
				row := regexp.MustCompile(name + ` +` + regexp.QuoteMeta(m.Version) + ` +[A-Z]`)
				title := regexp.MustCompile(name + `: LICENSE`)
				if !row.MatchString(text) || !title.MatchString(text) {
					t.Errorf("%s: no licence of %s %s", deb, m.Path, m.Version)
				}
			}
		}
	}
}

func TestBillOfMaterials(t *testing.T) {
	program := unpacked(t, debAMD64).path("usr/bin/azfilesauth")
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	type component struct{ Name, Version, PURL string }
	var bom struct {
		BOMFormat  string
		Metadata   struct{ Component component }
		Components []component
	}
	if err := json.Unmarshal([]byte(command(t, "make", "-s", "-C", "..", "sbom", "VERSION=2.0.0", "PROGRAM="+program)), &bom); err != nil {
		t.Fatal(err)
	}
	if bom.BOMFormat != "CycloneDX" || bom.Metadata.Component != (component{info.Main.Path, "2.0.0", "pkg:golang/" + info.Main.Path + "@2.0.0"}) {
		t.Errorf("it is of something else: %s %+v", bom.BOMFormat, bom.Metadata)
	}
	for _, m := range info.Deps {
		if !slices.Contains(bom.Components, component{m.Path, m.Version, "pkg:golang/" + m.Path + "@" + m.Version}) {
			t.Errorf("%s %s is missing", m.Path, m.Version)
		}
	}
}

func TestARM64RunsUnderQemu(t *testing.T) {
	const qemu = "qemu-aarch64-static"
	r := unpacked(t, debARM64)
	if out := command(t, qemu, r.path("usr/bin/azfilesauth"), "version"); !strings.HasPrefix(out, "azfilesauth 2.0.0 (") || !strings.Contains(out, "linux/arm64") {
		t.Errorf("version: %s", out)
	}
	command(t, qemu, r.path("usr/bin/azfilesauth"), "config", "check", "--file", r.path("usr/share/azfilesauth/config.yaml"))
	for _, pkg := range []string{"ccache", "spnego"} {
		t.Run(pkg, func(t *testing.T) {
			dir, err := filepath.Abs("../internal/" + pkg)
			if err != nil {
				t.Fatal(err)
			}
			program := filepath.Join(t.TempDir(), pkg+".test")
			with(t, []string{"GOARCH=arm64", "CGO_ENABLED=0"}, "go", "test", "-c", "-o", program, dir)
			// The tests start their own program by its name: that leads back to qemu.
			again := program + ".sh"
			script := "#!/bin/sh\nexec " + qemu + " -0 \"$0\" " + program + " \"$@\"\n"
			if err := os.WriteFile(again, []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			command(t, "env", "-C", dir, again)
		})
	}
}

// Between releases a build is older than the release that it leads to, for dpkg and for rpm.
func TestVersionBetweenReleases(t *testing.T) {
	dir := t.TempDir()
	git := func(args ...string) {
		command(t, "git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)...)
	}
	command(t, "sh", "-c", `mkdir -p "$1/packaging/debian" && cp version "$1/packaging" && cp debian/changelog "$1/packaging/debian"`, "sh", dir)
	version := func(env ...string) string {
		return strings.TrimSpace(with(t, env, filepath.Join(dir, "packaging/version")))
	}
	equal(t, "without a repository", version(), "2.0.0")
	git("init", "-q")
	git("add", ".")
	git("commit", "-q", "-m", "x", "--date", "2026-11-27T12:00:00Z")
	between := version()
	if !regexp.MustCompile(`^2\.0\.0~git\d{8}\.[0-9a-f]{12}$`).MatchString(between) {
		t.Errorf("without a tag: %s", between)
	}
	command(t, "dpkg", "--compare-versions", "2.0.0~", "lt", between)
	command(t, "dpkg", "--compare-versions", between, "lt", "2.0.0")
	equal(t, "rpm's order", command(t, "rpm", "--eval", `%{lua: print(rpm.vercmp("`+between+`", "2.0.0"))}`), "-1\n")
	git("tag", "v1.9.9")
	equal(t, "with another tag", version(), between)
	git("tag", "v2.0.0")
	equal(t, "with its tag", version(), "2.0.0")
	equal(t, "as it is told", version("VERSION=3.1.4"), "3.1.4")
}

// What is said in several places is said alike.
func TestOneVersion(t *testing.T) {
	for file, want := range map[string]string{
		"debian/changelog":     "azfilesauth (2.0.0-1) ",
		"rpm/azfilesauth.spec": "Version:        2.0.0\nRelease:        1\n",
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is of another version", file)
		}
	}
}
