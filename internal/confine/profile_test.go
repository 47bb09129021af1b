package confine

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestEnter holds when this program is started again under a profile. That the kernel then confines it and what it
// starts is told by the story 6-apparmor, in a guest.
func TestEnter(t *testing.T) {
	errAgain := errors.New("started again")
	for name, c := range map[string]struct {
		files map[string]string // of /proc/thread-self/attr/apparmor
		want  string            // what is written
	}{
		"no AppArmor":        {nil, ""},
		"no profile":         {map[string]string{"current": "unconfined\n", "exec": "", "profiles/azfiles.upcalls.1": ""}, ""},
		"it is loaded":       {map[string]string{"current": "unconfined\n", "exec": "", "profiles/azfiles.upcall.12": ""}, "exec azfiles.upcall"},
		"ours":               {map[string]string{"current": "azfiles.upcall (enforce)\n", "exec": ""}, ""},
		"one that complains": {map[string]string{"current": "azfiles.upcall (complain)\n", "exec": ""}, ""},
		"that of an engine":  {map[string]string{"current": "docker-default (enforce)\n", "exec": ""}, ""},
		"cannot be chosen":   {map[string]string{"current": "unconfined\n", "profiles/azfiles.upcall.1": ""}, ""},
	} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "profiles"), 0o700); err != nil {
			t.Fatal(err)
		}
		for file, text := range c.files {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		err := enter(dir, filepath.Join(dir, "profiles"), "azfiles.upcall", func() error { return errAgain })
		written, _ := os.ReadFile(filepath.Join(dir, "exec"))
		if string(written) != c.want || errors.Is(err, errAgain) != (c.want != "") || (err != nil) != (c.want != "") {
			t.Errorf("%s: %v, written %q", name, err, written)
		}
	}
}
