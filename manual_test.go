package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
	"github.com/azfilesauth/azfilesauth/internal/setup"
	"github.com/azfilesauth/azfilesauth/mounthelper"
)

// What a program understands, what it tells of itself, what its manual page says and what a shell
// proposes are one and the same.

// command is a command of azfilesauth as its help shows it.
type command struct {
	name  string   // such as "config check", "" is azfilesauth itself
	flags []string // with their hyphens
	below []string // names of its commands
}

func commandTree(t *testing.T) (all []command) {
	t.Helper()
	todo := []string{""}
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		help := run(t, append(strings.Fields(name), "--help")...)
		c := command{name: name, flags: matches(`(?m)^ +(?:(-\w), |)(--[\w-]+)`, help)}
		if _, list, group := strings.Cut(help, "Available Commands:\n"); group {
			list, _, _ = strings.Cut(list, "\n\n")
			c.below = matches(`(?m)^  (\S+)`, list)
		}
		for _, below := range c.below {
			todo = append(todo, strings.TrimSpace(name+" "+below))
		}
		all = append(all, c)
	}
	return all
}

// everywhere are flags that each command has.
var everywhere = []string{"-h", "--help", "--json"}

func long(flags []string) []string {
	return slices.DeleteFunc(slices.Clone(flags), func(f string) bool { return !strings.HasPrefix(f, "--") })
}

func TestManualOfCommands(t *testing.T) {
	main := readPage(t, "azfilesauth.8")
	var names []string
	for _, c := range commandTree(t) {
		switch {
		case c.name == "":
			same(t, "azfilesauth(8)", main.part(t, "Sh", "DESCRIPTION").flags(), c.flags)
		case len(c.below) == 0 || c.name == "doctor": // a command by itself
			names = append(names, c.name)
			inManual(t, c, main)
		}
	}
	var written []string
	for name := range main.synopsis(t) {
		written = append(written, name)
	}
	same(t, "SYNOPSIS of azfilesauth(8)", written, names)
	same(t, "COMMANDS of azfilesauth(8)", main.headings("Ss"), without(names, "doctor config check"))
}

