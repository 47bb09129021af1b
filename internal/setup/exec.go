package setup

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// systemctlTime bounds one call; the service notifies systemd when it is ready.
const systemctlTime = 90 * time.Second

// systemctl runs systemctl(1) and gives what it said as the error when it failed. PATH is not
// root's word.
func systemctl(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, systemctlTime)
	defer cancel()
	for _, dir := range []string{"/usr/bin", "/bin"} {
		program := filepath.Join(dir, "systemctl")
		if _, err := os.Stat(program); err != nil {
			continue
		}
		var said bytes.Buffer
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C"}
		cmd.Stderr = &said
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(said.String()))
		}
		return nil
	}
	return fmt.Errorf("systemctl: %w", fs.ErrNotExist)
}
