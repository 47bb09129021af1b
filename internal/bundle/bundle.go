// Package bundle packs what somebody who helps needs to see of a machine: what the doctor found, the
// versions, the configuration, mounts, logs and what tickets there are.
//
// Invariants: no token, key, ticket or password is in a bundle. Three things see to it, each of them
// enough for what it knows. What has a structure (the configuration, mount options, the credential
// cache) is written anew from values that are known to be harmless, by key and by form, and all else
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
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/doctor"
)

// maxPart bounds a part, in bytes. Of a longer one the end is kept, which is the newest of a log.
const maxPart = 512 << 10

// Folder is what all names in a bundle begin with.
const Folder = "azfilesauth-bundle"

// part is a file of the bundle.
type part struct {
	name string
	text func(ctx context.Context, m *machine) (string, error)
}

// machine is what is looked at.
type machine struct {
	*doctor.Subject
	report  doctor.Report
	secrets *secrets
}

// parts are the files of a bundle, after the doctor's own.
func parts() []part {
	return []part{
		{"doctor.txt", doctorText},
		{"doctor.json", doctorJSON},
		{"versions.txt", versions},
		{"config.txt", configuration},
		{"mounts.txt", mounted},
		{"fstab.txt", fstab},
		{"request-key.txt", requestKey},
		{"krb5.conf.txt", krb5},
		{"unit.txt", unit},
		{"journal.txt", journal},
		{"logs.txt", logs},
		{"kernel.txt", kernelLog},
		{"ccache.txt", caches},
	}
}

// Write writes the bundle of a machine and what the doctor reports of it as a tar archive, compressed
// with gzip. The errors are those of w and of ctx.
func Write(ctx context.Context, w io.Writer, s *doctor.Subject, report doctor.Report) error {
	m := &machine{Subject: s, report: report, secrets: &secrets{}}
	m.findSecrets()
	type file struct{ name, text string }
	var files []file
	for _, p := range parts() { // all before the first is written: a later part may know another secret
		text, err := p.text(ctx, m)
		if err != nil {
			text += fmt.Sprintf("(not complete: %v)\n", reason(err))
		}
		m.secrets.learn(text)
		files = append(files, file{p.name, text})
	}
	z := gzip.NewWriter(w)
	archive := tar.NewWriter(z)
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := add(archive, f.name, m.secrets.scrub(end(f.text)), s.Now()); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), z.Close())
}

func add(archive *tar.Writer, name, text string, now time.Time) error {
	header := &tar.Header{Name: path.Join(Folder, name), Mode: 0o600, Size: int64(len(text)), ModTime: now, Format: tar.FormatPAX}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := io.WriteString(archive, text)
	return err
}

// end is the end of a text that is too long, from a line's start.
func end(text string) string {
	if len(text) <= maxPart {
		return text
	}
	text = text[len(text)-maxPart:]
	for i := range len(text) {
		if text[i] == '\n' {
			return "(the beginning is left out)" + text[i:]
		}
	}
	return "(one line, too long)\n"
}

func doctorText(_ context.Context, m *machine) (string, error) {
	var b bytes.Buffer
	m.report.Write(&b, nil)
	return b.String(), nil
}

func doctorJSON(_ context.Context, m *machine) (string, error) {
	text, err := json.MarshalIndent(m.report, "", "  ")
	return string(text) + "\n", err
}