// inManual checks what is written of a command: its synopsis, and its flags one by one in
// azfilesauth(8) or in a page of their own.
func inManual(t *testing.T, c command, main page) {
	t.Helper()
	own := without(c.flags, everywhere...)
	if len(own) == 0 {
		return
	}
	same(t, "SYNOPSIS of azfilesauth(8), "+c.name, main.synopsis(t)[c.name], long(own))
	first, _, below := strings.Cut(c.name, " ")
	name := "azfilesauth-" + first + ".8"
	if !exists(filepath.Join("packaging", "man", name)) {
		same(t, "azfilesauth(8), "+c.name, main.part(t, "Ss", c.name).items().flags(), own)
		return
	}
	page := readPage(t, name)
	same(t, "SYNOPSIS of "+name, without(page.synopsis(t)[c.name], everywhere...), long(own))
	if !below { // else it is described with its parent
		same(t, name, without(page.part(t, "Sh", "DESCRIPTION").items().flags(), everywhere...), own)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestCompletionOfCommands(t *testing.T) {
	for _, c := range commandTree(t) {
		proposed := func(word string) []string {
			out := run(t, append(append([]string{"completion", "words", "--"}, strings.Fields(c.name)...), word)...)
			if strings.Contains(out, "`") {
				t.Errorf("completion of %s: back-quotes in %s", c.name, out)
			}
			return matches(`(?m)^([^:\s][^\t\n]*)`, out)
		}
		same(t, "completion of "+c.name+" -", proposed("-"), c.flags)
		if len(c.below) > 0 {
			same(t, "completion of "+c.name, proposed(""), c.below)
		}
	}
}

// programs are those that read their command line themselves: the page, where the command line is
// read, and where the help is.
var programs = [][3]string{
	{"azfilesauthmanager.8", "internal/compat/args.go", "internal/compat/compat.go"},
	{"azfilesrefresh.8", "watcher/args.go", "watcher/args.go"},
	{"azfiles.upcall.8", "upcall/upcall.go", "upcall/upcall.go"},
	{"mount.azfiles.8", "mounthelper/argv.go", "mounthelper/helper.go"},
}

func TestManualOfSwitches(t *testing.T) {
	for _, p := range programs {
		reader := source(t, p[1])
		want := literals(`--?[a-zA-Z][a-z-]*`, reader...)
		for _, letter := range literals(`[a-zA-Z]`, reader...) {
			want = append(want, "-"+letter)
		}
		page := readPage(t, p[0])
		same(t, "items of "+p[0], page.items().flags(), want)
		same(t, p[0], without(page.flags(), "-fnsv"), want)
		help := strings.Join(literals(`(?s).*\n.*`, source(t, p[2])...), "\n")
		same(t, "help of "+p[0], matches(`(?:^|[\s\[(|])(-[A-Za-z]|--[a-z][a-z-]+)\b`, help), want)
	}
}

// A page of azfilesauth names no flag that none of its commands has.
func TestManualNamesNoOtherFlag(t *testing.T) {
	known := []string{"-v", "--version"}
	for _, c := range commandTree(t) {
		known = append(known, c.flags...)
	}
	pages, err := filepath.Glob("packaging/man/azfilesauth*.[578]")
	if err != nil || len(pages) < 8 {
		t.Fatal(pages, err)
	}
	for _, page := range pages {
		for _, flag := range readPage(t, filepath.Base(page)).flags() {
			if !slices.Contains(known, flag) && !strings.HasSuffix(page, "manager.8") {
				t.Errorf("%s: there is no flag %s", page, flag)
			}
		}
	}
}

// Every command line of azfilesauth in README and docs is one that it takes: the command is there, and so are its flags.
func TestDocsNameCommandsThatAreThere(t *testing.T) {
	tree := map[string]command{}
	for _, c := range commandTree(t) {
		tree[c.name] = c
	}
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range append(pages, "README.md", "SECURITY.md", "CONTRIBUTING.md") {
		for _, m := range commandLine.FindAllStringSubmatch(read(t, page), -1) {
			words := strings.FieldsFunc(m[1], func(r rune) bool { return strings.ContainsRune(" [],=\"'", r) })
			if len(words) == 0 || strings.HasPrefix(words[0], "-") {
				continue
			}
			name := words[0]
			if _, ok := tree[strings.Join(words[:min(2, len(words))], " ")]; ok && len(words) > 1 {
				name += " " + words[1]
			}
			c, ok := tree[name]
			if !ok {
				t.Errorf("%s: there is no command azfilesauth %s", page, name)
				continue
			}
			found++
			for _, word := range words {
				if strings.HasPrefix(word, "-") && word != "-" && !slices.Contains(c.flags, word) {
					t.Errorf("%s: azfilesauth %s has no flag %s", page, name, word)
				}
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d command lines were found", found)
	}
}

// commandLine is one in a block of code, or between backticks, up to what belongs to the shell.
var commandLine = regexp.MustCompile("(?m)(?:^ {4,}(?:[^`\\n]*[|&;(] *)?|`)(?:sudo )?azfilesauth ([a-z][^`\\n|;&#<>()]*)")

func TestManualOfMountOptions(t *testing.T) {
	page := readPage(t, "mount.azfiles.8").part(t, "Sh", "OPTIONS")
	var written []string
	for _, word := range page.part(t, "Ss", "Options of azfiles").items().arguments("Cm") {
		if option, ok := strings.CutSuffix(word, "="); ok {
			written = append(written, option)
		}
	}
	known := mounts.Names(mounts.Own)
	same(t, "options of mount.azfiles(8)", written, known)
	var help strings.Builder
	(&mounthelper.Helper{Stdout: &help}).Run([]string{"mount.azfiles", "--help"})
	same(t, "help of mount.azfiles", matches(`\b([a-z_]+)=`, help.String()), known)

	dropped := append(without(mounts.Names(mounts.Dropped), "x-*"), "x-", "user") // the last where it has no value
	same(t, "dropped options", page.part(t, "Ss", "Options that are dropped").arguments("Cm"), dropped)

	words := page.part(t, "Ss", "Options that are refused").arguments("Cm")
	begins := func(word, rule string) bool { return strings.HasPrefix(word, strings.TrimSuffix(rule, "*")) }
	refused := mounts.Names(mounts.Refused)
	for _, word := range words {
		if !slices.ContainsFunc(refused, func(r string) bool { return begins(word, r) }) {
			t.Errorf("mount.azfiles(8): %s is not refused", word)
		}
	}
	for _, r := range refused {
		if !slices.ContainsFunc(words, func(word string) bool { return begins(word, r) }) {
			t.Errorf("mount.azfiles(8): that %s is refused is missing", r)
		}
	}
}

func TestManualOfConfiguration(t *testing.T) {
	page := readPage(t, "azfilesauth.yaml.5")
	var known, entry []string
	for _, k := range config.Schema() {
		if key, ok := strings.CutPrefix(k.Path, "identities.*."); ok {
			entry = append(entry, key)
		} else if !strings.HasSuffix(k.Path, "*") {
			known = append(known, strings.ReplaceAll(k.Path, ".*", ""))
		}
	}
	same(t, "keys", page.part(t, "Sh", "KEYS").keys(), known)
	identities := page.part(t, "Sh", "IDENTITIES")
	same(t, "keys of an entry", identities.part(t, "Ss", "Keys of an entry").keys(), entry)

	same(t, "kinds", identities.part(t, "Ss", "Kinds").items().arguments("Cm"), config.Defaults(host.Beneath(t.TempDir())).IdentityNames())
}

// What programs read is written down: the keys of each JSON value.
func TestManualOfJSON(t *testing.T) {
	for _, v := range []struct{ page, macro, part, types string }{
		{"azfilesauth.8", "Ss", "set", "internal/cli.granted"},
		{"azfilesauth.8", "Ss", "list", "internal/cli.listing internal/cli.listed"},
		{"azfilesauth.8", "Ss", "clear", "internal/cli.erased internal/cli.forgotten"},
		{"azfilesauth.8", "Ss", "status", "internal/cli.overview internal/cli.verdict internal/cli.mountedEndpoint internal/cli.absent internal/control.Status internal/control.Endpoint internal/control.Mount internal/control.Fault"},
		{"azfilesauth.8", "Ss", "refresh", "internal/cli.renewed internal/control.Outcome internal/control.Fault"},
		{"azfilesauth.8", "Ss", "explain", "internal/cli.explained internal/cli.catalogue internal/cli.explainedOptions internal/cli.explainedOption"},
		{"azfilesauth.8", "Ss", "config check", "internal/cli.checked"},
		{"azfilesauth.8", "Ss", "config show", "internal/cli.shownConfig internal/cli.setting"},
		{"azfilesauth.8", "Ss", "version", "internal/cli.version"},
		{"azfilesauth-doctor.8", "Sh", "JSON", "internal/cli.answer internal/cli.examined internal/doctor.Report internal/doctor.Finding"},
		{"azfilesauth-setup.8", "Sh", "JSON", "internal/cli.answer internal/cli.prepared internal/setup.Change"},
		{"azfilesauth-bundle.8", "Sh", "JSON", "internal/cli.answer internal/cli.packed"},
		{"azfilesauth.8", "Sh", "JSON", "internal/cli.answer internal/cli.failure"},
	} {
		var keys []string
		for name := range strings.FieldsSeq(v.types) {
			keys = append(keys, jsonKeys(t, name)...)
		}
		same(t, v.page+", "+v.part, readPage(t, v.page).part(t, v.macro, v.part).arguments("Va"), keys)
	}
}

func TestManualOfListsOfNames(t *testing.T) {
	var actions []string
	for _, a := range setup.Actions() {
		actions = append(actions, a.ID)
	}
	same(t, "actions", readPage(t, "azfilesauth-setup.8").part(t, "Sh", "NAMES OF ACTIONS").items().arguments("Sy"), actions)

	parts := fields(function(t, "internal/bundle/bundle.go", "parts"))
	same(t, "parts", readPage(t, "azfilesauth-bundle.8").part(t, "Sh", "PARTS OF A BUNDLE").items().arguments("Pa"), parts)

	variables := literals(`AZFILES_\w+`, source(t, "watcher")...)
	same(t, "variables", readPage(t, "azfilesrefresh.8").arguments("Ev"), variables)

	var states []string
	for _, s := range []control.State{control.Fresh, control.Due, control.Missing, control.Expired, control.Failing, control.Foreign} {
		states = append(states, string(s))
	}
	same(t, "states", readPage(t, "azfilesauth-watch.8").part(t, "Ss", "States of an endpoint").items().arguments("Sy"), states)
}

// mandoc(1) has nothing to say, but that pages of other packages are not installed here. Those of
// ours are there.
func TestManualPages(t *testing.T) {
	pages, err := filepath.Glob("packaging/man/*.[3578]")
	if err != nil || len(pages) < 12 {
		t.Fatal(pages, err)
	}
	out, _ := exec.Command("mandoc", append([]string{"-T", "lint", "-W", "style"}, pages...)...).Output()
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "referenced manual not found") {
			t.Error(strings.TrimSpace(line))
		}
	}
	for _, path := range pages {
		page := readPage(t, filepath.Base(path))
		for _, line := range page {
			if i := slices.Index(line, "Xr"); i >= 0 && strings.Contains(line[i+1], "azfiles") &&
				!slices.Contains(pages, "packaging/man/"+line[i+1]+"."+line[i+2]) {
				t.Errorf("%s: there is no page %s(%s)", path, line[i+1], line[i+2])
			}
		}
		title := page.headings("Dt")[0]
		name, section, _ := strings.Cut(title, " ")
		if got := strings.ToLower(name) + "." + section; got != filepath.Base(path) {
			t.Errorf("%s has the title %s", path, title)
		}
	}
}
