package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// A krb5.conf is a profile of MIT Kerberos (krb5.conf(5); util/profile/prof_parse.c): sections of
// relations, of which some are sections again, and directives that read further files as if they
// stood there. libkrb5 refuses the whole when any part is wrong.

// Bounds of what is read; libkrb5 has none.
const (
	maxKrb5Files = 200
	maxKrb5Depth = 10
	maxKrb5Lines = 100_000
)

// krb5Conf is what was read of a profile.
type krb5Conf struct {
	missing   bool // there is no file at all
	relations []relation
	files     int
	lines     int
	err       error // a *krb5Error, or that of reading the first file
}

// relation is one "tag = value", with the names of the sections that it is in.
type relation struct {
	section string // such as "libdefaults", or "realms/EXAMPLE.COM" for a section in a section
	tag     string
	value   string
	place   string // FILE:LINE
}

// krb5Error is what makes libkrb5 refuse a profile.
type krb5Error struct {
	place string // FILE:LINE
	text  string
	fix   string // "" is to correct the line
}

func (e *krb5Error) Error() string { return e.place + ": " + e.text }

// reader gives the content of a file and the names in a folder.
type reader interface {
	ReadFile(path string) ([]byte, error)
	ReadDir(path string) ([]fs.DirEntry, error)
}

// readKrb5 reads the profile at path and all that it includes.
func readKrb5(files reader, path string) *krb5Conf {
	c := &krb5Conf{}
	content, err := files.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.missing = true
	case err != nil:
		c.err = err
	default:
		c.err = c.parse(files, path, string(content), 0)
	}
	return c
}

// profile is the reading of one file.
type profile struct {
	*krb5Conf
	files   reader
	path    string
	depth   int
	begun   bool // a section header was seen; what stands before the first is skipped
	section []string
	opens   bool // the last tag's value begins on the next line
}

// parse reads one file's content. Its state is its own, but what it finds joins the rest.
func (c *krb5Conf) parse(files reader, path, content string, depth int) error {
	if c.files++; c.files > maxKrb5Files || depth > maxKrb5Depth {
		return &krb5Error{place: path, text: "it includes too many files, or itself"}
	}
	p := &profile{krb5Conf: c, files: files, path: path, depth: depth}
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(content, "\ufeff")) {
		n++
		if c.lines++; c.lines > maxKrb5Lines {
			return &krb5Error{place: path, text: "it is too long"}
		}
		line = strings.TrimRight(line, "\r\n")
		if err := p.line(line, fileLine(path, n)); err != nil {
			return err
		}
	}
	return nil
}

// profileSpace is isspace(3) in the C locale.
const profileSpace = " \t\n\v\f\r"

// line reads one line.
func (p *profile) line(line, place string) error {
	if arg, ok := directive(line, "include"); ok {
		return p.include(arg, place)
	}
	if arg, ok := directive(line, "includedir"); ok {
		return p.includeDir(arg, place)
	}
	if !p.begun && !strings.HasPrefix(line, "[") {
		return nil
	}
	p.begun = true
	text := strings.Trim(line, profileSpace)
	switch {
	case text == "" || text[0] == ';' || text[0] == '#':
		return nil
	case p.opens:
		if text[0] != '{' {
			return &krb5Error{place: place, text: "an opening { is missing"}
		}
		p.opens = false
		return nil
	case text[0] == '[':
		return p.header(text, place)
	case text[0] == '}':
		if len(p.section) < 2 {
			return &krb5Error{place: place, text: "there is a } too many"}
		}
		p.section = p.section[:len(p.section)-1]
		return nil
	}
	return p.relation(text, place)
}

// directive takes the argument of a line that begins with a word.
func directive(line, word string) (arg string, ok bool) {
	rest, ok := strings.CutPrefix(line, word)
	if !ok || rest == "" || !strings.ContainsRune(profileSpace, rune(rest[0])) {
		return "", false
	}
	return strings.Trim(rest, profileSpace), true
}

// header reads "[section]".
func (p *profile) header(text, place string) error {
	name, rest, closed := strings.Cut(text[1:], "]")
	switch {
	case len(p.section) > 1:
		return &krb5Error{place: place, text: "a section begins before the } of the one before"}
	case !closed:
		return &krb5Error{place: place, text: "the ] of a section's name is missing"}
	case strings.Trim(strings.TrimPrefix(rest, "*"), profileSpace) != "":
		return &krb5Error{place: place, text: "something follows the ] of a section's name"}
	}
	p.section = []string{name}
	return nil
}

// relation reads "tag = value" or "tag = {".
func (p *profile) relation(text, place string) error {
	tag, value, found := strings.Cut(text, "=")
	tag = strings.TrimRight(tag, profileSpace)
	switch {
	case !found:
		return &krb5Error{place: place, text: "there is no ="}
	case tag == "":
		return &krb5Error{place: place, text: "there is nothing before the ="}
	case strings.ContainsAny(tag, profileSpace):
		return &krb5Error{place: place, text: "there is a space within what stands before the ="}
	case len(p.section) == 0:
		return &krb5Error{place: place, text: "it is in no section"}
	}
	tag = strings.TrimSuffix(tag, "*")
	value = strings.TrimLeft(value, profileSpace)
	if value == "" || value[0] == '{' && strings.Trim(value[1:], profileSpace) == "" {
		p.opens = value == ""
		p.section = append(p.section[:len(p.section):len(p.section)], tag)
		return nil
	}
	if value[0] == '"' {
		value = unquote(value[1:])
	}
	p.relations = append(p.relations, relation{strings.Join(p.section, "/"), tag, value, place})
	return nil
}

// unquote reads what follows a quotation mark, up to the next.
func unquote(text string) string {
	var b strings.Builder
	for i := 0; i < len(text) && text[i] != '"'; i++ {
		c := text[i]
		if c == '\\' && i+1 < len(text) {
			i++
			c = map[byte]byte{'n': '\n', 't': '\t', 'b': '\b'}[text[i]]
			if c == 0 {
				c = text[i]
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}

// include reads another file.
func (p *profile) include(path, place string) error {
	content, err := p.files.ReadFile(path)
	if !filepath.IsAbs(path) || err != nil {
		return &krb5Error{place, fmt.Sprintf("the file %s that it includes cannot be read%s", path, because(err)), ""}
	}
	return p.parse(p.files, path, string(content), p.depth+1)
}

// includeDir reads the files of a folder: those with plain names, and those that end in .conf.
func (p *profile) includeDir(path, place string) error {
	entries, err := p.files.ReadDir(path)
	if !filepath.IsAbs(path) || err != nil {
		fix := ""
		if errors.Is(err, fs.ErrNotExist) && filepath.IsAbs(path) {
			fix = "mkdir -p " + path
		}
		return &krb5Error{place, fmt.Sprintf("the folder %s that it includes cannot be read%s", path, because(err)), fix}
	}
	for _, e := range entries {
		if !includable(e.Name()) {
			continue
		}
		if err := p.include(filepath.Join(path, e.Name()), place); err != nil {
			return err
		}
	}
	return nil
}

func because(err error) string {
	if err == nil {
		return ": its path must begin with /"
	}
	return ": " + reason(err).Error()
}

// includable reports whether includedir reads a file of that name.
func includable(name string) bool {
	if strings.HasPrefix(name, ".") {
		return false
	}
	if strings.HasSuffix(name, ".conf") {
		return true
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// get gives the first value of a relation, which is the one that counts.
func (c *krb5Conf) get(section, tag string) (relation, bool) {
	for _, r := range c.relations {
		if r.section == section && r.tag == tag {
			return r, true
		}
	}
	return relation{}, false
}
