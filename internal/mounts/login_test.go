package mounts

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// items are options by their text.
func items(texts ...string) Options {
	var all Options
	for _, text := range texts {
		all = append(all, parseOption(text))
	}
	return all
}

func TestParseOptions(t *testing.T) {
	for text, want := range map[string]Options{
		"":              nil,
		",,":            nil,
		"rw":            {{Name: "rw"}},
		"rw,uid=0":      {{Name: "rw"}, {"uid", "0", true}},
		"a=b=c":         {{"a", "b=c", true}},
		"a=":            {{"a", "", true}},
		`c="x,y",rw`:    {{"c", `"x,y"`, true}, {Name: "rw"}},
		`c=x"y,z"w,,rw`: {{"c", `x"y,z"w`, true}, {Name: "rw"}},
		`"a,b"=c,d`:     {{`"a,b"`, "c", true}, {Name: "d"}},
	} {
		if got := ParseOptions(text); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v", text, got)
		}
	}
	for _, text := range []string{`a="b`, `"`, "a\nb", "a\x00b", strings.Repeat("a", maxOptions+1)} {
		if err := ParseOptions(text).Login().Err(); !fault.Is(err, fault.OptionInvalid) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

func TestGet(t *testing.T) {
	all := ParseOptions(`_netdev,sec=none,username=a=b,SEC="krb5",x="a"b,y="`)
	for name, want := range map[string]struct {
		value string
		ok    bool
	}{
		"_netdev": {"", true}, "sec": {"krb5", true}, "UserName": {"a=b", true}, "user": {"", false}, "se": {"", false},
		"x": {`"a"b`, true}, "y": {`"`, true},
	} {
		if value, ok := all.Get(name); value != want.value || ok != want.ok {
			t.Errorf("%s: %q, %v", name, value, ok)
		}
	}
}

func TestTimeout(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"30": 30 * time.Second, `"90s"`: 90 * time.Second, "1m30s": 90 * time.Second, "250ms": 250 * time.Millisecond, "1h": time.Hour,
		"0": 0, "-1": 0, "-5s": 0, "1h1s": 0, "": 0, "x": 0, "9223372036854775807": 0, "1e3": 0,
	} {
		l := items("azfiles_timeout=" + value).Login()
		if want == 0 && l.Err() == nil || want > 0 && (l.Err() != nil || l.Timeout != want) {
			t.Errorf("%q: %v, %v", value, l.Timeout, l.Err())
		}
	}
	if l := Options(nil).Login(); l.Err() != nil || l.Timeout != defaultTimeout {
		t.Error(l.Timeout, l.Err())
	}
}

// Each problem of a line is told, in the order of the line, and no secret in it.
func TestProblems(t *testing.T) {
	l := ParseOptions("rw,password=geheim,sec=ntlmssp,vers=3,vers=\"2.1\",cruid=,user,Guest,username=bob%geheim").Login()
	want := []string{"password", "sec=ntlmssp", "vers", "cruid", "Guest", "username"}
	if len(l.Problems) != len(want) {
		t.Fatal(l.Problems)
	}
	for i, err := range l.Problems {
		if !strings.Contains(err.Error(), "mount option "+want[i]+" ") && !strings.Contains(err.Error(), "mount option "+want[i]+":") || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func TestMountCIFS(t *testing.T) {
	for text, want := range map[string][2]string{
		"":                            {"0", "root"},
		"user,sec=krb5":               {"0", "root"},
		"username=":                   {"0", "root"},
		"user=a,USERNAME=b,cruid=7":   {"7", "b"},
		"username=a,user=b,cruid=bob": {"bob", "b"},
	} {
		if cruid, username := ParseOptions(text).MountCIFS(); cruid != want[0] || username != want[1] {
			t.Errorf("%s: %s, %s", text, cruid, username)
		}
	}
}

func TestLeavesUserName(t *testing.T) {
	for text, want := range map[string]bool{
		"user,sec=krb5": true, "sec=krb5,USERS,cruid=0": true, "users,username=": true,
		"sec=krb5": false, "user,username=root": false, "user=a,users": false,
	} {
		if got := ParseOptions(text).LeavesUserName(); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// Each row of the table can be found by its name, and says what it has to.
func TestRules(t *testing.T) {
	for _, r := range Rules() {
		name := strings.TrimSuffix(r.Name, "*")
		if got, _ := ruleOf(Option{Name: strings.ToUpper(name)}); got.Name != r.Name {
			t.Errorf("%s is hidden by %s", r.Name, got.Name)
		}
		if (r.Fate == Own) != (r.take != nil) || r.Fate == Refused && r.Text == "" {
			t.Errorf("%s is not complete", r.Name)
		}
	}
}

func FuzzLogin(f *testing.F) {
	for _, s := range []string{"rw", `rw,_netdev,context="a,b",uid=1`, `a="b`, ",,=,", "sec=krb5i,vers=3.1.1,user"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all := ParseOptions(text)
		if again := ParseOptions(all.String()); !reflect.DeepEqual(all, again) {
			t.Fatalf("%q becomes %v and then %v", text, all, again)
		}
		l := all.Login()
		if l.Err() != nil {
			return
		}
		for _, o := range l.Rest {
			if strings.ContainsAny(o.Name, `",`) {
				t.Fatalf("%q: mount.cifs splits %v", text, o)
			}
			rule, _ := ruleOf(o)
			if fate := rule.Fate; fate != Passed && !(fate == Refused && o.Is("vers")) {
				t.Fatalf("%q lets %v through", text, o)
			}
		}
	})
}
