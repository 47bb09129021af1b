// Package bundle collects what support needs to see of a machine: what the doctor found, the
// versions, the configuration, mounts, logs and what tickets there are.
//
// Invariants: no token, key, ticket or password is in a bundle. Three things see to it, each of them
// enough for what it knows. What has a structure (the configuration, mount options, the credential
// cache) is rewritten from values that are known to be harmless, by key and by form, and all else
// is REDACTED. The secrets that this machine holds (session keys, tickets, tokens, files that the
// configuration names, values that were redacted) are looked for in every text, as they are, in
// base64 and in hexadecimal. And what looks like a secret is taken for one. Every part is bounded; a
// part that cannot be had says why; nothing on the machine is changed, and no mount point is touched.
package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/doctor"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

// maxPart bounds a part, in bytes. Of a longer one the end is kept, which is the newest of a log.
const maxPart = 512 << 10

// directory is what all names in a bundle begin with.
const directory = "azfilesauth-bundle"

// Text gives what a file of the bundle holds.
type Text func(ctx context.Context) (string, error)

type part struct {
	name string
	text Text
}

// Printed is what commands print with --json.
type Printed struct{ Doctor, Status Text }

// machine is what is looked at.
type machine struct {
	*doctor.Subject
	secrets *secrets
}

// parts are the files of a bundle, after the doctor's own.
func (m *machine) parts(report doctor.Report, printed Printed) []part {
	return []part{
		{"doctor.txt", func(context.Context) (string, error) {
			var b bytes.Buffer
			report.Write(&b, nil)
			return b.String(), nil
		}},
		{"doctor.json", printed.Doctor},
		{"versions.txt", m.versions},
		{"config.txt", m.configuration},
		{"mounts.txt", m.mounted},
		{"fstab.txt", m.fstab},
		{"request-key.txt", m.requestKey},
		{"krb5.conf.txt", m.krb5},
		{"unit.txt", m.unit},
		{"journal.txt", m.journal},
		{"logs.txt", m.logs},
		{"kernel.txt", m.kernelLog},
		{"ccache.txt", m.caches},
		{"status.json", func(ctx context.Context) (string, error) {
			if !m.Live() { // the daemon is this machine's
				return "", nil
			}
			return printed.Status(ctx)
		}},
	}
}

// Write writes the bundle of a machine, what the doctor reports of it and what commands print about this machine
// as a tar archive, compressed with gzip. The errors are those of w and of ctx.
func Write(ctx context.Context, w io.Writer, s *doctor.Subject, report doctor.Report, printed Printed) error {
	m := &machine{Subject: s, secrets: &secrets{}}
	m.findSecrets()
	all := m.parts(report, printed)
	texts := make([]string, len(all))
	for i, p := range all { // all before the first is written: a later part may know another secret
		text, err := p.text(ctx)
		if err != nil {
			text += fmt.Sprintf("(not complete: %v)\n", host.WithoutPath(err))
		}
		m.secrets.collectFrom(text)
		texts[i] = text
	}
	z := gzip.NewWriter(w)
	archive := tar.NewWriter(z)
	for i, p := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		text := m.secrets.scrub(end(texts[i]))
		header := &tar.Header{Name: path.Join(directory, p.name), Mode: 0o600, Size: int64(len(text)), ModTime: s.Now(), Format: tar.FormatPAX}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := io.WriteString(archive, text); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), z.Close())
}

// end is the end of a text that is too long, from a line's start.
func end(text string) string {
	if len(text) <= maxPart {
		return text
	}
	text = text[len(text)-maxPart:]
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		return "(the beginning is left out)" + text[i:]
	}
	return "(one line, too long)\n"
}
