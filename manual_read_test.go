package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/cli"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

// page is a part of a manual page in mdoc(7): its lines as words.
type page [][]string

func readPage(t *testing.T, name string) page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("packaging", "man", name))
	if err != nil {
		t.Fatal(err)
	}
	var p page
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, ".") {
			p = append(p, strings.Fields(strings.ReplaceAll(line[1:], `\&`, "")))
		}
	}
	return p
}

// part is what is under a heading: macro Sh is a section, Ss a part of one.
func (p page) part(t *testing.T, macro, title string) page {
	t.Helper()
	begin := slices.IndexFunc(p, func(line []string) bool {
		return line[0] == macro && strings.Join(line[1:], " ") == title
	})
	if begin < 0 {
		t.Fatalf("there is no .%s %s", macro, title)
	}
	rest := p[begin+1:]
	end := slices.IndexFunc(rest, func(line []string) bool { return line[0] == "Sh" || line[0] == macro })
	if end < 0 {
		end = len(rest)
	}
	return rest[:end]
}

// headings are the titles of all lines with a macro.
func (p page) headings(macro string) (titles []string) {
	for _, line := range p {
		if line[0] == macro {
			titles = append(titles, strings.Join(line[1:], " "))
		}
	}
	return titles
}

// items are the lines that begin an item of a list.
func (p page) items() (items page) {
	for _, line := range p {
		if line[0] == "It" {
			items = append(items, line)
		}
	}
	return items
}

var macroName = regexp.MustCompile(`^[A-Z][a-z]$`)

// arguments are the words that a macro is given, without punctuation.
func (p page) arguments(macro string) (all []string) {
	for _, line := range p {
		current := ""
		for _, word := range line {
			switch {
			case macroName.MatchString(word):
				current = word
			case current == macro && strings.Trim(word, ",.:;|()") != "":
				all = append(all, word)
			}
		}
	}
	return all
}

// flags are the arguments of Fl with the hyphen that it adds.
func (p page) flags() (all []string) {
	for _, name := range p.arguments("Fl") {
		all = append(all, "-"+name)
	}
	return all
}

// synopsis gives the flags of each command; the command is what the first Cm of a block is given.
func (p page) synopsis(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	var command string
	for _, line := range p.part(t, "Sh", "SYNOPSIS") {
		switch {
		case line[0] == "Nm":
			command = ""
			continue
		case command == "" && line[0] == "Cm":
			command = strings.Join(line[1:], " ")
		}
		all[command] = append(all[command], page{line}.flags()...)
	}
	return all
}

// keys gives the names before a colon in a list's items; those of a list in a list are parent.name.
func (p page) keys() (all []string) {
	var parents []string // of the lists that are open
	last := ""
	for _, line := range p {
		switch line[0] {
		case "Bl":
			parents = append(parents, last)
		case "El":
			parents = parents[:len(parents)-1]
		case "It":
			for i, word := range line[1:] {
				if word == ":" {
					last = strings.TrimPrefix(parents[len(parents)-1]+"."+line[i], ".")
					all = append(all, last)
				}
			}
		}
	}
	return all
}

// run is azfilesauth with these arguments, and what it prints.
func run(t *testing.T, args ...string) string {
	t.Helper()
	var out, errors bytes.Buffer
	app := cli.App{Stdout: &out, Stderr: &errors, Version: "2", Host: host.Host{Config: "/nonexistent"}, Watch: func(host.Host, string) int { return 0 }}
	if status := app.Run(append([]string{"azfilesauth"}, args...)); status != 0 {
		t.Fatalf("azfilesauth %q: exit status %d: %s", args, status, &errors)
	}
	return out.String()
}

// matches gives what the group of a pattern matched.
func matches(pattern, text string) (all []string) {
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		all = append(all, m[1:]...)
	}
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}

// source is a Go file or a folder of them without their tests.
func source(t *testing.T, path string) (files []ast.Node) {
	t.Helper()
	names := []string{path}
	if !strings.HasSuffix(path, ".go") {
		names, _ = filepath.Glob(filepath.Join(path, "*.go"))
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// function is the body of a function or method in a Go file.
func function(t *testing.T, path, name string) ast.Node {
	t.Helper()
	for _, f := range source(t, path) {
		for _, d := range f.(*ast.File).Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == name {
				return fn.Body
			}
		}
	}
	t.Fatalf("%s has no function %s", path, name)
	return nil
}

// literals are the strings and the characters in a piece of Go that match a pattern as a whole.
func literals(pattern string, nodes ...ast.Node) (all []string) {
	whole := regexp.MustCompile(`^(?:` + pattern + `)$`)
	for _, n := range nodes {
		ast.Inspect(n, func(n ast.Node) bool {
			if text, ok := literal(n); ok && whole.MatchString(text) {
				all = append(all, text)
			}
			return true
		})
	}
	return all
}

func literal(n ast.Node) (string, bool) {
	l, ok := n.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING && l.Kind != token.CHAR {
		return "", false
	}
	if l.Kind == token.CHAR {
		return strings.Trim(l.Value, "'"), true
	}
	text, err := strconv.Unquote(l.Value)
	return text, err == nil
}

// fields are the texts that begin the composite literals of a function, such as {"key", take}; those
// of a literal within another one are parent.text.
func fields(n ast.Node) (all []string) {
	var within func(parent string) func(ast.Node) bool
	within = func(parent string) func(ast.Node) bool {
		return func(n ast.Node) bool {
			c, ok := n.(*ast.CompositeLit)
			if !ok || len(c.Elts) == 0 {
				return true
			}
			name, ok := literal(c.Elts[0])
			if !ok {
				return true
			}
			name = strings.TrimPrefix(parent+"."+name, ".")
			all = append(all, name)
			for _, e := range c.Elts[1:] {
				ast.Inspect(e, within(name))
			}
			return false
		}
	}
	ast.Inspect(n, within(""))
	return all
}

// jsonKeys are those of a struct in a package, given as folder.Type.
func jsonKeys(t *testing.T, name string) (keys []string) {
	t.Helper()
	dot := strings.LastIndex(name, ".")
	for _, f := range source(t, name[:dot]) {
		ast.Inspect(f, func(n ast.Node) bool {
			s, ok := n.(*ast.TypeSpec)
			if !ok || s.Name.Name != name[dot+1:] {
				return true
			}
			for _, field := range s.Type.(*ast.StructType).Fields.List {
				if field.Tag != nil {
					key, _, _ := strings.Cut(reflect.StructTag(strings.Trim(field.Tag.Value, "`")).Get("json"), ",")
					if key != "-" {
						keys = append(keys, key)
					}
				}
			}
			return false
		})
	}
	if len(keys) == 0 {
		t.Fatalf("there is no %s with JSON keys", name)
	}
	return keys
}

// same compares two lists as sets.
func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	got, want = set(got), set(want)
	for _, g := range got {
		if !slices.Contains(want, g) {
			t.Errorf("%s: %q is there, and is none", what, g)
		}
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("%s: %q is missing", what, w)
		}
	}
	if len(want) == 0 {
		t.Errorf("%s: nothing was compared", what)
	}
}

func set(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }

// without is a list without some words.
func without(list []string, words ...string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(words, s) })
}
