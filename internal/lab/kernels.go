package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Kernels are the guests of the table in docs/kernels.md, the oldest kernel first, each by what New takes.
var Kernels = []string{
	"bullseye", "bookworm", "bookworm-generic", "bookworm-backports", "trixie", "trixie-backports", "unstable", "unstable-generic",
}

// feature is a row of the table: what works when its stories come to a good end.
type feature struct {
	text    string
	stories []string
}

// The stories are those that another kernel, or another cifs-utils, can make go another way.
var features = []feature{
	{"a line of fstab mounts; files are written and read; the next mount asks nobody", []string{"stock/mount", "native/mount"}},
	{"the options that a mount gets by default", []string{"stock/default-options", "native/default-options"}},
	{"a credential cache of another user (`cruid=`)", []string{"stock/credential-uid", "native/credential-uid"}},
	{"a name of a private endpoint", []string{"stock/privatelink", "native/privatelink"}},
	{"encryption (`seal`)", []string{"stock/sealed", "native/sealed"}},
	{"sessions are lost, and their tickets too", []string{"stock/lost-tickets", "native/lost-session"}},
	{"tickets of 25 s expire under load, and Azure is away over one expiry", []string{"native/healing"}},
	{"two identities of an account, all mounted at once, over expiries and a restart of the server", []string{"native/identities"}},
	{"`multiuser` mounted by hand serves the credential uid alone", []string{"native/multiuser"}},
	{"a container's process works on while sessions end", []string{"native/container"}},
	{"further channels, each with a login of its own, and again after a reconnect", []string{"native/channels"}},
	{"forged requests get nothing", []string{"native/forged"}},
}

// exception is a story that is known to fail with a guest, and whose fault that is.
type exception struct {
	suite string
	story string // its name, or what the names of several begin with
	why   string
}

var exceptions = []exception{
	{"bullseye", "stock/", "`cifs.upcall` of cifs-utils 6.11 wants a default realm to make a name of the user's (krb5_parse_name -1765328160), and gives up without one."},
}

// exceptionOf finds why a story is known to fail with a guest.
func exceptionOf(suite, story string) (why string, known bool) {
	i := slices.IndexFunc(exceptions, func(e exception) bool { return e.suite == suite && strings.HasPrefix(story, e.story) })
	if i < 0 {
		return "", false
	}
	return exceptions[i].why, true
}

// trialLimit bounds the stories of one guest, on a busy machine.
const trialLimit = 40 * time.Minute

// trial is what was found with one guest.
type trial struct {
	Suite    string            `json:"suite"`
	Date     string            `json:"date"`     // of the last run, YYYY-MM-DD
	Versions map[string]string `json:"versions"` // of Debian's packages; kernel is the image's release
	Stories  map[string]bool   `json:"stories"`  // whether each came to a good end
}

// told are the packages whose versions the page tells, by the name they have there.
var told = [][2]string{{"kernel", "kernel"}, {"linux", "its version"}, {"cifs-utils", "cifs-utils"}, {"keyutils", "keyutils"}, {"krb5-user", "MIT Kerberos"}, {"samba", "Samba"}}

// TryKernels runs the stories of the table, or the named ones of them, in the guest of each suite, and writes what it
// finds to internal/lab/kernels.json and from there to docs/kernels.md and README.md: what was not tried now stays as it
// was found.
// The error tells which guests did not run, and which stories failed that are not known to fail.
func TryKernels(ctx context.Context, suites, stories []string, log io.Writer, line func(string)) error {
	var errs []error
	for _, suite := range suites {
		l, err := New(suite, log)
		if err != nil {
			return err
		}
		errs = append(errs, l.try(ctx, stories, line))
	}
	return errors.Join(errs...)
}

