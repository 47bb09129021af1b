package mounts

import (
	"strings"
	"testing"
	"unicode"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

func TestParseSource(t *testing.T) {
	tests := map[string]struct{ host, share, dir string }{
		"//acct.file.core.windows.net/share":               {"acct.file.core.windows.net", "share", ""},
		"//Acct.FILE.core.windows.net./Share":              {"Acct.FILE.core.windows.net.", "Share", ""},
		"//h/share/":                                       {"h", "share", ""},
		"//h/share//":                                      {"h", "share", ""},
		"//h/share/a":                                      {"h", "share", "a"},
		"//h/share/a/b/":                                   {"h", "share", "a/b"},
		"//h/share//a///b":                                 {"h", "share", "a/b"},
		"//h/My Docs/\u00dcbung #1,2":                      {"h", "My Docs", "\u00dcbung #1,2"},
		"//h/$root/..a/b..":                                {"h", "$root", "..a/b.."},
		`\\h\share\a b`:                                    {"h", "share", "a b"},
		"HTTPS://h:443/share/%C3%A4":                       {"h:443", "share", "ä"},
		"smb://h/share":                                    {"h", "share", ""},
		"//h/" + strings.Repeat("ä", 80):                   {"h", strings.Repeat("ä", 80), ""},
		"//h/s/" + strings.Repeat("d", 1024-len("//h/s/")): {"h", "s", strings.Repeat("d", 1024-len("//h/s/"))},
	}
	for in, want := range tests {
		got, err := ParseSource(in)
		if err != nil || got.Host != want.host || got.Share != want.share || got.Dir != want.dir || got.Typed != (in[0] == '/') || got.Typed && got.UNC != in {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
}

func TestParseSourceRefuses(t *testing.T) {
	tests := map[string]string{
		"":                                       "begin with //",
		"/":                                      "begin with //",
		"share":                                  "begin with //",
		"/h/share":                               "begin with //",
		`\\h`:                                    "share is missing",
		"cifs://h/share":                         "not begin with //",
		"acct.file.core.windows.net:/acct/share": "form of NFS",
		"http://h/share":                         "begin with //",
		"https://h/share#x":                      "fragments are not supported",
		"https://h/share/%zz":                    "percent",
		"https://h/share%2Fdir":                  "percent",
		"https://h/share/%0a":                    "control",
		"https://h/share/..":                     "not valid names",
		"//u%geheim@h/share":                     "user name",
		"//h/share?sig=geheim":                   "queries are not supported",
		"//":                                     "host is missing",
		"///share":                               "host is missing",
		"//h":                                    "share is missing",
		"//h/":                                   "share is missing",
		"//h//share":                             "share is missing",
		`//h/share\dir`:                          "mixes",
		"//h/.":                                  "not valid names",
		"//h/..":                                 "not valid names",
		"//h/share/..":                           "not valid names",
		"//h/share/a/../b":                       "not valid names",
		"//h/share/./b":                          "not valid names",
		"//h/sha\nre":                            "control",
		"//h/share\x00":                          "control",
		"//h/share\u0085":                        "control",
		"//h/share\xff":                          "control",
		"//h/" + strings.Repeat("s", 81):         "80 characters",
		"//h/s/" + strings.Repeat("d", 1025-len("//h/s/")): "1024 bytes",
		"//h/s/" + strings.Repeat("d/", 100_000):           "1024 bytes",
	}
	for in, want := range tests {
		_, err := ParseSource(in)
		if !fault.Is(err, fault.SourceInvalid) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%.40q: %v, want %q", in, err, want)
		}
	}
}

func FuzzSource(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		src, err := ParseSource(s)
		if err != nil {
			if !fault.Is(err, fault.SourceInvalid) || len(err.Error()) > fault.MaxLine {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		if src.Host == "" || src.Share == "" || len(src.UNC) > maxSource || strings.ContainsFunc(src.UNC, unicode.IsControl) {
			t.Fatalf("%q gave %+v", s, src)
		}
		again := "//" + src.Host + "/" + src.Share
		if src.Dir != "" {
			again += "/" + src.Dir
		}
		twice, err := ParseSource(again)
		if err != nil || twice.Host != src.Host || twice.Share != src.Share || twice.Dir != src.Dir {
			t.Fatalf("%q gave %+v, and that %+v, %v", s, src, twice, err)
		}
	})
}

func TestMountable(t *testing.T) {
	for source, want := range map[string]string{
		"//" + account + "/share":                         "//" + account + "/share",
		"//ACCT.file.core.windows.net/Share/":             "//ACCT.file.core.windows.net/Share/",
		"//" + account + "/share/a/b":                     "//" + account + "/share/a/b",
		"//" + account + "/share/a#b":                     "//" + account + "/share/a#b",
		"//" + account + "/share/a%20b":                   "//" + account + "/share/a%20b",
		`\\` + account + `\share\a b`:                     "//" + account + "/share/a b",
		"https://" + account + "/share":                   "//" + account + "/share",
		"https://" + strings.ToUpper(account) + "./Share": "//" + account + "/Share",
		"SMB://" + account + ":443/share/%C3%A4":          "//" + account + "/share/ä",
	} {
		got, e, err := Mountable(source, known())
		if err != nil || got.UNC != want || e.Host() != account {
			t.Errorf("%s: %+v, %v, %v", source, got, e, err)
		}
	}
	for source, want := range map[string]fault.Named{
		"":                                         fault.SourceInvalid,
		"https://" + account + "/share#x":          fault.SourceInvalid,
		"//" + account + "/sh,are":                 fault.SourceInvalid,
		"//" + account + "/share/a,b":              fault.SourceInvalid,
		"//" + account + ":443/share":              fault.SourceInvalid,
		"//" + account + ":445/share":              fault.HostUnknown,
		"//file.core.windows.net/share":            fault.HostUnknown,
		"//" + account + ".evil.example/share":     fault.HostUnknown,
		`\\evil.example\` + account + `\share`:     fault.HostUnknown,
		"https://evil.example/" + account + "/a/b": fault.HostUnknown,
	} {
		if got, _, err := Mountable(source, known()); !fault.Is(err, want) {
			t.Errorf("%s: %+v, %v; want %s", source, got, err, want)
		}
	}
}

func TestHostOf(t *testing.T) {
	for text, want := range map[string][2]string{
		"acct.file.core.windows.net": {"acct.file.core.windows.net", ""},
		"//Acct/share/dir":           {"Acct", ""},
		`\\acct\share`:               {"acct", ""},
		"HTTPS://acct/share":         {"acct", ""},
		"http://acct/share":          {"acct", "https://"},
		"https://u:geheim@acct/s":    {"acct", "login"},
		"//acct/s?sig=geheim":        {"acct", "query"},
		"https:///share":             {"what was given", "not a URL"},
		"//%zz/":                     {"what was given", "not a URL"},
	} {
		host, problem := HostOf(text)
		if host != want[0] || (problem == "") != (want[1] == "") || !strings.Contains(problem, want[1]) {
			t.Errorf("%s: %q, %q", text, host, problem)
		}
	}
}

func FuzzMountable(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		got, e, err := Mountable(text, known())
		if err != nil {
			return
		}
		if !strings.HasPrefix(got.UNC, "//") || strings.ContainsAny(got.UNC, "\n\x00,?\\") || got.Share == "" || e.IsZero() {
			t.Fatalf("%q becomes %+v", text, got)
		}
		// What mount.cifs gets must name the same share when it is read again.
		got.Typed = true
		again, ea, err := Mountable(got.UNC, known())
		if err != nil || again != got || ea != e {
			t.Fatalf("%q becomes %+v and then %+v, %v", text, got, again, err)
		}
	})
}
