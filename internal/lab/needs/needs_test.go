package needs

import (
	"os"
	"strings"
	"testing"
)

// recorder is a test whose end is looked at.
type recorder struct {
	testing.TB
	skipped, failed string
}

func (r *recorder) Helper()                      {}
func (r *recorder) Skip(args ...any)             { r.skipped = args[0].(string); panic(r) }
func (r *recorder) Fatalf(f string, args ...any) { r.failed = args[0].(string); panic(r) }

func ask(t *testing.T, need func(testing.TB)) (r *recorder) {
	r = &recorder{TB: t}
	defer func() {
		if p := recover(); p != nil && p != r {
			panic(p)
		}
	}()
	need(r)
	return r
}

func noProgram(t testing.TB) { Program(t, "no-such-program", "no-such-package") }

func TestMissingIsSkippedWithTheReason(t *testing.T) {
	t.Setenv(NoSkips, "")
	r := ask(t, noProgram)
	if !strings.Contains(r.skipped, "no-such-program") || !strings.Contains(r.skipped, "apt-get install no-such-package") || r.failed != "" {
		t.Errorf("skipped with %q, failed with %q", r.skipped, r.failed)
	}
}

func TestMissingFailsWhereSkipsAreForbidden(t *testing.T) {
	t.Setenv(NoSkips, "1")
	if r := ask(t, noProgram); !strings.Contains(r.failed, "no-such-program") || r.skipped != "" {
		t.Errorf("skipped with %q, failed with %q", r.skipped, r.failed)
	}
}

func TestRootIsTheUID(t *testing.T) {
	t.Setenv(NoSkips, "")
	r := ask(t, Root)
	if (r.skipped == "") != (os.Geteuid() == 0) {
		t.Errorf("as uid %d: skipped with %q", os.Geteuid(), r.skipped)
	}
}

func TestProgramIsFoundBesideThePath(t *testing.T) {
	t.Setenv("PATH", "/nowhere")
	if find("sh") != "" {
		t.Error("sh is in no directory of system programs")
	}
	if find("ldconfig") == "" {
		t.Error("ldconfig was not found")
	}
}

// Preflight: go test -run Preflight -v says what the machine lacks.
func TestPreflight(t *testing.T) {
	for _, line := range Missing() {
		t.Log(line)
	}
	if os.Geteuid() == 0 && os.Getenv(NoSkips) == "1" && len(Missing()) > 0 {
		t.Errorf("the suite cannot do everything here: %s", strings.Join(Missing(), "; "))
	}
}
