package mounthelper

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

func TestSplitOptions(t *testing.T) {
	for text, want := range map[string][]option{
		"":              nil,
		",,":            nil,
		"rw":            {{name: "rw"}},
		"rw,uid=0":      {{name: "rw"}, {"uid", "0", true}},
		"a=b=c":         {{"a", "b=c", true}},
		"a=":            {{"a", "", true}},
		`c="x,y",rw`:    {{"c", `"x,y"`, true}, {name: "rw"}},
		`c=x"y,z"w,,rw`: {{"c", `x"y,z"w`, true}, {name: "rw"}},
		`"a,b"=c,d`:     {{`"a,b"`, "c", true}, {name: "d"}},
	} {
		got, err := splitOptions(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{`a="b`, "a\nb", "a\x00b", strings.Repeat("a", maxOptions+1)} {
		if got, err := splitOptions(text); !fault.Is(err, fault.OptionInvalid) {
			t.Errorf("%.20q: %v, %v", text, got, err)
		}
	}
}

func TestOptionsGrowNoLongerThanMountCIFSTakes(t *testing.T) {
	j := job{opts: settings{rest: []option{{name: strings.Repeat("a", maxOptions-10)}}}}
	if n := len(j.options()); n <= maxOptions {
		t.Fatalf("%d bytes are no test", n)
	}
	h := Helper{Config: filepath.Join(t.TempDir(), "none"), MountTable: "/dev/null", Folders: []string{t.TempDir()}}
	if err := os.WriteFile(filepath.Join(h.Folders[0], "mount.cifs"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	inv := invocation{spec: "//acct.file.core.windows.net/share", dir: t.TempDir(), options: j.opts.rest[0].name}
	j = job{inv: inv}
	if err := h.read(&j); err != nil {
		t.Fatal(err)
	}
	if err := h.decide(&j); !fault.Is(err, fault.OptionInvalid) {
		t.Error(err)
	}
}

func TestTimeout(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"30": 30 * time.Second, "90s": 90 * time.Second, "1m30s": 90 * time.Second, "250ms": 250 * time.Millisecond, "1h": time.Hour,
		"0": 0, "-1": 0, "-5s": 0, "1h1s": 0, "": 0, "x": 0, "9223372036854775807": 0, "1e3": 0,
	} {
		s, err := sortOptions([]option{{"azfiles_timeout", value, true}})
		if s.timeout != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %v, %v", value, s.timeout, err)
		}
	}
	if s, err := sortOptions(nil); err != nil || s.timeout != defaultTimeout {
		t.Error(s.timeout, err)
	}
}

func TestParseSource(t *testing.T) {
	const host = "acct.file.core.windows.net"
	type want struct{ spec, name, dir string }
	for source, want := range map[string]want{
		"//" + host + "/share":                         {"//" + host + "/share", "share", ""},
		"//" + host + "/share/":                        {"//" + host + "/share/", "share", ""},
		"//" + host + "/share/a/b":                     {"//" + host + "/share/a/b", "share", "a/b"},
		"//" + host + "/share/a#b":                     {"//" + host + "/share/a#b", "share", "a#b"},
		"//" + host + "/share/a%20b":                   {"//" + host + "/share/a%20b", "share", "a%20b"},
		`\\` + host + `\share\a b`:                     {"//" + host + "/share/a b", "share", "a b"},
		"https://" + host + "/share":                   {"//" + host + "/share", "share", ""},
		"https://" + strings.ToUpper(host) + "./Share": {"//" + host + "/Share", "Share", ""},
		"SMB://" + host + ":443/share/%C3%A4":          {"//" + host + "/share/ä", "share", "ä"},
	} {
		got, err := parseSource(source, endpoint.Resolver{})
		if err != nil || got.spec != want.spec || got.name != want.name || got.dir != want.dir || got.endpoint.Host() != host {
			t.Errorf("%s: %+v, %v", source, got, err)
		}
	}
	for source, want := range map[string]fault.Named{
		"":                                      fault.SourceInvalid,
		"share":                                 fault.SourceInvalid,
		"/" + host + "/share":                   fault.SourceInvalid,
		"cifs://" + host + "/share":             fault.SourceInvalid,
		"http://" + host + "/share":             fault.SourceInvalid,
		"https://" + host + "/share#x":          fault.SourceInvalid,
		"https://" + host + "/share/%zz":        fault.SourceInvalid,
		"https://" + host + "/share/..":         fault.SourceInvalid,
		"https://" + host + "/share/%0a":        fault.SourceInvalid,
		`\\` + host:                             fault.SourceInvalid,
		"//" + host + "/sh,are":                 fault.SourceInvalid,
		"//" + host + "/share/a,b":              fault.SourceInvalid,
		"//" + host + ":443/share":              fault.SourceInvalid,
		"//" + host + ":445/share":              fault.HostUnknown,
		"//file.core.windows.net/share":         fault.HostUnknown,
		"//" + host + ".evil.example/share":     fault.HostUnknown,
		`\\evil.example\` + host + `\share`:     fault.HostUnknown,
		"https://evil.example/" + host + "/a/b": fault.HostUnknown,
	} {
		if got, err := parseSource(source, endpoint.Resolver{}); !fault.Is(err, want) {
			t.Errorf("%s: %+v, %v; want %s", source, got, err, want)
		}
	}
}

func TestExplain(t *testing.T) {
	here, missing := t.TempDir(), filepath.Join(t.TempDir(), "none")
	for errno, want := range map[unix.Errno]fault.Named{
		unix.EACCES: fault.ServerRefused,
		unix.ENOKEY: fault.UpcallFailed, unix.EKEYEXPIRED: fault.UpcallFailed, unix.EKEYREVOKED: fault.UpcallFailed,
		unix.EKEYREJECTED: fault.UpcallFailed, unix.EAGAIN: fault.UpcallFailed,
		unix.ENOENT: fault.ShareNotFound, unix.ENXIO: fault.ShareNotFound,
		unix.ENODEV: fault.CIFSModule, unix.EINVAL: fault.MountOption, unix.EBUSY: fault.TargetBusy,
		unix.EIO: fault.SMBProtocol, unix.EOPNOTSUPP: fault.SMBProtocol,
		unix.ENETUNREACH: fault.SMBUnreachable, unix.ETIMEDOUT: fault.SMBUnreachable, unix.ECONNREFUSED: fault.SMBUnreachable,
		unix.EHOSTDOWN: fault.SMBUnreachable, unix.EHOSTUNREACH: fault.SMBUnreachable, unix.EINPROGRESS: fault.SMBUnreachable,
		unix.EPERM: fault.MountFailed, unix.ENOMEM: fault.MountFailed,
	} {
		said := "mount error(9999): first\nmount error(" + strconv.Itoa(int(errno)) + "): " + errno.Error() + "\n"
		if got := new(job).explain(ending{status: 32, said: said}, here); !fault.Is(got, want) {
			t.Errorf("%d: %s, want %s", errno, got.ID(), want)
		}
	}
	for said, want := range map[string]fault.Named{
		"mount error: could not resolve address for x: y\n": fault.DNSFailed,
		"Couldn't chdir to /mnt: No such file":              fault.TargetInvalid,
		"":                                                  fault.MountFailed, "mount error(99999): x": fault.MountFailed,
	} {
		if got := new(job).explain(ending{status: 1, text: "exit status 1", said: said}, here); !fault.Is(got, want) {
			t.Errorf("%q: %s, want %s", said, got.ID(), want)
		}
	}
	if got := new(job).explain(ending{said: "mount error(2)"}, missing); got.ID() != fault.UpcallFailed.ID {
		t.Error(got)
	}
	if got := new(job).explain(ending{said: "mount error(13)"}, missing); got.ID() != fault.ServerRefused.ID {
		t.Error(got)
	}
}

func TestSaidIsBoundedAndKeepsTheEnd(t *testing.T) {
	var b bounded
	for range 100 {
		if n, err := b.Write(bytes.Repeat([]byte("x"), 1000)); n != 1000 || err != nil {
			t.Fatal(n, err)
		}
	}
	_, _ = b.Write([]byte("mount error(13)"))
	if len(b.text) != maxSaid || !bytes.HasSuffix(b.text, []byte("xmount error(13)")) {
		t.Errorf("%d bytes", len(b.text))
	}
}

func TestTargetKeepsTheReason(t *testing.T) {
	if err := checkTarget(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) || !fault.Is(err, fault.TargetInvalid) {
		t.Error(err)
	}
}

func FuzzOptions(f *testing.F) {
	for _, s := range []string{"rw", `rw,_netdev,context="a,b",uid=1`, `a="b`, ",,=,", "sec=krb5i,vers=3.1.1,user"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		options, err := splitOptions(text)
		if err != nil {
			return
		}
		again, err := splitOptions(joinOptions(options))
		if err != nil || !reflect.DeepEqual(options, again) {
			t.Fatalf("%q becomes %v and then %v, %v", text, options, again, err)
		}
		s, err := sortOptions(options)
		if err != nil {
			return
		}
		for _, o := range s.rest {
			name := strings.ToLower(o.name)
			if dropped(name, o.valued) || refusal(name, o.value) != "" || name == "sec" || name == "cruid" || name == "username" {
				t.Fatalf("%q lets %v through", text, o)
			}
		}
	})
}

func FuzzSource(f *testing.F) {
	for _, s := range []string{
		"//acct.file.core.windows.net/share/dir", `\\acct.file.core.windows.net\share`, "https://acct.file.core.windows.net/share/%20?x",
		"//u@h/s", "smb://ACCT.file.core.windows.net:443/s",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseSource(text, endpoint.Resolver{})
		if err != nil {
			return
		}
		if !strings.HasPrefix(got.spec, "//") || strings.ContainsAny(got.spec, "\n\x00,?\\") || got.name == "" || got.endpoint.IsZero() {
			t.Fatalf("%q becomes %+v", text, got)
		}
		// What mount.cifs gets must name the same share when it is read again.
		again, err := parseSource(got.spec, endpoint.Resolver{})
		if err != nil || again != got {
			t.Fatalf("%q becomes %+v and then %+v, %v", text, got, again, err)
		}
	})
}
