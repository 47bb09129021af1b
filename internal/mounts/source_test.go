package mounts

import (
	"strings"
	"testing"
	"unicode"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

func TestParseSource(t *testing.T) {
	tests := map[string]Source{
		"//acct.file.core.windows.net/share":               {"acct.file.core.windows.net", "share", ""},
		"//Acct.FILE.core.windows.net./Share":              {"Acct.FILE.core.windows.net.", "Share", ""},
		"//h/share/":                                       {"h", "share", ""},
		"//h/share//":                                      {"h", "share", ""},
		"//h/share/a":                                      {"h", "share", "a"},
		"//h/share/a/b/":                                   {"h", "share", "a/b"},
		"//h/share//a///b":                                 {"h", "share", "a/b"},
		"//h/My Docs/Übung #1,2":                           {"h", "My Docs", "Übung #1,2"},
		"//h/$root/..a/b..":                                {"h", "$root", "..a/b.."},
		"//h/" + strings.Repeat("ä", 80):                   {"h", strings.Repeat("ä", 80), ""},
		"//h/s/" + strings.Repeat("d", 1024-len("//h/s/")): {"h", "s", strings.Repeat("d", 1024-len("//h/s/"))},
	}
	for in, want := range tests {
		if got, err := ParseSource(in); err != nil || got != want {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
}

func TestParseSourceRefuses(t *testing.T) {
	tests := map[string]string{
		"":                               "begin with //",
		"/":                              "begin with //",
		"share":                          "begin with //",
		"/h/share":                       "begin with //",
		`\\h\share`:                      "begin with //",
		"https://h/share":                "begin with //",
		"//":                             "host is missing",
		"///share":                       "host is missing",
		"//h":                            "share is missing",
		"//h/":                           "share is missing",
		"//h//share":                     "share is missing",
		`//h/share\dir`:                  "mixes",
		"//h/.":                          "no names",
		"//h/..":                         "no names",
		"//h/share/..":                   "no names",
		"//h/share/a/../b":               "no names",
		"//h/share/./b":                  "no names",
		"//h/sha\nre":                    "control",
		"//h/share\x00":                  "control",
		"//h/share\u0085":                "control",
		"//h/share\xff":                  "control",
		"//h/" + strings.Repeat("s", 81): "80 characters",
		"//h/s/" + strings.Repeat("d", 1025-len("//h/s/")): "1024 bytes",
		"//h/s/" + strings.Repeat("d/", 100_000):           "1024 bytes",
	}
	for in, want := range tests {
		_, err := ParseSource(in)
		if !fault.Is(err, fault.SourceInvalid) || !strings.Contains(err.Error(), want) {
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
		if src.Host == "" || src.Share == "" || len(s) > maxSource || strings.ContainsFunc(s, unicode.IsControl) {
			t.Fatalf("%q gave %+v", s, src)
		}
		again := "//" + src.Host + "/" + src.Share
		if src.Dir != "" {
			again += "/" + src.Dir
		}
		if twice, err := ParseSource(again); err != nil || twice != src {
			t.Fatalf("%q gave %+v, and that %+v, %v", s, src, twice, err)
		}
	})
}