func (l *Lab) try(ctx context.Context, stories []string, line func(string)) error {
	if len(stories) == 0 {
		for _, f := range features {
			stories = append(stories, f.stories...)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, trialLimit)
	defer cancel()
	found := trial{Suite: l.Suite, Date: time.Now().UTC().Format(time.DateOnly), Stories: map[string]bool{}}
	results := Results{Done: func(r Result) { found.Stories[r.Name] = r.OK }}
	runErr := l.Run(ctx, func(text string) { results.Line(text); line(text) }, "stories", append([]string{"patient"}, stories...)...)
	var problems []string
	for _, name := range stories {
		ok, ended := found.Stories[name]
		_, known := exceptionOf(l.Suite, name)
		switch {
		case !ended:
			problems = append(problems, name+" did not come to its end")
		case ok && known:
			problems = append(problems, name+" is in the table of exceptions, and went well")
		case !ok && !known:
			problems = append(problems, name+" failed")
		}
	}
	var err error
	if found.Versions, err = l.versions(); err != nil {
		return errors.Join(runErr, err)
	}
	if err := record(l.Repo, found); err != nil {
		return err
	}
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %s (%w); console and logs: %s", l.Suite, strings.Join(problems, ", "), runErr, l.Logs())
}

// imageFile is the name of the file of a Debian package of the kernel: release and version.
var imageFile = regexp.MustCompile(`(?m)^linux-image-([0-9].*)_(.*)_amd64\.deb$`)

// versions are those of the guest's packages, by the files that base.sh has unpacked.
func (l *Lab) versions() (map[string]string, error) {
	_, dir, err := l.baseDir(guestScript)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "packages"))
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	if m := imageFile.FindSubmatch(text); m != nil {
		all["kernel"], all["linux"] = strings.TrimSuffix(string(m[1]), "-amd64"), string(m[2])
	}
	for _, t := range told[2:] {
		m := regexp.MustCompile(`(?m)^` + t[0] + `_(?:[0-9]+%3a)?(.*)_[a-z0-9]+\.deb$`).FindSubmatch(text)
		if m == nil {
			return nil, fmt.Errorf("%s: no %s", dir, t[0])
		}
		all[t[0]] = strings.ReplaceAll(string(m[1]), "%7e", "~")
	}
	return all, nil
}

func foundFile(repo string) string { return filepath.Join(repo, "internal/lab/kernels.json") }

// kernelPages are those that have tables of what was found.
var kernelPages = []string{"docs/kernels.md", "README.md"}

// withTables gives the text of one of them as it has to be, by the name of its file.
func withTables(page, text string, trials []trial) (string, error) {
	if page == "README.md" {
		return withPart(text, "kernels", summary(trials))
	}
	text, err := withPart(text, "kernels", table(trials))
	if err != nil {
		return "", err
	}
	return withPart(text, "untried", untriedTable())
}

