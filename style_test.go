package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// term is a row of the table in docs/style.md.
type term struct {
	*regexp.Regexp
	instead string
}

// terms reads the table.
func terms(t *testing.T) (all []term) {
	t.Helper()
	page, err := os.ReadFile("docs/style.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 || strings.Contains(cells[1], "---") || strings.Contains(cells[1], "do not write") {
			continue
		}
		var words []string
		for word := range strings.SplitSeq(cells[1], ",") {
			words = append(words, regexp.QuoteMeta(strings.TrimSpace(word)))
		}
		all = append(all, term{regexp.MustCompile(`(?i)(^|[^\w-])(` + strings.Join(words, "|") + `)($|[^\w-])`), strings.TrimSpace(cells[2])})
	}
	if len(all) < 10 {
		t.Fatalf("the table has %d rows", len(all))
	}
	return all
}

// installed are the files that a person reads on a machine, in a package's description or beside a recipe.
var installed = []string{
	"etc", "packaging/apparmor", "packaging/helm/azfilesauth", "packaging/kubernetes/node", "packaging/kubernetes/remove", "packaging/prometheus",
	"packaging/recipes", "packaging/debian/control", "packaging/rpm/azfilesauth.spec",
}

// names are texts that are ids: they stay.
var names = []string{"folder", "folders"}

// TestTextsKeepToTheTerms: what people read is in the terms of docs/style.md.
func TestTextsKeepToTheTerms(t *testing.T) {
	all := terms(t)
	examined := 0
	examine := func(where, text string) {
		examined++
		text = strings.ReplaceAll(text, "here is no ", "")
		for _, term := range all {
			if found := term.FindStringSubmatch(text); found != nil {
				t.Errorf("%s: %q: write %q", where, found[2], term.instead)
			}
		}
	}
	out, err := exec.Command("git", "ls-files").Output()
	if err != nil {
		t.Skip("needs the repository: ", err)
	}
	for path := range strings.Lines(string(out)) {
		path = strings.TrimSuffix(path, "\n")
		if under(path, installed) && filepath.Ext(path) != ".go" {
			examineLines(t, path, examine, func(string) bool { return true })
			continue
		}
		switch filepath.Ext(path) {
		case ".go":
			if !strings.HasSuffix(path, "_test.go") && !under(path, []string{"internal/lab", "internal/azurefake"}) {
				examineLiterals(t, path, examine)
			}
		case ".3", ".5", ".7", ".8":
			examineLines(t, path, examine, func(line string) bool {
				return !strings.HasPrefix(line, ".It") && !strings.HasPrefix(line, `.\"`) && !slices.Contains(names, strings.TrimSpace(line))
			})
		case ".md":
			if path != "docs/style.md" {
				examineLines(t, path, examine, func(string) bool { return true })
			}
		case ".txtar":
			if under(path, []string{"internal/lab/stories", "internal/lab/systemd"}) {
				examineLines(t, path, examine, func(line string) bool { return strings.HasPrefix(line, "#") })
			}
		}
	}
	if examined < 3000 {
		t.Errorf("only %d texts were examined", examined)
	}
}

// examineLines examines the wanted lines of a file.
func examineLines(t *testing.T, path string, examine func(where, text string), wanted func(line string) bool) {
	t.Helper()
	content, err := os.ReadFile(path)
	if os.IsNotExist(err) { // it was removed, and the index does not know yet
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(content)) {
		if n++; wanted(line) {
			examine(path+":"+strconv.Itoa(n), line)
		}
	}
}

// examineLiterals examines the texts in a file of Go: its string literals, but for the tags of fields and ids.
func examineLiterals(t *testing.T, path string, examine func(where, text string)) {
	t.Helper()
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if os.IsNotExist(err) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if field, ok := n.(*ast.Field); ok {
			field.Tag = nil
		}
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			text, err := strconv.Unquote(l.Value)
			if err == nil && !slices.Contains(names, text) {
				examine(files.Position(l.Pos()).String(), text)
			}
		}
		return true
	})
}

// TestTermsAreFound: the lint can fail, and leaves ids alone.
func TestTermsAreFound(t *testing.T) {
	all := terms(t)
	for text, want := range map[string]bool{
		"make the Folder, now": true, "it was started anew.": true, "no, mend that": true, "client_id is no GUID": true,
		"state-folders": false, "AZF-CCACHE-FOLDER": false, "a recommendation": false, "renewed": false,
	} {
		if got := slices.ContainsFunc(all, func(a term) bool { return a.MatchString(text) }); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// absent are programs that a minimal Debian or RHEL does not have, with the package that a text must name beside them.
var absent = map[string]string{
	"curl": "curl", "wget": "wget", "dig": "dnsutils", "nslookup": "dnsutils", "nc": "netcat", "jq": "jq", "fuser": "psmisc", "lsof": "lsof",
	"telnet": "telnet", "tcpdump": "tcpdump", "openssl": "openssl", "iptables": "iptables", "nft": "nftables",
}

// notTold are files in which no person is told to run the program.
var notTold = []string{"internal/bundle/system.go"} // collects what the programs print, where they are

// What the programs tell a person to run is there on a minimal system, or the text names its package.
func TestTextsNameToolsThatAreThere(t *testing.T) {
	run := regexp.MustCompile(`(?:^|[;:|(&] ?|then |with |or )(` + strings.Join(slices.Sorted(maps.Keys(absent)), "|") + `) [-+/@'<{a-z]`)
	for _, dir := range []string{"internal", "mounthelper", "upcall", "watcher"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") ||
				strings.HasPrefix(path, "internal/lab/") || strings.HasPrefix(path, "internal/azurefake/") || slices.Contains(notTold, path) {
				return err
			}
			source, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					for _, m := range run.FindAllStringSubmatch(strings.Trim(lit.Value, "\"`"), -1) {
						if !strings.Contains(string(source), "package "+absent[m[1]]) {
							t.Errorf("%s: %s is not on every system, and its package is not named: %s", path, m[1], lit.Value)
						}
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
