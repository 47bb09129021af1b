package setup

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/doctor"
)

// TestNodeAndDoctor: where a pod gives a node its programs, in /usr or, where that is read-only, elsewhere, there the
// doctor looks for them; it advises neither setup nor removing what is in use.
func TestNodeAndDoctor(t *testing.T) {
	for _, sealed := range [][]string{nil, {"/usr/bin"}, {"/usr/bin", "/opt"}} {
		h := tree(t, bare, map[string]string{"/etc/passwd": "root:x:0:0::/root:/bin/sh\n"})
		before := snapshot(t, h.Root)
		for _, dir := range sealed {
			readOnly(t, h.Path(dir))
		}
		installed(t, pod(t, h, "2.0.0", nil))
		if got := findings(t, h, "links", "handler", "request-key-rules", "incumbent"); strings.Contains(got, "problem") || strings.Contains(got, "warning") ||
			(len(sealed) > 0) != strings.Contains(got, "/usr is read-only") {
			t.Errorf("%q read-only:\n%s", sealed, got)
		}
		must(t, RemoveNode(context.Background(), h, io.Discard))
		if os.Geteuid() == 0 {
			unchanged(t, h, before, "removed")
		}
		if got := findings(t, h, "links"); !strings.Contains(got, "problem") {
			t.Errorf("%q read-only, and removed:\n%s", sealed, got)
		}
	}
}

// findings are those of some checks, a line each.
func findings(t *testing.T, h Host, ids ...doctor.ID) string {
	t.Helper()
	s, err := doctor.New(doctor.Options{Host: h.Host, Offline: true})
	must(t, err)
	var all strings.Builder
	for _, c := range doctor.All() {
		for _, id := range ids {
			if c.ID == id {
				r := c.Run(context.Background(), s)
				all.WriteString(string(c.ID) + ": " + string(r.Status) + " " + strings.Join(r.Evidence, "; ") + " fix: " + r.Fix + "\n")
			}
		}
	}
	return all.String()
}
