package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/azfilesauth/azfilesauth/internal/bundle"
	"github.com/azfilesauth/azfilesauth/internal/doctor"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

func (s *session) bundleCommand() *cobra.Command {
	var file, root string
	var offline bool
	cmd := s.command("bundle [flags]", "Pack what somebody who helps needs to see, without secrets", words(),
		func(ctx context.Context, _ []string) error { return s.bundle(ctx, file, root, offline) })
	cmd.Long = "Pack what somebody who helps needs to see into a tar.gz with mode 0600: what the doctor finds,\n" +
		"versions, configuration, mounts, rules, krb5.conf, the service, logs, and what tickets there are.\n" +
		"Tokens, keys, tickets and passwords are left out; names of accounts, hosts and identities are not."
	f := cmd.Flags()
	f.StringVarP(&file, "output", "o", "", "write to `FILE`, - is stdout (default azfilesauth-bundle-TIME.tar.gz)")
	f.StringVar(&root, "root", "", "look at the machine whose files are in this `DIR`; ask nothing else")
	f.BoolVar(&offline, "offline", false, "look at files alone: run no program, ask neither the network nor the kernel")
	completeFlags(cmd, nil)
	return cmd
}

// packed is the result of bundle.
type packed struct {
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
	Exit  int    `json:"doctor_exit"` // what doctor's exit status would be
}

func (s *session) bundle(ctx context.Context, file, root string, offline bool) error {
	if err := s.needRoot("bundle"); err != nil {
		return err
	}
	e := examination{offline: offline}
	if root != "" {
		var err error
		if e.root, err = filepath.Abs(root); err != nil {
			return err
		}
	}
	subject, err := s.subject(e)
	if err != nil {
		return err
	}
	report := doctor.Run(ctx, subject, doctor.All())
	pack := func(w io.Writer) error { return bundle.Write(ctx, w, subject, report) }
	if file == "-" {
		if err := pack(s.Stdout); err != nil {
			return fault.OutputFailed.New().Because(err)
		}
		return nil
	}
	if file == "" {
		file = s.Now().UTC().Format("azfilesauth-bundle-20060102T150405Z.tar.gz")
	}
	size, err := replace(file, pack)
	if err != nil {
		return fault.BundleFailed.New(file).Because(err)
	}
	return s.result(packed{file, size, report.Exit}, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "%s: %d bytes; look through it before you send it\n", printable(file), size)
	})
}

// replace puts a file with mode 0600 in place, whole. A link of that name is replaced, not followed.
func replace(path string, write func(io.Writer) error) (size int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".azfilesauth-*") // with mode 0600
	if err != nil {
		return 0, err
	}
	defer func() {
		_ = f.Close() // twice, when all went well
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if err := f.Close(); err != nil {
		return 0, err
	}
	return info.Size(), os.Rename(f.Name(), path)
}
