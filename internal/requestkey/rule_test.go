package requestkey_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/requestkey"
)

// ruleDirectory writes a configuration and gives the directory and its Files.
func ruleDirectory(t testing.TB, files map[string]string) (string, requestkey.Files) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, requestkey.Files{Directory: filepath.Join(dir, "request-key.d"), Last: filepath.Join(dir, "request-key.conf")}
}

// verdict is what a program makes of a configuration: its choice and the arguments, or a failure.
type verdict struct {
	place string // file:line of the rule
	run   string // the program and argv, each quoted
	fails bool
}

var (
	preferred = regexp.MustCompile(`(?m)^(\S+:[0-9]+): Prefer command`)
	ran       = regexp.MustCompile(`(?m)^(?:Run|PipeThru) (.*)$`)
	argument  = regexp.MustCompile(`(?m)^- argv\[[0-9]+\] = "(.*)"$`)
)

// real asks /sbin/request-key itself, which only tells what it would do.
func real(t testing.TB, dir string, w requestkey.Request) verdict {
	t.Helper()
	cmd := exec.Command("/sbin/request-key", "-n", "-d", "-l", "-v", "-D",
		w.Type+";0;0;1f0000;"+w.Description, w.Op, "4711", "1", "2", "3", "4", "5", w.Callout)
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stderr = &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: apt-get install keyutils", err)
	}
	text := out.String()
	v := verdict{fails: err != nil}
	if all := preferred.FindAllStringSubmatch(text, -1); all != nil {
		v.place = all[len(all)-1][1]
	}
	if m := ran.FindStringSubmatch(text); m != nil {
		v.run = fmt.Sprintf("%q", m[1])
	}
	for _, m := range argument.FindAllStringSubmatch(text, -1) {
		v.run += fmt.Sprintf(" %q", m[1])
	}
	if v.fails {
		return verdict{fails: true}
	}
	return v
}

func ours(f requestkey.Files, w requestkey.Request) verdict {
	rule, err := f.Winner(w, nil)
	if err != nil {
		return verdict{fails: true}
	}
	program, argv, _, err := rule.Argv(requestkey.Macros{Request: w, Key: "4711", UID: "1", GID: "2"})
	if err != nil {
		return verdict{fails: true}
	}
	v := verdict{place: fmt.Sprintf("%s:%d", filepath.Base(rule.Path), rule.Line), run: fmt.Sprintf("%q", program)}
	for _, a := range argv {
		v.run += fmt.Sprintf(" %q", a)
	}
	return v
}

var cifs = requestkey.Request{Op: "create", Type: "cifs.spnego", Description: "ver=0x2;host=fs.example;ip4=10.0.0.1;sec=krb5"}

