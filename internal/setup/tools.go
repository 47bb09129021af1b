package setup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/host"
)

// toolTime bounds one rehearsal.
const toolTime = 30 * time.Second

// run runs a program of a machine, and gives what it said as the error when it failed.
func run(ctx context.Context, h host.Host, tool string, args ...string) error {
	program, err := h.Program(tool)
	if err != nil {
		return err
	}
	if out, err := h.Exec(ctx, program, args...); err != nil {
		return fmt.Errorf("%s %s: %w: %s", tool, strings.Join(args, " "), err, strings.TrimSpace(out))
	}
	return nil
}

// runInScratch lets a tool of systemd that knows --root work on these files in an empty directory, and gives
// what is there afterwards to look: neither the machine nor a secret of it is touched, and what the tool did
// can be planned, shown and undone. The error is fs.ErrNotExist where the tool is missing.
func (p *planner) runInScratch(files map[string][]byte, look func(dir string) error, tool string, args ...string) error {
	dir, err := os.MkdirTemp("", "azfilesauth-setup-")
	if err != nil {
		return fmt.Errorf("no directory for %s to work in: %s", tool, err.Error()) // whatever is missing, the tool is not
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for path, content := range files {
		name := filepath.Join(dir, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, content, 0o644)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(p.ctx, toolTime)
	defer cancel()
	if err := run(ctx, p.host.Tools, tool, append([]string{"--root=" + dir}, args...)...); err != nil {
		return err
	}
	return look(dir)
}
