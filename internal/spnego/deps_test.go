package spnego_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The kernel waits for the upcall: what it links must not start a web client or a Kerberos client. os/exec
// comes with package host, which the credential cache's files need; nothing of it runs before it is called.
func TestDependenciesAreLight(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v (the go command must be on PATH)", err)
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, "github.com/jcmturner/gokrb5/v8/crypto") {
		t.Fatal("the list is not that of this package")
	}
	const gokrb5 = "github.com/jcmturner/gokrb5/v8/"
	allowed := []string{"asn1tools", "crypto", "iana", "types", "messages"}
	for _, dep := range deps {
		part, ours := strings.CutPrefix(dep, gokrb5)
		part, _, _ = strings.Cut(part, "/")
		if dep == "net/http" || dep == "crypto/tls" || ours && !slices.Contains(allowed, part) {
			t.Errorf("depends on %s", dep)
		}
	}
}