func TestWinnerIsThatOfRequestKey(t *testing.T) {
	const stock = "create cifs.spnego * * /usr/sbin/cifs.upcall %k\n"
	long := "create cifs.spnego * * /p " + strings.Repeat("a", 4100)
	for name, files := range map[string]map[string]string{
		"none":                              {},
		"stock":                             {"request-key.d/a.conf": stock},
		"a more specific one":               {"request-key.d/a.conf": stock, "request-key.d/b.conf": "create cifs.spnego ver=0x2;host=* * /sbin/ours %k\n"},
		"the last file":                     {"request-key.conf": stock},
		"equals: the first":                 {"request-key.conf": "create cifs.spnego ver=0x2* * /1 %k\ncreate cifs.spnego *2;host=fs.example;ip4=10.0.0.1;sec=krb5 * /2\ncreate cifs.spnego ver=0* * /3\n"},
		"columns from left to right":        {"request-key.conf": "create * ver=0x2;host=fs.example;ip4=10.0.0.1;sec=krb5 * /1\ncreate cifs.spnego * * /2\n* cifs.spnego * * /3\n"},
		"exact is not wilder than a* for a": {"request-key.conf": "create* cifs.spnego * * /1\ncreate cifs.spnego * * /2\n"},
		"two stars":                         {"request-key.conf": "create cifs.spnego *fs.example* * /1\n" + stock},
		"star in the middle":                {"request-key.conf": "create cifs.spnego ver*krb5 * /1 %k\n" + stock},
		"overlapping ends":                  {"request-key.conf": "create cifs.spnego " + cifs.Description + "*5 * /1 %k\n" + stock},
		"callout":                           {"request-key.conf": "create cifs.spnego * x* /1\ncreate cifs.spnego * * /2\n"},
		"names that are none":               {"request-key.d/.a.conf": stock, "request-key.d/a.conf.bak": stock, "request-key.d/.conf": stock, "request-key.d/a.con": stock},
		"short name":                        {"request-key.d/x.conf": stock},
		"comments":                          {"request-key.conf": "# create cifs.spnego * * /1\n\n create cifs.spnego * * /2\n\tcreate\n" + stock},
		"macros":                            {"request-key.conf": "create cifs.spnego * * /p %o %k %t %d %c %u %g %%k %%%% %kk %x1 x%k end\n"},
		"unknown macro":                     {"request-key.conf": "create cifs.spnego * * /p %z\n"},
		"no macro":                          {"request-key.conf": "create cifs.spnego * * /p %\n"},
		"no newline":                        {"request-key.conf": "create cifs.spnego * * /usr/sbin/cifs.upcall %k"},
		"no newline, no macro":              {"request-key.conf": "create cifs.spnego * * /usr/sbin/handler"},
		"tabs":                              {"request-key.conf": "create\tcifs.spnego\t \t*\t*\t\t/p\t\t%k\t \n"},
		"carriage return":                   {"request-key.conf": "create cifs.spnego * * /p %k\r\n"},
		"too few columns":                   {"request-key.conf": stock + "create cifs.spnego *\n"},
		"too few, but another key":          {"request-key.conf": stock + "create user\ncreate user *\n"},
		"only an op":                        {"request-key.conf": stock + "create\n"},
		"another op alone":                  {"request-key.conf": stock + "negate\n"},
		"one letter":                        {"request-key.conf": stock + "x\n"},
		"no command":                        {"request-key.conf": stock + "create cifs.spnego * * \n"},
		"pipe":                              {"request-key.conf": "create cifs.spnego * * |/bin/cat %k\n"},
		"line of 4095":                      {"request-key.conf": long[:4094] + "\n"},
		"line of 4096":                      {"request-key.conf": long[:4095] + "\n"},
		"line of 4097":                      {"request-key.conf": stock + long[:4096] + "\n"},
		"zero byte":                         {"request-key.conf": "create cifs.spnego * * /p %k\x00 x\n" + stock},
		"many arguments":                    {"request-key.conf": "create cifs.spnego * * /p" + strings.Repeat(" a", 253) + "\n"},
		"too many arguments":                {"request-key.conf": "create cifs.spnego * * /p" + strings.Repeat(" a", 254) + "\n"},
	} {
		dir, f := ruleDirectory(t, files)
		if want, got := real(t, dir, cifs), ours(f, cifs); got != want {
			t.Errorf("%s:\ngot  %+v\nwant %+v", name, got, want)
		}
	}
}

// Rules by chance, of few letters so that they often match, must give what request-key gives.
func TestWinnerByChance(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same rules each time
	column := func() string {
		return []string{"*", "a*", "*a", "ab*", "*b", "ab", "a*b", "abab", "*bab", "**", "a", "ab*ab"}[r.IntN(12)]
	}
	w := requestkey.Request{Op: "ab", Type: "abab", Description: "ab;ab", Callout: "ab"}
	won := 0
	for range 150 {
		var text strings.Builder
		for range 1 + r.IntN(6) {
			if r.IntN(4) == 0 {
				fmt.Fprintf(&text, "ab abab %s ab /p %%k\n", column())
				continue
			}
			fmt.Fprintf(&text, "%s %s %s %s /p %%k\n", column(), column(), column(), column())
		}
		dir, f := ruleDirectory(t, map[string]string{"request-key.d/a.conf": text.String()})
		want, got := real(t, dir, w), ours(f, w)
		if got != want {
			t.Fatalf("%s\ngot  %+v\nwant %+v", &text, got, want)
		}
		if !got.fails {
			won++
		}
	}
	if won < 50 {
		t.Errorf("only %d of 150 had a winner", won)
	}
}

// The directory's own order counts, which is no order of names.
func TestFilesAreReadInTheDirectorysOrder(t *testing.T) {
	files := map[string]string{}
	for i := range 20 {
		files[fmt.Sprintf("request-key.d/%02d.conf", i)] = "create cifs.spnego * * /p\n"
	}
	dir, f := ruleDirectory(t, files)
	if want, got := real(t, dir, cifs), ours(f, cifs); got != want || want.fails {
		t.Errorf("got %+v, want %+v", got, want)
	}
	all, err := f.Matching(cifs)
	if err != nil || len(all) != 20 {
		t.Errorf("%d rules, %v", len(all), err)
	}
}

