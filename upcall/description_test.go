package upcall

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

const (
	testHost = "acct.file.core.windows.net"
	whole    = "ver=0x2;host=" + testHost + ";ip4=10.99.0.1;sec=krb5;uid=0x3e8;creduid=0x0;user=root;pid=0xa5"
)

func TestParseDescription(t *testing.T) {
	plain := description{host: testHost, ip: netip.MustParseAddr("10.99.0.1"), sec: "krb5", uid: 1000, user: "root", pid: 165}
	with := func(change func(*description)) description {
		d := plain
		change(&d)
		return d
	}
	for text, want := range map[string]description{
		whole:                                  plain,
		whole + ";upcall_target=app":           plain,
		whole + ";upcall_target=mount;newer=1": plain,

		strings.Replace(whole, ";user=root", "", 1):                                               with(func(d *description) { d.user = "" }),
		strings.Replace(whole, "user=root", "user=", 1):                                           with(func(d *description) { d.user = "" }),
		strings.Replace(whole, "user=root", "user=X@REALM =ä", 1):                                 with(func(d *description) { d.user = "X@REALM =ä" }),
		strings.Replace(whole, testHost, "", 1):                                                   with(func(d *description) { d.host = "" }),
		strings.Replace(whole, testHost, "HOST with space", 1):                                    with(func(d *description) { d.host = "HOST with space" }),
		strings.Replace(whole, "sec=krb5", "sec=iakerb", 1):                                       with(func(d *description) { d.sec = "iakerb" }),
		strings.Replace(whole, "creduid=0x0", "creduid=0xfffe", 1):                                with(func(d *description) { d.creduid = 65534 }),
		strings.Replace(whole, "ip4=10.99.0.1", "ip6=fd00:0000:0000:0000:0000:0000:0000:0001", 1): with(func(d *description) { d.ip = netip.MustParseAddr("fd00::1") }),
		whole + ";z=" + strings.Repeat("z", maxDescription-len(whole)-3):                          plain,
	} {
		got, err := parseDescription(text)
		if err != nil || got != want {
			t.Errorf("%.200q:\ngot  %+v, %v\nwant %+v", text, got, err, want)
		}
	}
}

func TestForgedDescriptions(t *testing.T) {
	swap := func(old, new string) string {
		if !strings.Contains(whole, old) {
			t.Fatalf("%q is not there", old)
		}
		return strings.Replace(whole, old, new, 1)
	}
	for text, problem := range map[string]string{
		"":                              "ver",
		";":                             "ver",
		"host=a":                        "ver",
		swap("ver=0x2", "ver=0x3"):      "ver",
		swap("ver=0x2", "ver=2"):        "ver",
		swap("ver=0x2", "VER=0x2"):      "ver",
		swap("ver=0x2;", ""):            "ver",
		swap("host="+testHost+";", ""):  "host",
		swap(";ip4=10.99.0.1", ""):      "ip4",
		swap("10.99.0.1", "10.99.0.1 "): "ip4",
		swap("10.99.0.1", "10.99.0"):    "ip4",
		swap("10.99.0.1", "fd00::1"):    "ip4",
		swap("10.99.0.1", ""):           "ip4",
		swap("ip4=10.99.0.1", "ip6=fd000000000000000000000000000001"): "ip6",
		swap("ip4=10.99.0.1", "ip6=fe80::1%eth0"):                     "ip6",
		swap("ip4=10.99.0.1", "ip6=10.99.0.1"):                        "ip6",
		swap("ip4=10.99.0.1", "ip4=10.99.0.1;ip6=fd00::1"):            "sec",
		swap("sec=krb5;uid=0x3e8", "uid=0x3e8;sec=krb5"):              "sec",
		swap("uid=0x3e8;creduid=0x0", "creduid=0x0;uid=0x3e8"):        "uid",
		swap("uid=0x3e8", "uid=1000"):                                 "uid",
		swap("uid=0x3e8", "uid=0x"):                                   "uid",
		swap("uid=0x3e8", "uid=0x3e8 "):                               "uid",
		swap("uid=0x3e8", "uid=0X3e8"):                                "uid",
		swap("uid=0x3e8", "uid=0x3E8"):                                "uid",
		swap("uid=0x3e8", "uid=0x03e8"):                               "uid",
		swap("uid=0x3e8", "uid=0x+3e8"):                               "uid",
		swap("uid=0x3e8", "uid=0x3_e8"):                               "uid",
		swap("uid=0x3e8", "uid=-0x1"):                                 "uid",
		swap("creduid=0x0", "creduid=0x100000000"):                    "creduid",
		swap("creduid=0x0", "creduid=0xffffffff"):                     "creduid",
		swap("creduid=0x0;", ""):                                      "creduid",
		swap(";pid=0xa5", ""):                                         "pid",
		swap("pid=0xa5", "pid"):                                       "pid",
		swap("pid=0xa5", "pid=0xa5x"):                                 "pid",

		// A value that brings fields of its own.
		swap("user=root", "user=root;creduid=0x3e8"):                                  "pid",
		swap("user=root", "user=root;user=root"):                                      "pid",
		swap("user=root", "user=root;pid=0x1"):                                        `"pid"`,
		swap("user=root", "user=root;pid=0x1;x=1"):                                    `"pid"`,
		swap("user=root", "user=a;b"):                                                 "pid",
		swap(testHost, testHost+";ip4=10.0.0.1;sec=krb5"):                             "uid",
		swap(testHost, testHost+";ip4=10.0.0.1;sec=krb5;uid=0x0;creduid=0x1;pid=0x1"): `"ip4"`,
		whole + ";creduid=0x1":                                                        `"creduid"`,
		whole + ";host=a":                                                             `"host"`,
		whole + ";ip6=fd00::1":                                                        `"ip6"`,
		swap(";user=root", "") + ";user=root":                                         `"user"`,
		whole + ";a=1;a=2":                                                            `"a"`,
		whole + ";":                                                                   `""`,
		whole + ";=":                                                                  `""`,
		whole + ";;a=1":                                                               `""`,
		whole + ";a":                                                                  "a",
		whole + ";A=1":                                                                `"A"`,
		whole + ";a b=1":                                                              `"a b"`,

		whole + "\n":              "control",
		whole + ";a=\x00":         "control",
		swap("root", "ro\x1bot"):  "control",
		swap("root", "ro\u0085t"): "control",
		swap("root", "ro\x7ft"):   "control",
		swap("root", "ro\xfft"):   "control",
		whole + ";a=" + strings.Repeat("z", maxDescription-len(whole)-2): "too long",
	} {
		d, err := parseDescription(text)
		if err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%.200q: %+v, %v; want %q", text, d, err, problem)
		}
	}
}

