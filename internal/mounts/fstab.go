package mounts

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
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

	MountOnly []string // octal escapes in the line that mount(8) decodes and systemd does not
}

// OurType is the type of file system of mount.azfiles.
const OurType = "azfiles"

// IsOurs reports whether mount.azfiles mounts the line.
func (l FstabLine) IsOurs() bool { return l.Type == OurType }

// IsKerberos reports whether the line is for mount.cifs and logs in by Kerberos.
func (l FstabLine) IsKerberos() bool {
	sec, _ := l.Options.Get("sec")
	return l.IsSMB() && strings.HasPrefix(sec, "krb5")
}

// WantsTicket reports whether the line wants azfilesrefresh to get its ticket before it is mounted: one
// of type azfiles that is mounted at boot, or one for mount.cifs that logs in by Kerberos and requires our service.
func (l FstabLine) WantsTicket() bool {
	if l.IsOurs() {
		_, noauto := l.Options.Get("noauto")
		return !noauto
	}
	return l.IsKerberos() && slices.ContainsFunc(l.Options, Option.RequiresDaemon)
}

// IsSMB reports whether the line is for mount.cifs, with any kind of login.
func (l FstabLine) IsSMB() bool { return l.Type == "cifs" || l.Type == "smb3" }

// FstabFlaw is an entry that mount(8) ignores.
type FstabFlaw struct {
	Line    int
	Fields  []string // as written
	Problem string   // a sentence
}

// ParseFstab reads the entries of fstab(5) that mount(8) acts on, and those that it ignores and complains of, as libmount does
// (mnt_parse_table_line in libmount/src/tab_parse.c of util-linux): fields between spaces and tabs with
// octal escapes such as \040, of which the fifth and sixth are numbers, and comments on lines of their
// own; a carriage return at a line's end does not count. Lines longer than 64 KiB are left out, as are all
// behind the ten thousandth line; the only errors are those of r.
func ParseFstab(r io.Reader) (found []FstabLine, flaws []FstabFlaw, err error) {
	err = eachEntry(r, func(number int, fields []string) {
		if problem := fstabProblem(fields); problem != "" {
			flaws = append(flaws, FstabFlaw{number, fields, problem})
		} else {
			found = append(found, newFstabLine(number, fields))
		}
	})
	return found, flaws, err
}

// Fstab gives what ParseFstab finds in a machine's fstab. A file that is missing has no lines.
func Fstab(h host.Host) ([]FstabLine, error) {
	f, _, err := h.Open(h.Fstab, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	lines, _, err := ParseFstab(f)
	return lines, err
}

// eachEntry gives the number and the fields of every line that is no comment and not empty.
func eachEntry(r io.Reader, do func(number int, fields []string)) error {
	in := bufio.NewReaderSize(r, maxLine)
	for number := 1; number <= maxFstabLines; number++ {
		line, err := readLine(in)
		text := strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r")
		fields := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\t' })
		if len(fields) > 0 && !strings.HasPrefix(fields[0], "#") {
			do(number, fields)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the table of file systems: %w", err)
		}
	}
	return nil
}

// fstabProblem says why mount(8) ignores an entry, or "".
func fstabProblem(fields []string) string {
	if len(fields) < 3 {
		return "there are fewer than three fields: source, mount point, type"
	}
	for _, number := range fields[min(4, len(fields)):min(6, len(fields))] {
		if _, err := strconv.ParseInt(number, 10, 64); err != nil {
			return "the options end at the space before " + strconv.Quote(number[:min(len(number), 64)]) + ", and what follows must be a number"
		}
	}
	return ""
}

func newFstabLine(number int, fields []string) FstabLine {
	l := FstabLine{Line: number, Spec: unescape(fields[0]), Target: unescape(fields[1]), Type: unescape(fields[2])}
	if len(fields) > 3 {
		l.Options = ParseOptions(unescape(fields[3]))
	}
	for _, escape := range octal().FindAllString(strings.Join(fields[:min(4, len(fields))], " "), -1) {
		if unescape(escape) != escape && !slices.Contains([]string{`\040`, `\011`, `\012`, `\134`}, escape) && !slices.Contains(l.MountOnly, escape) {
			l.MountOnly = append(l.MountOnly, escape)
		}
	}
	return l
}

// octal finds what mount(8) takes for an escape. Of these systemd, which reads the table by getmntent(3), knows four:
// decode_name in glibc's misc/mntent_r.c.
var octal = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\\[0-7]{3}`) })

// CheckTarget tells why mount(8) would refuse the line for its mount point: fs.ErrNotExist, where it does not exist, or
// what that of Target is. X-mount.mkdir (mount(8), also as x-mount.mkdir) has it made. What is mounted on the mount point or
// above it answers for it and is not looked into: a server that is gone would let the look wait.
func (l FstabLine) CheckTarget(h host.Host, mounted []Mount) error {
	target := filepath.Clean(l.Target)
	covers := func(m Mount) bool { return m.Target == target || strings.HasPrefix(target, m.Target+"/") }
	makes := func(o Option) bool { return strings.EqualFold(o.Name, "x-mount.mkdir") }
	if slices.ContainsFunc(mounted, covers) || slices.ContainsFunc(l.Options, makes) {
		return nil
	}
	return CheckTarget(h, target)
}

// Place is the mount point of the line as the mount table and systemd have it, which follow links. Nothing is looked at beneath
// what is mounted.
func (l FstabLine) Place(h host.Host, mounted []Mount) string {
	return h.Canonical(l.Target, func(path string) bool { return IsOn(path, mounted) })
}

// IsOn reports whether one of the mounts is on a path.
func IsOn(path string, mounted []Mount) bool {
	return slices.ContainsFunc(mounted, func(m Mount) bool { return m.Target == path })
}

// CheckTarget tells why nothing can be mounted on a path; the error does not name it. A link is left to mount.cifs, since it
// may lead to a mount whose server is gone.
func CheckTarget(h host.Host, target string) error {
	info, err := os.Lstat(h.Entry(target))
	if err == nil && !info.IsDir() && info.Mode()&os.ModeSymlink == 0 {
		return errors.New("it is not a directory")
	}
	return host.WithoutPath(err)
}

// TargetInvalid is the fault of a mount point with what CheckTarget says of it, or another error.
func TargetInvalid(target string, err error) *fault.Fault {
	repair := "name a directory as the mount point"
	if errors.Is(err, fs.ErrNotExist) {
		repair = "mkdir -p " + fault.Word("target", target)
	}
	return fault.TargetInvalid.New(target, repair).Because(err)
}

// EscapeFstab writes a value as a field of fstab(5).
func EscapeFstab(value string) string {
	return strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`).Replace(value)
}

// UnitOf is the name of a mount point's unit without its suffix (systemd-escape(1), --path), "" where there is none. systemd
// follows the links of fstab's mount points: see FstabLine.Place.
func UnitOf(target string) string {
	target = strings.Trim(filepath.Clean(target), "/")
	if target == "" || target == "." {
		return ""
	}
	var b strings.Builder
	for i := range len(target) {
		c := target[i]
		if c == '/' {
			b.WriteByte('-')
		} else if c == '.' && i == 0 || !strings.ContainsRune(unitLetters, rune(c)) {
			fmt.Fprintf(&b, `\x%02x`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// unitLetters need no escape in the name of a unit.
const unitLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_."
