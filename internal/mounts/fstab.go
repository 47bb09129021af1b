package mounts

import (
	"bufio"
	"errors"
	"fmt"
	"io"
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
	Options []string // as "name" or "name=value", in the order of the file, with the quotes they are written with
}

// Option gives the value of an option, "" for one without a value. Of several the last one wins, as in
// mount(8). ok is false when the line has no such option.
func (l FstabLine) Option(name string) (value string, ok bool) {
	for _, option := range l.Options {
		if n, v, _ := strings.Cut(option, "="); n == name {
			value, ok = v, true
		}
	}
	return value, ok
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
		l.Options = splitOptions(unescape(fields[3]))
	}
	return l, true
}

// splitOptions cuts a list of options at its commas, except at those between double quotes, which
// SELinux contexts need. Empty options are left out.
func splitOptions(list string) []string {
	quoted := false
	return strings.FieldsFunc(list, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ',' && !quoted
	})
}
