package packaging

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// script writes a program into a directory of its own, and gives its path.
func script(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPreflightNamesWhatIsMissing holds what make says on a machine that cannot build: which Go, from where, which packages.
func TestPreflightNamesWhatIsMissing(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("needs make: ", err)
	}
	const from = "or newer is needed, %s is in PATH: unpack one from https://go.dev/dl/"
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"an older Go": {[]string{"preflight", "GO=" + script(t, "go", "echo go1.19.8")}, strings.ReplaceAll(from, "%s", "go1.19.8")},
		"no Go":       {[]string{"preflight", "GO=/nonexistent/go"}, strings.ReplaceAll(from, "%s", "none")},
		"not root, or no apt-get": {
			[]string{"deps", "NEEDS=nonexistent-program:some-package", "PATH=" + filepath.Dir(script(t, "id", "echo 1000")) + ":" + os.Getenv("PATH")},
			"some-package",
		},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("make", append([]string{"-s", "-C", "..", "VERSION=0", "COMMIT=0", "COMMITTED=0"}, c.args...)...)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), c.want) || strings.Contains(string(out), "installing") {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// TestStaticWithoutARepository holds that the sources are looked at in a release's tarball, too, where git knows none.
func TestStaticWithoutARepository(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("needs make: ", err)
	}
	path := filepath.Dir(script(t, "git", "exit 128")) + ":" + filepath.Dir(script(t, "gofmt", "echo $#")) + ":" + os.Getenv("PATH")
	out, _ := exec.Command("make", "-s", "-C", "..", "VERSION=0", "COMMIT=0", "COMMITTED=0", "GO=true", "PROGRESS=", "PATH="+path, "test-static").CombinedOutput()
	arguments := 0
	if _, err := fmt.Sscanf(string(out), "not formatted: %d\n", &arguments); err != nil || arguments < 100 {
		t.Errorf("%v: %s", err, out)
	}
}

// TestProgressTellsOfSilence holds that who waits is told, that what is printed is not changed, and the exit status.
func TestProgressTellsOfSilence(t *testing.T) {
	after := "1"
	run := func(args ...string) (stdout, stderr string, code int) {
		t.Helper()
		cmd := exec.Command("./progress", args...)
		var out, errors strings.Builder
		cmd.Stdout, cmd.Stderr, cmd.Env = &out, &errors, append(os.Environ(), "PROGRESS_AFTER="+after)
		if err := cmd.Run(); cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return out.String(), errors.String(), cmd.ProcessState.ExitCode()
	}
	const long = `printf 'one\n\ntwo'; read -t 3 line <> <(:); echo; exit 7`
	stdout, stderr, code := run("bash", "-c", long)
	if stdout != "one\n\ntwo\n" || code != 7 || !strings.HasPrefix(stderr, "progress: bash -c printf") || !strings.Contains(stderr, " s\n") {
		t.Errorf("%q %q %d", stdout, stderr, code)
	}
	stdout, stderr, code = run("-q", "bash", "-c", long)
	if stdout != "" || code != 7 || !strings.Contains(stderr, "s, at: two\n") || !strings.HasSuffix(stderr, "one\n\ntwo\n") {
		t.Errorf("failed: %q %q %d", stdout, stderr, code)
	}
	stdout, stderr, code = run("-q", "echo", "one")
	if stdout != "" || stderr != "" || code != 0 {
		t.Errorf("quick: %q %q %d", stdout, stderr, code)
	}
	after = "0" // it looks all the time, at the command's end too
	for range 20 {
		_, stderr, _ = run("true")
		for line := range strings.Lines(stderr) {
			if !strings.HasPrefix(line, "progress: true: ") {
				t.Errorf("at the end: %q", line)
			}
		}
	}
}

// TestGoIsTheLowestThatDependenciesAllow holds that go.mod asks for no newer Go than a library does.
func TestGoIsTheLowestThatDependenciesAllow(t *testing.T) {
	list := exec.Command("go", "list", "-mod=mod", "-m", "-f", "{{if .Main}}own{{end}} {{.GoVersion}} {{.Path}}", "all")
	list.Dir = ".."
	list.Env = append(os.Environ(), "GOFLAGS=-modfile="+modules(t))
	out, err := list.CombinedOutput()
	if err != nil {
		t.Skipf("needs the modules' own go.mod: %v %s", err, out)
	}
	var own string
	var asking []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Split(strings.TrimSpace(line), " "); f[0] == "own" {
			own = f[1]
		} else if f = strings.Fields(line); len(f) == 2 && f[0] == own {
			asking = append(asking, f[1])
		}
	}
	if len(asking) == 0 {
		t.Errorf("Go %s is asked for, and by no dependency", own)
	}
	t.Logf("Go %s is what these ask for: %s", own, strings.Join(asking, " "))
}

// modules is a copy of go.mod and go.sum, which "go list" may change.
func modules(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile("../" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "go.mod")
}