func TestLinksAreNoRules(t *testing.T) {
	dir, f := ruleDirectory(t, map[string]string{"request-key.d/x": "create cifs.spnego * * /p\n"})
	if err := os.Symlink("x", filepath.Join(f.Directory, "x.conf")); err != nil {
		t.Fatal(err)
	}
	if want, got := real(t, dir, cifs), ours(f, cifs); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestSkippedRules(t *testing.T) {
	_, f := ruleDirectory(t, map[string]string{
		"request-key.d/a.conf": "create cifs.spnego ver=* * /ours\n", "request-key.conf": "create cifs.spnego * * /theirs %k\n",
	})
	rule, err := f.Winner(cifs, func(r requestkey.Rule) bool { return filepath.Base(r.Path) == "a.conf" })
	if err != nil || !slices.Equal(rule.Command, []string{"/theirs", "%k"}) {
		t.Errorf("%+v, %v", rule, err)
	}
	if _, err := f.Winner(cifs, func(requestkey.Rule) bool { return true }); !errors.Is(err, requestkey.ErrNoRule) {
		t.Error(err)
	}
}

func TestRulesThatOnlyRequestKeyCanFollow(t *testing.T) {
	_, own := ruleDirectory(t, map[string]string{"request-key.conf": "create cifs.spnego * * /p %{user:x}\n"})
	rule, err := own.Winner(cifs, nil)
	if err != nil {
		t.Fatal(err)
	}
	var bad *requestkey.Error
	if _, _, _, err := rule.Argv(requestkey.Macros{Request: cifs}); !errors.As(err, &bad) || bad.Line != 1 {
		t.Error(err)
	}
	// Without the keyrings of who asked a rule runs all the same.
	_, negate := ruleDirectory(t, map[string]string{"request-key.conf": "create cifs.spnego * * /bin/keyctl negate %k 30 %S %T %P\n"})
	if rule, err = negate.Winner(cifs, nil); err != nil {
		t.Fatal(err)
	}
	if _, argv, _, err := rule.Argv(requestkey.Macros{Request: cifs, Key: "7"}); err != nil || strings.Join(argv, " ") != "keyctl negate 7 30 0 0 0" {
		t.Errorf("%q, %v", argv, err)
	}
	// Of this one request-key itself dies.
	_, f := ruleDirectory(t, map[string]string{"request-key.conf": "create cifs.spnego * * p\n"})
	rule, err = f.Winner(cifs, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := rule.Argv(requestkey.Macros{}); err == nil {
		t.Error("a program that is no path was accepted")
	}
}

func FuzzRules(f *testing.F) {
	for _, seed := range []string{
		"create cifs.spnego * * /usr/sbin/cifs.upcall %k\n", "create cifs.spnego ver=0x2;host=* * |/p %%k %{a:b}", "# x\n\n x\ncreate\n", "* * * * p\x00\n",
	} {
		f.Add(seed)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(dir, "request-key.conf")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		rule, err := requestkey.Files{Directory: filepath.Join(dir, "none"), Last: path}.Winner(cifs, nil)
		_, flaws := requestkey.Read([]byte(text))
		var broken *requestkey.Error
		if errors.As(err, &broken) && !slices.ContainsFunc(flaws, func(f requestkey.Flaw) bool {
			return f.Line == broken.Line && f.Kind <= requestkey.Unended
		}) {
			t.Fatalf("%v, but the file has only %+v", err, flaws)
		}
		if err != nil {
			return
		}
		if len(rule.Command) == 0 || rule.Line < 1 {
			t.Fatalf("%+v", rule)
		}
		_, _, _, _ = rule.Argv(requestkey.Macros{Request: cifs})
	})
}

func TestRead(t *testing.T) {
	const good = "create  cifs.spnego\t* * |/p  %k\n"
	for text, want := range map[string]string{
		"":                                  "[] []",
		"# x\n\n x\n\t\n" + good:            "[create cifs.spnego * * |/p %k] []",
		"create cifs.spnego * * \n" + good:  "[create cifs.spnego * * |/p %k] [1 0]",
		good + "create user * * /p":         "[create cifs.spnego * * |/p %k create user * * /p] [2 1]",
		"create user * * p\n":               "[create user * * p] [1 2]",
		"create user *a* * /p\n":            "[create user *a* * /p] [1 3]",
		good + "create user * * /p\x00 x\n": "[create cifs.spnego * * |/p %k] [2 0]",
		"create user * * /p" + strings.Repeat(" ", 4096-18-1) + "\n": "[] [1 0]",
		"create user * * /p" + strings.Repeat(" ", 4095-18-1) + "\n": "[create user * * /p] []",
	} {
		rules, flaws := requestkey.Read([]byte(text))
		short := []string{}
		for _, f := range flaws {
			short = append(short, fmt.Sprint(f.Line, int(f.Kind)))
		}
		if got := fmt.Sprint(rules, short); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}
