package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// frontPage is how long README.md may be: what a newcomer reads before the first mount.
const frontPage = 9 << 10 // bytes

var (
	link    = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	table   = regexp.MustCompile(`(?m)^ {4,}(//\S+ +/\S+ +azfiles .*)$`)
	keys    = regexp.MustCompile(`(?m)^    (?:USER_UID|default_identity|identities|endpoints|metrics|proxy):.*\n(?:    .*\n)*`)
)

func TestFrontPageIsShort(t *testing.T) {
	info, err := os.Stat("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > frontPage {
		t.Errorf("README.md has %d bytes, more than %d: move what the first mount does not need to docs/", info.Size(), frontPage)
	}
}

// Every link of a page to a file of the repository, and to a heading in it, leads somewhere, and every page
// of docs/ can be reached from README.md.
func TestDocsLinks(t *testing.T) {
	reached := map[string]bool{}
	queue := []string{"README.md", "CONTRIBUTING.md", "SECURITY.md"}
	for len(queue) > 0 {
		page := queue[0]
		queue = queue[1:]
		if reached[page] {
			continue
		}
		reached[page] = true
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s is not there", page, m[1])
				continue
			}
			if anchor != "" && !anchors(read(t, target))[anchor] {
				t.Errorf("%s: %s has no heading for #%s", page, target, anchor)
			}
			if strings.Contains(anchor, "--") {
				t.Errorf("%s: #%s is another name where the site is made, which makes one hyphen of two", page, anchor)
			}
			if filepath.Ext(target) == ".md" {
				queue = append(queue, target)
			}
		}
	}
	pages, err := filepath.Glob("docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages in docs: %v", err)
	}
	for _, page := range pages {
		if !reached[page] {
			t.Errorf("no link leads from README.md to %s", page)
		}
	}
}

// What README and docs propose for /etc/fstab mounts, and what they propose for the configuration is valid.
func TestDocsHaveExamplesThatAreValid(t *testing.T) {
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	lines, configurations := 0, 0
	for _, page := range append(pages, "README.md") {
		for _, m := range table.FindAllStringSubmatch(read(t, page), -1) {
			fstab, _, err := mounts.ParseFstab(strings.NewReader(m[1]))
			if err != nil || len(fstab) != 1 {
				t.Fatalf("%s: %s: %v", page, m[1], err)
			}
			if login := fstab[0].Options.Login(); login.Err() != nil || len(login.Notes) > 0 {
				t.Errorf("%s: %s: %v, %q", page, m[1], login.Err(), login.Notes)
			}
			lines++
		}
		for _, block := range keys.FindAllString(read(t, page), -1) {
			if _, more, err := config.CheckContent(host.Beneath(t.TempDir()), []byte(strings.ReplaceAll("\n"+block, "\n    ", "\n"))); err != nil || len(more) > 0 {
				t.Errorf("%s: %v, %q\n%s", page, err, more, block)
			}
			configurations++
		}
	}
	if lines < 5 || configurations < 3 {
		t.Errorf("only %d lines and %d configurations were found", lines, configurations)
	}
}

// Every test that SECURITY.md names as the proof of a promise is there.
func TestSecurityNamesTests(t *testing.T) {
	named := regexp.MustCompile("`([a-z]+)\\.((?:Test|Fuzz)[A-Za-z0-9]+)`").FindAllStringSubmatch(read(t, "SECURITY.md"), -1)
	if len(named) == 0 {
		t.Fatal("SECURITY.md names no test")
	}
	for _, m := range named {
		files, err := filepath.Glob("internal/" + m[1] + "/*_test.go")
		if err != nil {
			t.Fatal(err)
		}
		dir := m[1]
		if dir == "main" { // the package of the top directory
			dir = "."
		}
		more, err := filepath.Glob(dir + "/*_test.go")
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, file := range append(files, more...) {
			found = found || strings.Contains(read(t, file), "func "+m[2]+"(")
		}
		if !found {
			t.Errorf("SECURITY.md names %s.%s, which is no test", m[1], m[2])
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// anchors are the names that a forge gives to the headings of a page: lower case, letters, digits, hyphens
// and underlines stay, spaces become hyphens.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		found[strings.Map(func(r rune) rune {
			if r == ' ' {
				return '-'
			}
			if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_' {
				return unicode.ToLower(r)
			}
			return -1
		}, m[1])] = true
	}
	return found
}

// explain links to the page of all failures, where each has its place, and on the same site as the alerts' runbooks are.
func TestEveryFailureHasAnAnchor(t *testing.T) {
	page := read(t, "docs/faults.md")
	there := anchors(page)
	for _, m := range regexp.MustCompile(`<a id="([^"]+)"></a>`).FindAllStringSubmatch(page, -1) {
		there[m[1]] = true
	}
	for _, k := range fault.Table() {
		base, anchor, _ := strings.Cut(k.ID.Page(), "#")
		if base != fault.Docs || !there[anchor] {
			t.Errorf("%s is not on the page", k.ID.Page())
		}
	}
	site := strings.TrimSuffix(fault.Docs, "faults/")
	for _, name := range []string{"packaging/site/mkdocs.yml", "packaging/prometheus/azfilesauth.rules.yml"} {
		if !strings.Contains(read(t, name), site) {
			t.Errorf("%s has another site than %s", name, site)
		}
	}
	if !there["checks"] {
		t.Error("explain links to the heading of the checks, which is not there")
	}
}
