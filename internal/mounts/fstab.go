package mounts

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxFstabLines bounds what one file can make us keep; nobody has that many mounts.
const maxFstabLines = 10_000

// FstabLine is one entry of fstab(5), of any file system, with its escapes decoded.
type FstabLine struct {
	Line    int // number of the line in the file, from 1
	Spec    string
	Target  string
	Type    string
	Options Options
}

// IsOurs reports whether mount.azfiles mounts the line.
func (l FstabLine) IsOurs() bool { return l.Type == "azfiles" }

// IsKerberos reports whether the line is for mount.cifs and logs in by Kerberos.
func (l FstabLine) IsKerberos() bool {
	sec, _ := l.Options.Get("sec")
	return (l.Type == "cifs" || l.Type == "smb3") && strings.HasPrefix(sec, "krb5")
}

// WantsTicket reports whether the line wants azfilesrefresh to get its ticket before it is mounted: one
// of type azfiles that is mounted at boot, or one for mount.cifs that logs in by Kerberos and requires
// our service, under either of its names (x-systemd.requires=, systemd.mount(5)).
func (l FstabLine) WantsTicket() bool {
	if l.IsOurs() {
		_, noauto := l.Options.Get("noauto")
		return !noauto
	}
	return l.IsKerberos() && slices.ContainsFunc(l.Options, func(o Option) bool {
		unit := strings.TrimSuffix(o.Text(), ".service")
		return o.Is("x-systemd.requires") && (unit == "azfilesrefresh" || unit == "azfilesauth")
	})
}

// ParseFstab reads the format of fstab(5): fields between spaces and tabs with octal escapes such as
// \040, and comments on lines of their own. Lines of fewer than three fields or longer than 64 KiB are
// left out, as are all behind the ten thousandth line; the only errors are those of r.
func ParseFstab(r io.Reader) ([]FstabLine, error) {
	var found []FstabLine
	in := bufio.NewReaderSize(r, maxLine)
	for number := 1; number <= maxFstabLines; number++ {
		line, err := in.ReadSlice('\n')
		for errors.Is(err, bufio.ErrBufferFull) { // too long: read on to the line's end
			line = nil
			_, err = in.ReadSlice('\n')
		}
		if entry, ok := parseFstabLine(string(line)); ok {
			entry.Line = number
			found = append(found, entry)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading the table of file systems: %w", err)
		}
	}
	return found, nil
}

// parseFstabLine reads one entry; ok is false for comments, empty and malformed lines. Line ends of
// other systems are kept as what they are to mount(8): a part of the last field.
func parseFstabLine(line string) (l FstabLine, ok bool) {
	line = strings.TrimSuffix(line, "\n")
	fields := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(fields) < 3 || strings.HasPrefix(fields[0], "#") {
		return FstabLine{}, false
	}
	l = FstabLine{Spec: unescape(fields[0]), Target: unescape(fields[1]), Type: unescape(fields[2])}
	if len(fields) > 3 {
		l.Options = ParseOptions(unescape(fields[3]))
	}
	return l, true
}
