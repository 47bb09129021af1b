package config

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestUpcall(t *testing.T) {
	const (
		one = "11111111-2222-3333-4444-555555555555"
		two = "99999999-2222-3333-4444-555555555555"
	)
	path := filepath.Join(t.TempDir(), "config.yaml")
	for text, want := range map[string]struct {
		mode     string
		deadline time.Duration
		named    []string
	}{
		"":                                    {"native", 5 * time.Second, nil},
		"upcall: {mode: CIFS, deadline: 12s}": {"cifs", 12 * time.Second, nil},
		"default_identity: system":            {"native", 5 * time.Second, []string{"system"}},
		"identities: {a: {client_id: " + one + "}}\n": {"native", 5 * time.Second, []string{"user-assigned client_id=" + one}},
		"identities: {b: {client_id: " + two + "}, a: {client_id: " + one + "}, odd: {kind: unheard-of}}\n" +
			"default_identity: a\nendpoints: {acct.file.core.windows.net: {identity: system}}\n": {
			"native", 5 * time.Second,
			[]string{"system", "user-assigned client_id=" + one, "user-assigned client_id=" + two},
		},
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := readAt(path)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var named []string
		for _, id := range c.NamedIdentities() {
			named = append(named, id.String())
		}
		if c.Upcall.Mode != want.mode || c.Upcall.Deadline != want.deadline || !slices.Equal(named, want.named) {
			t.Errorf("%s: %s, %s, %q", text, c.Upcall.Mode, c.Upcall.Deadline, named)
		}
	}
}
