package mounts

import (
	"strings"
	"testing"
)

// A slip of the pen is told before anybody is asked; what is not known at all passes with a note.
func TestSpelling(t *testing.T) {
	for text, want := range map[string]string{
		"identiy=system": "did you mean identity?", "idenity=system": "did you mean identity?", "clientid=x": "did you mean client_id?", "client-id=x": "did you mean client_id?",
		"azfile_timeout=5": "did you mean azfiles_timeout?", "file-mode=0644": "did you mean file_mode?", "multichanel": "did you mean multichannel?", "nonsharesock": "did you mean nosharesock?",
		`"x,multiuser,y"`: "a quote or a comma", `mfsymlinks,"a,password=x"`: "a quote or a comma", "\u200bidentity=arc": "option identity: a character that cannot be seen",
		"ser\u00a0verino": "type it again", "client\u2013id=x": "did you mean client_id?", `x-a"b,multiuser,c"`: "a quote or a comma",
	} {
		l := ParseOptions(text).Login()
		if l.Err() == nil || !strings.Contains(l.Err().Error(), want) {
			t.Errorf("%s: %v, want %q", text, l.Err(), want)
		}
	}
	l := ParseOptions("_netdev,rw,nosuid,mfsymlinks,nobrl,nosharesock,lease,noserverino,actimeo=30,file_mode=0644,upcall_target=app,cache=none,x-systemd.automount,Uid=5,context=a").Login()
	if l.Err() != nil || len(l.Notes) != 0 {
		t.Errorf("%v, %v", l.Err(), l.Notes)
	}
	l = ParseOptions("rw,futureoption=1,ns").Login()
	if l.Err() != nil || len(l.Notes) != 2 || !strings.Contains(l.Notes[0], `"futureoption"`) || l.Rest.String() != "rw,futureoption=1,ns" {
		t.Errorf("%v, %v, %s", l.Err(), l.Notes, l.Rest)
	}
	if l = ParseOptions("identiy=system,password=x,sec=ntlm").Login(); len(l.Problems) != 3 {
		t.Errorf("%v", l.Problems)
	}
}

func TestSince(t *testing.T) {
	for name, want := range map[string]string{"upcall_target": "6.12", "RASIZE": "5.13", "esize": "", "rootfs": "", "modesid": "5.11", "min_enc_offload": "5.11", "nosparse": "5.19", "notcpnodelay": "6.1", "nonbsessinit": "6.15", "lease": "7.3", "nolease": "", "max_cached_dirs": "6.6", "retrans": "6.8", "reparse": "6.9", "nosharesock": "", "nonsense": ""} {
		if got := Since(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestTellsUsers(t *testing.T) {
	for _, c := range []struct {
		release, version string
		want             bool
	}{
		{"7.0.0", "", true},
		{"7.3.4+deb13-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 7.3.4-1~bpo13+1 (2026-10-01)", true},
		{"8.0.0-rc1", "", true},
		{"6.1.0-56-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-10-01)", true},
		{"6.1.0-38-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.147-1 (2025-08-02)", false},
		{"6.1.192", "#1 SMP", true},
		{"6.1.191", "#1 SMP", false},
		{"6.12.117+deb13-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.12.117-1 (2026-10-01)", true},
		{"6.12.0", "", false},
		{"6.18.44", "", false},
		{"5.10.0-40-amd64", "#1 SMP Debian 5.10.262-1 (2026-10-01)", false},
		{"5.15.0-1100-azure", "#109-Ubuntu SMP", false},
		{"6.99", "", false},
		{"", "", false},
		{"x.y.z", "Debian", false},
	} {
		if got := TellsUsers(c.release, c.version); got != c.want {
			t.Errorf("%s, %s: %v", c.release, c.version, got)
		}
	}
}
