package krb5conf

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

// reading is the reading of one file. Its state is its own, but what it finds joins the rest.
type reading struct {
	*Profile
	files   Files
	path    string
	depth   int
	begun   bool // a section header was seen; what stands before the first is skipped
	section []string
	opens   bool // the last tag's value begins on the next line
}

// refuse notes what libkrb5 stumbles over first.
func (p *Profile) refuse(place, text, fix string) {
	if p.Err == nil {
		p.Err = &Error{place, text, fix}
	}
}

// parse reads one file's content.
func (p *Profile) parse(files Files, path, content string, depth int) {
	r := &reading{Profile: p, files: files, path: path, depth: depth}
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(content, "\ufeff")) {
		n++
		if p.lines++; p.lines > maxLines {
			p.refuse(path, "it is too long", "")
			p.full = true
		}
		if p.full {
			return
		}
		r.line(strings.TrimRight(line, "\r\n"), fmt.Sprintf("%s:%d", path, n))
	}
}

// space is isspace(3) in the C locale.
const space = " \t\n\v\f\r"

// line reads one line.
func (r *reading) line(line, place string) {
	if path, ok := directive(line, "include"); ok {
		r.include(path, place)
		return
	}
	if path, ok := directive(line, "includedir"); ok {
		r.includeDir(path, place)
		return
	}
	if !r.begun && !strings.HasPrefix(line, "[") {
		return
	}
	r.begun = true
	text := strings.Trim(line, space)
	if text == "" || text[0] == ';' || text[0] == '#' {
		return
	}
	problem := ""
	if r.opens {
		r.opens = false
		if text[0] != '{' {
			problem = "an opening { is missing"
		}
	} else if text[0] == '[' {
		problem = r.header(text)
	} else if text[0] == '}' {
		problem = r.leave()
	} else {
		problem = r.relation(text, place)
	}
	if problem != "" {
		r.refuse(place, problem, "")
	}
}

// directive takes the argument of a line that begins with a word.
func directive(line, word string) (arg string, ok bool) {
	rest, ok := strings.CutPrefix(line, word)
	if !ok || rest == "" || !strings.ContainsRune(space, rune(rest[0])) {
		return "", false
	}
	return strings.TrimLeft(rest, space), true // a space at the end is part of the path
}

// header reads "[section]", or tells what is wrong with it.
func (r *reading) header(text string) (problem string) {
	nested := len(r.section) > 1
	name, rest, closed := strings.Cut(text[1:], "]")
	if nested {
		problem = "a section begins before the } of the one before"
	} else if !closed {
		return "the ] of a section's name is missing"
	} else if strings.Trim(strings.TrimPrefix(rest, "*"), space) != "" {
		problem = "something follows the ] of a section's name"
	}
	r.section = []string{name}
	return problem
}

// leave reads "}".
func (r *reading) leave() (problem string) {
	if len(r.section) < 2 {
		return "there is a } too many"
	}
	r.section = r.section[:len(r.section)-1]
	return ""
}

// relation reads "tag = value" or "tag = {". A * at the end of the tag makes the value final, which
// changes nothing for the one that is met first.
func (r *reading) relation(text, place string) (problem string) {
	tag, value, found := strings.Cut(text, "=")
	tag = strings.TrimRight(tag, space)
	if !found {
		return "there is no ="
	}
	if tag == "" {
		return "there is nothing before the ="
	}
	if strings.ContainsAny(tag, space) {
		return "there is a space within what stands before the ="
	}
	if len(r.section) == 0 {
		return "it is in no section"
	}
	tag = strings.TrimSuffix(tag, "*")
	value = strings.TrimLeft(value, space)
	if value == "" || value[0] == '{' && strings.Trim(value[1:], space) == "" {
		r.opens = value == ""
		r.section = append(slices.Clip(r.section), tag)
		return ""
	}
	if value[0] == '"' {
		value = unquote(value[1:])
	}
	r.Relations = append(r.Relations, Relation{strings.Join(r.section, "/"), tag, value, place})
	return ""
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
func (r *reading) include(path, place string) {
	if r.included++; r.included > maxFiles || r.depth == maxDepth {
		r.refuse(r.path, "it includes too many files, or itself", "")
		r.full = true
		return
	}
	if !slices.Contains(r.Paths, path) {
		r.Paths = append(r.Paths, path)
	}
	content, err := r.files.ReadFile(path)
	if !filepath.IsAbs(path) || err != nil {
		r.refuse(place, fmt.Sprintf("the file %s that it includes cannot be read%s", path, because(path, err)), "")
		return
	}
	r.parse(r.files, path, string(content), r.depth+1)
}

// includeDir reads the files of a directory: those with plain names, and those that end in .conf.
func (r *reading) includeDir(path, place string) {
	r.Directories = append(r.Directories, filepath.Clean(path))
	entries, err := r.files.ReadDir(path)
	if !filepath.IsAbs(path) || err != nil {
		fix := ""
		if errors.Is(err, fs.ErrNotExist) && filepath.IsAbs(path) && !endsInSpace(path) {
			fix = "mkdir -p " + fault.Word("directory", path)
		}
		r.refuse(place, fmt.Sprintf("the directory %s that it includes cannot be read%s", path, because(path, err)), fix)
		return
	}
	for _, e := range entries {
		if includable(e.Name()) && !r.full {
			r.include(filepath.Join(path, e.Name()), place)
		}
	}
}

func endsInSpace(path string) bool { return strings.TrimRight(path, space) != path }

func because(path string, err error) string {
	if err == nil {
		return ": its path must begin with /"
	}
	if endsInSpace(path) {
		return ": for libkrb5 the space at the end of the line belongs to its name"
	}
	return ": " + host.WithoutPath(err).Error()
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
