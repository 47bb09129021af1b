package mounts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/azfilesauth/azfilesauth/internal/endpoint"
)

const account = "acct.file.core.windows.net"

// known knows one name of an account besides the public ones.
func known() endpoint.Resolver {
	return endpoint.Resolver{Custom: map[string]endpoint.Custom{"files.example.internal": {Canonical: account}}}
}

func resolve(t testing.TB, name string) endpoint.Endpoint {
	t.Helper()
	e, err := known().Resolve(name)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestKernelOfDebian12(t *testing.T) {
	got, err := ListFrom(filepath.Join("testdata", "debian12"), known())
	if err != nil {
		t.Fatal(err)
	}
	want := []Mount{{
		Device: "0:26", Source: "//acct.file.core.windows.net/share", Endpoint: resolve(t, account),
		Share: "share", Target: "/mnt",
		Username: "root", Sec: "krb5", Addr: "10.99.0.1",
		Options: ParseShown("rw,vers=3.1.1,sec=krb5,cruid=0,cache=strict,username=root,uid=1000,forceuid,gid=1000," +
			"forcegid,addr=10.99.0.1,file_mode=0755,dir_mode=0755,soft,nounix,serverino,mapposix,rsize=4194304," +
			"wsize=4194304,bsize=1048576,echo_interval=60,actimeo=1,closetimeo=1"),
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestKernelOfDebian13(t *testing.T) {
	got, err := ListFrom(filepath.Join("testdata", "debian13"), known())
	if err != nil {
		t.Fatal(err)
	}
	want := []Mount{
		{
			Device: "0:51", Source: "//Acct.file.core.windows.net/Share", Endpoint: resolve(t, account), Share: "Share", Target: "/mnt/one",
			CRUID: 1000, Username: "11111111-2222-3333-4444-555555555555", Sec: "krb5i", Addr: "10.99.0.1",
		},
		{
			Device: "0:51", Source: "//acct.file.core.windows.net/share/first", Endpoint: resolve(t, account), Share: "share", Dir: "sub/My Docs",
			Target: "/mnt/two of\tus", CRUID: 1000, Username: "X@REALM", Sec: "krb5", Addr: "10.99.0.1",
		},
		{
			Device: "0:52", Source: "//acct.privatelink.file.core.windows.net/share/a/b", Endpoint: resolve(t, "acct.privatelink.file.core.windows.net"),
			Share: "share", Dir: "a/b", Target: "/mnt/prefix", Username: "root", Sec: "krb5", Addr: "fe80::1%eth0",
		},
		{
			Device: "0:53", Source: "//acct.file.core.windows.net/share/My Docs/", Endpoint: resolve(t, account), Share: "share", Dir: "My Docs",
			Target: "/mnt/multi", Sec: "krb5", Addr: "2001:db8::1",
		},
		{
			Device: "0:54", Source: `\\acct.file.core.windows.net\share\dir#one`, Endpoint: resolve(t, account), Share: "share", Dir: "dir#one",
			Target: "/mnt/old", CRUID: 4294967294, Username: "a,b c", Sec: "krb5", Addr: "10.99.0.1",
		},
		{
			Device: "0:55", Source: "//acct.file.core.windows.net/share", Endpoint: resolve(t, account), Share: "share", Target: "/mnt/key",
			CRUID: -1, Username: "acct", Sec: "ntlmssp", Addr: "10.99.0.1",
		},
		{
			Device: "0:56", Source: "//files.example.internal/share", Endpoint: resolve(t, "files.example.internal"), Share: "share",
			Target: "/mnt/alias", Username: "root", Sec: "krb5", Addr: "10.99.0.2",
		},
	}
	for i := range got {
		got[i].Options = nil
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if e := got[2].Endpoint; e.Host() != account || e.Alias() != "acct.privatelink.file.core.windows.net" {
		t.Errorf("the privatelink mount is of %s, alias %s", e.Host(), e.Alias())
	}
}

const (
	good = "39 1 0:26 / /mnt rw,relatime - cifs //acct.file.core.windows.net/share rw,sec=krb5,cruid=0"
	next = "40 1 0:27 / /srv rw,relatime - cifs //acct.file.core.windows.net/other rw,sec=krb5,cruid=0"
)

// A line that cannot be read costs nobody else anything.
func TestBadLines(t *testing.T) {
	with := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	bad := map[string]string{
		"empty":             "",
		"cut off":           "39 1 0:26 / - cifs //acct.file.core.windows.net/share rw",
		"no options":        with(" rw,sec=krb5,cruid=0", ""),
		"no separator":      with(" - cifs", " cifs"),
		"no device":         with("0:26", "026"),
		"no id":             with("39 ", "x "),
		"negative id":       with("39 ", "-1 "),
		"another type":      with("- cifs", "- overlay overlay rw,x - cifs"),
		"looks like ours":   "41 1 0:28 / /x rw - ext4 //acct.file.core.windows.net/share rw,x - cifs y",
		"long, good tail":   strings.Repeat("x", 64<<10) + good,
		"other file system": with("- cifs", "- cifsx"),
		"no share":          with("/share", ""),
		"no share, slash":   with("/share", "/"),
		"no host":           with("//acct.file.core.windows.net/share", "share"),
		"no source":         with("//acct.file.core.windows.net/share", ""),
		"64 KiB":            with("sec=krb5", "x="+strings.Repeat("x", 64<<10)),
		"1 MiB":             with("sec=krb5", "x="+strings.Repeat("x", 1<<20)),
		"NUL":               strings.Repeat("\x00", 100),
	}
	for name, line := range bad {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(strings.NewReader(good+"\n"+line+"\n"+next+"\n"), known())
			if err != nil || len(got) != 2 || got[0].Share != "share" || got[1].Share != "other" {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestLongestLine(t *testing.T) {
	line := good + strings.Repeat("x", 64<<10-len(good)-1)
	for _, end := range []string{"\n", ""} {
		got, err := Parse(strings.NewReader(line+end), known())
		if err != nil || len(got) != 1 {
			t.Errorf("a line of %d bytes: %d mounts, %v", len(line), len(got), err)
		}
	}
}

// How a table arrives in pieces does not matter, and its last line may lack its end.
func TestPieces(t *testing.T) {
	got, err := Parse(iotest.OneByteReader(strings.NewReader(good+"\n"+next)), known())
	if err != nil || len(got) != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestReadError(t *testing.T) {
	broken := errors.New("broken")
	if _, err := Parse(iotest.ErrReader(broken), known()); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if _, err := ListFrom(filepath.Join(t.TempDir(), "none"), known()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestOptions(t *testing.T) {
	tests := map[string]struct {
		options, username, sec, addr string
		cruid                        int
		all                          Options
	}{
		"comma":         {`rw,username=a\054sec=none,sec=krb5,cruid=7`, "a,sec=none", "krb5", "", 7, items("rw", "username=a,sec=none", "sec=krb5", "cruid=7")},
		"backslash":     {`rw,username=D\134u,addr=::1`, `D\u`, "", "::1", -1, items("rw", `username=D\u`, "addr=::1")},
		"no escape":     {`rw,username=D\user\9\0,x`, `D\user\9\0`, "", "", -1, items("rw", `username=D\user\9\0`, "x")},
		"cut escape":    {`rw,username=x\04`, `x\04`, "", "", -1, items("rw", `username=x\04`)},
		"too high":      {`rw,username=x\777`, `x\777`, "", "", -1, items("rw", `username=x\777`)},
		"not UTF-8":     {`rw,username=\377`, "\xff", "", "", -1, items("rw", "username=\xff")},
		"spaces":        {"rw,username=a b,sec=krb5 - cifs //x/y rw", "a b", "krb5 - cifs //x/y rw", "", -1, items("rw", "username=a b", "sec=krb5 - cifs //x/y rw")},
		"bad cruid":     {"rw,cruid=0x3e8", "", "", "", -1, items("rw", "cruid=0x3e8")},
		"large cruid":   {"rw,cruid=4294967296", "", "", "", -1, items("rw", "cruid=4294967296")},
		"equals":        {"rw,username=a=b", "a=b", "", "", -1, items("rw", "username=a=b")},
		"stray commas":  {"rw,,sec=krb5,", "", "krb5", "", -1, items("rw", "sec=krb5")},
		"similar names": {"rw,iocharset=x,xsec=krb5,cruid2=1", "", "", "", -1, items("rw", "iocharset=x", "xsec=krb5", "cruid2=1")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			line := "39 1 0:26 / /mnt rw - cifs //acct.file.core.windows.net/share " + test.options
			got, err := Parse(strings.NewReader(line), known())
			if err != nil || len(got) != 1 {
				t.Fatalf("got %+v, %v", got, err)
			}
			m := got[0]
			if m.Username != test.username || m.Sec != test.sec || m.Addr != test.addr || m.CRUID != test.cruid {
				t.Errorf("username %q, sec %q, addr %q, cruid %d", m.Username, m.Sec, m.Addr, m.CRUID)
			}
			if !reflect.DeepEqual(m.Options, test.all) {
				t.Errorf("got %q, want %q", m.Options, test.all)
			}
		})
	}
}

func TestSame(t *testing.T) {
	m := Mount{Endpoint: resolve(t, "acct.privatelink.file.core.windows.net"), Share: "Share", Dir: "Über/Docs"}
	tests := []struct {
		host, share, dir string
		want             bool
	}{
		{account, "share", "über/docs", true},
		{"ACCT.file.core.windows.net", "SHARE", "Über/Docs", true},
		{"files.example.internal", "Share", "Über/Docs", true},
		{"other.file.core.windows.net", "Share", "Über/Docs", false},
		{account, "Share2", "Über/Docs", false},
		{account, "Share", "Über", false},
		{account, "Share", "", false},
	}
	for _, test := range tests {
		if got := m.Same(resolve(t, test.host), test.share, test.dir); got != test.want {
			t.Errorf("%s %s %s: %v", test.host, test.share, test.dir, got)
		}
	}
}

// The table of this very process can be read, whatever is in it.
func TestList(t *testing.T) {
	if _, err := ListFrom("/proc/self/mountinfo", known()); err != nil {
		t.Error(err)
	}
}

// manyLines is a table of n lines, two in a thousand of them ours, like that of a large container host.
func manyLines(n int) string {
	var b strings.Builder
	for i := range n {
		if i%500 == 7 {
			fmt.Fprintf(&b, "%d 1 0:%d / /mnt/%d rw,relatime - cifs //acct%d.file.core.windows.net/share rw,sec=krb5,cruid=0,username=root,addr=192.0.2.1\n", i+30, i, i, i)
			continue
		}
		fmt.Fprintf(&b, "%d 1 0:%d / /var/lib/kubelet/pods/%08d-0000-0000-0000-000000000000/volumes/projected/token rw,relatime shared:%d - overlay overlay rw,lowerdir=/l/%d:/m/%d,upperdir=/u/%d,workdir=/w/%d\n", i+30, i, i, i, i, i, i, i)
	}
	return b.String()
}

func TestManyLines(t *testing.T) {
	got, err := Parse(strings.NewReader(manyLines(10_000)), known())
	if err != nil || len(got) != 20 {
		t.Errorf("%d mounts, %v", len(got), err)
	}
}

func BenchmarkParse(b *testing.B) {
	table := manyLines(10_000)
	b.SetBytes(int64(len(table)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(strings.NewReader(table), known()); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzMountinfo(f *testing.F) {
	f.Fuzz(func(t *testing.T, table string) {
		got, err := Parse(strings.NewReader(table), known())
		if err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(table, "\n") + 1; len(got) > lines {
			t.Fatalf("%d mounts of %d lines", len(got), lines)
		}
		for _, m := range got {
			if m.Endpoint.IsZero() || m.Share == "" || strings.Contains(m.Share, "/") || m.CRUID < -1 {
				t.Fatalf("got %+v", m)
			}
			if strings.HasPrefix(m.Dir, "/") || strings.HasSuffix(m.Dir, "/") || !m.Same(m.Endpoint, m.Share, m.Dir) {
				t.Fatalf("directory %q", m.Dir)
			}
		}
		// A line before and a line behind change nothing but what they are themselves.
		if strings.IndexByte(table, 0) < 0 && !strings.HasSuffix(table, "\n") {
			all, err := Parse(strings.NewReader(good+"\n"+table+"\n"+next), known())
			if err != nil || len(all) != len(got)+2 || !reflect.DeepEqual(all[1:len(all)-1], append([]Mount{}, got...)) {
				t.Fatalf("alone %+v, among others %+v, %v", got, all, err)
			}
		}
	})
}