// writeTables writes the tables into the pages.
func writeTables(repo string, trials []trial) error {
	for _, page := range kernelPages {
		name := filepath.Join(repo, page)
		old, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		text, err := withTables(page, string(old), trials)
		if err != nil {
			return fmt.Errorf("%s: %w", page, err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// record adds a trial to those that are known, and writes the page.
func record(repo string, found trial) error {
	trials, err := readTrials(repo)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(trials, func(t trial) bool { return t.Suite == found.Suite })
	if i < 0 {
		trials, i = append(trials, trial{Stories: map[string]bool{}}), len(trials)
	}
	before := trials[i].Stories
	for name, ok := range found.Stories {
		before[name] = ok
	}
	found.Stories = before
	trials[i] = found
	text, err := json.MarshalIndent(trials, "", "\t")
	if err != nil {
		return err
	}
	if err := writeTables(repo, trials); err != nil {
		return err
	}
	return os.WriteFile(foundFile(repo), append(text, '\n'), 0o644)
}

func readTrials(repo string) (trials []trial, err error) {
	text, err := os.ReadFile(foundFile(repo))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return trials, json.Unmarshal(text, &trials)
}

// columns are the guests that were tried, in the order of Kernels.
func columns(trials []trial) (all []trial) {
	for _, suite := range Kernels {
		if i := slices.IndexFunc(trials, func(t trial) bool { return t.Suite == suite }); i >= 0 {
			all = append(all, trials[i])
		}
	}
	return all
}

// summary has a row for each guest that was tried: with which of the programs that can answer the kernel how much works.
func summary(trials []trial) string {
	var b strings.Builder
	b.WriteString("| Debian | kernel | our handler | `cifs.upcall` |\n| --- | --- | --- | --- |\n")
	for _, t := range columns(trials) {
		version, _, _ := strings.Cut(t.Versions["cifs-utils"], "-")
		fmt.Fprintf(&b, "| %s | %s | %s | %s: %s |\n", t.Suite, t.Versions["kernel"], t.count("native/"), version, t.count("stock/"))
	}
	return b.String()
}

// count tells how many of the table's stories came to a good end, by what their names begin with.
func (t trial) count(handler string) string {
	good, tried := 0, 0
	for _, f := range features {
		for _, name := range f.stories {
			ok, ended := t.Stories[name]
			if !strings.HasPrefix(name, handler) || !ended {
				continue
			}
			if tried++; ok {
				good++
			}
		}
	}
	if tried == 0 {
		return "not tried"
	}
	return fmt.Sprintf("%d of %d", good, tried)
}

// table has a column for each guest that was tried, and names the others below.
func table(trials []trial) string {
	guests := columns(trials)
	var b strings.Builder
	row := func(first string, cell func(t trial) string) {
		b.WriteString("| " + first + " |")
		for _, t := range guests {
			b.WriteString(" " + cell(t) + " |")
		}
		b.WriteString("\n")
	}
	row("", func(t trial) string { return "Debian " + t.Suite })
	row("---", func(trial) string { return "---" })
	for _, name := range told {
		row(name[1], func(t trial) string { return t.Versions[name[0]] })
	}
	row("tried on", func(t trial) string { return t.Date })
	notes := &notes{}
	for _, f := range features {
		row(f.text, func(t trial) string { return f.cell(t, notes) })
	}
	b.WriteString(notes.String())
	if names := remaining(trials); len(names) > 0 {
		b.WriteString("\nNot tried yet: " + strings.Join(names, ", ") + ".\n")
	}
	return b.String()
}

// remaining are the guests that were never tried.
func remaining(trials []trial) []string {
	return slices.DeleteFunc(slices.Clone(Kernels), func(suite string) bool {
		return slices.ContainsFunc(trials, func(t trial) bool { return t.Suite == suite })
	})
}

// notes are those below the table, each once.
type notes struct{ all []string }

func (n *notes) number(why string) int {
	i := slices.Index(n.all, why)
	if i < 0 {
		n.all, i = append(n.all, why), len(n.all)
	}
	return i + 1
}

func (n *notes) String() string {
	var b strings.Builder
	for i, why := range n.all {
		fmt.Fprintf(&b, "\n%d. %s", i+1, why)
	}
	if len(n.all) > 0 {
		b.WriteString("\n")
	}
	return b.String()
}

// cell says whether a feature works with a guest: with which of the programs that can answer the kernel, and the
// number of the note that says why not.
func (f feature) cell(t trial, n *notes) string {
	var good, bad []string
	why := ""
	for _, name := range f.stories {
		ok, tried := t.Stories[name]
		handler, _, _ := strings.Cut(name, "/")
		if !tried {
			continue
		}
		if ok {
			good = append(good, handler)
			continue
		}
		bad = append(bad, handler)
		if reason, known := exceptionOf(t.Suite, name); known {
			why += fmt.Sprintf(" (%d)", n.number(reason))
		}
	}
	handlers := map[string]string{"native": "with our handler only", "stock": "with cifs.upcall only"}
	if len(good)+len(bad) == 0 {
		return "no result"
	}
	if len(bad) == 0 {
		return "yes"
	}
	if len(good) == 0 && len(bad) < len(f.stories) { // the other one was not tried
		return map[string]string{"native": "not with our handler", "stock": "not with cifs.upcall"}[bad[0]] + why
	}
	if len(good) == 0 || slices.Contains(bad, good[0]) {
		return "no" + why
	}
	return handlers[good[0]] + why
}
