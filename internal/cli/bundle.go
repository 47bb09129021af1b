package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/azfilesauth/azfilesauth/internal/bundle"
	"github.com/azfilesauth/azfilesauth/internal/doctor"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/legible"
)

// packed is the result of bundle.
type packed struct {
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
	Exit  int    `json:"doctor_exit"` // what doctor's exit status would be
}

func (s *session) bundle(c *cobra.Command, _ []string) error {
	ctx := c.Context()
	subject, err := s.subject("")
	if err != nil {
		return err
	}
	report := doctor.Run(ctx, subject, doctor.All())
	printed := bundle.Printed{Doctor: s.doctorText(report), Status: s.statusText}
	pack := func(w io.Writer) error { return bundle.Write(ctx, w, subject, report, printed) }
	if s.file == "-" {
		if err := pack(s.Stdout); err != nil {
			return fault.OutputFailed.New().Because(err)
		}
		return nil
	}
	file := cmp.Or(s.file, s.Now().UTC().Format("azfilesauth-bundle-20060102T150405Z.tar.gz"))
	path, err := filepath.Abs(file) // which fails in a directory that was removed
	var info os.FileInfo
	if err == nil {
		err = s.Replace(path, s.Own(0o600), pack)
	}
	if err == nil {
		info, err = os.Stat(path)
	}
	if err != nil {
		return fault.BundleFailed.New(file).Because(err)
	}
	return s.result(packed{file, info.Size(), report.Exit}, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "%s: %d bytes; look through it before you send it\n", legible.Line(file), info.Size())
	})
}

// doctorText is what doctor --json prints.
func (s *session) doctorText(r doctor.Report) bundle.Text {
	return func(context.Context) (string, error) {
		told := session{App: s.App, warnings: r.WarningLines()}
		text, err := told.encodeIndented("doctor", examined{Report: r})
		return string(text), err
	}
}

// statusText is what status --json prints.
func (s *session) statusText(ctx context.Context) (string, error) {
	o, err := s.overview(ctx)
	if err != nil {
		return "", err
	}
	text, err := s.encodeIndented("status", o)
	return string(text), err
}