func TestHostOf(t *testing.T) {
	for text, want := range map[string]string{
		whole: testHost, "ver=0x2;host=": "", "ver=0x2;host=a b;x\n": "a b",
		"ver=0x3;host=a": "-", "host=a": "-", " ver=0x2;host=a": "-", "": "-",
	} {
		got, ok := hostOf(text)
		if !ok {
			got = "-"
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// What is accepted is what the kernel would have written for these values, and what may follow.
func FuzzDescription(f *testing.F) {
	f.Add(whole)
	f.Add(whole + ";upcall_target=mount")
	f.Add(strings.Replace(whole, "user=root", "user=root;creduid=0x3e8", 1))
	f.Add("ver=0x2;host=;ip6=fd00:0000:0000:0000:0000:0000:0000:0001;sec=mskrb5;uid=0x0;creduid=0xfffe;pid=0x1")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parseDescription(text)
		if err != nil {
			return
		}
		key, ip := "ip4", d.ip.String()
		if strings.Contains(text, ";ip6=") && strings.HasPrefix(strings.TrimPrefix(text, start+d.host+";"), "ip6=") {
			key, ip = "ip6", strings.Split(strings.TrimPrefix(text, start+d.host+";ip6="), ";")[0]
		}
		want := fmt.Sprintf("ver=0x2;host=%s;%s=%s;sec=%s;uid=0x%x;creduid=0x%x;", d.host, key, ip, d.sec, d.uid, d.creduid)
		rest, ok := strings.CutPrefix(text, want)
		if !ok {
			t.Fatalf("%q does not begin with %q", text, want)
		}
		if strings.HasPrefix(rest, "user=") {
			rest, ok = strings.CutPrefix(rest, "user="+d.user+";")
		}
		rest, isPid := strings.CutPrefix(rest, fmt.Sprintf("pid=0x%x", d.pid))
		if !ok || !isPid || rest != "" && rest[0] != ';' {
			t.Fatalf("%q: %q is left", text, rest)
		}
		for _, field := range []string{"host", "ip4", "ip6", "sec", "uid", "creduid", "user", "pid"} {
			if strings.Contains(rest, ";"+field+"=") {
				t.Fatalf("%q has %s once more", text, field)
			}
		}
		if host, ok := hostOf(text); !ok || host != d.host {
			t.Fatalf("%q: host %q", text, host)
		}
	})
}
