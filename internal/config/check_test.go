package config

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

// What the reader of azfilesauthmanager 1.0.11 takes is taken, and is a mistake for a check alone.
func TestLinesOfUpstream(t *testing.T) {
	for content, odd := range map[string]string{
		"USER_UID:7\nKRB5_CC_NAME:/x\n":                               "line 1: line 2: ",
		"USER_UID: 7\n KRB5_CC_NAME: /x\n":                            "line 2: ",
		"# x\n\tUSER_UID: 7\nKRB5_CC_NAME: /x\n":                      "line 2: ",
		"LOG_DESTINATION: syslog\r\n  USER_UID:7\r\nKRB5_CC_NAME: /x": "line 2: ",
		"ENVIRONMENT:\n  A: b\n  USER_UID: 7\nKRB5_CC_NAME: \"/x\"\n": "line 3: ",
		"  USER_UID: 7\n  KRB5_CC_NAME: /x\n  refresh: {at: 0.5}\n":   "",
		"{\n  USER_UID: 7,\n  KRB5_CC_NAME: /x\n}\n":                  "",
		"USER_UID : 7\nKRB5_CC_NAME:  FILE:/x # mine\n":               "",
		"# f\xfcr uns\nUSER_UID: 7\n  # \xfc\nKRB5_CC_NAME: /x\n":     "", // Latin-1
		"\t# mine\n\t\nUSER_UID: 7\n \t \nKRB5_CC_NAME: /x\n\t# x\n":  "",
	} {
		c, err := readAt(write(t, content))
		if err != nil {
			t.Errorf("%v\n%s", err, content)
			continue
		}
		var lines string
		for _, w := range c.Warnings {
			number, _, _ := strings.Cut(w, ": ")
			lines += number + ": "
		}
		if c.CredentialUID != 7 || c.CCacheName(7) != "/x" || lines != odd || (c.Strict() == nil) != (odd == "") {
			t.Errorf("uid %d, cache %s, warnings %q, check: %v\n%s", c.CredentialUID, c.CCacheName(7), c.Warnings, c.Strict(), content)
		}
	}
}

// A check tells every mistake at once, in the order of the lines, whoever the file belongs to.
func TestCheckTellsAll(t *testing.T) {
	const content = `USER_UID: -1
KRB5_CC_NAME: "KCM:"
CURL_TOTAL_TIMEOUT: soon
refresh: {at: 7, jiter: 1%}
identities:
  app: {kind: workload, client_id: ` + guid + `, tenant: x.example, token_file: /t}
default_identity: app
endpoints:
  acct.example: {identity: app}
metrics: {textfile: /nonexistent/x.prom}
`
	want := []string{
		"line 1: USER_UID: it must be a uid", "line 2: KRB5_CC_NAME: a cache of the type KCM cannot be used", "line 3: CURL_TOTAL_TIMEOUT: ",
		"line 4: refresh.at: ", "line 4: refresh.jiter: this key is unknown; did you mean jitter?",
		"line 6: identities.app: ", "line 6: identities.app.tenant: this key is unknown; did you mean tenant_id?",
		"line 9: endpoints.acct.example: ", "line 10: metrics.textfile: the directory /nonexistent does not exist",
	}
	path := write(t, content)
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	h := host.Real().Trusting(os.Geteuid())
	h.Config = path
	_, more, err := CheckFile(h)
	if !fault.Is(err, fault.ConfigInvalid) || !strings.Contains(err.Error(), want[0]) {
		t.Fatal(err)
	}
	slices.Sort(more[:]) // two of a line have no order
	for _, w := range want[1:] {
		if !slices.ContainsFunc(more, func(m string) bool { return strings.HasPrefix(m, w) }) {
			t.Errorf("%q is not among %q", w, more)
		}
	}
	if len(more) != len(want)-1 {
		t.Errorf("got %d: %q", len(more), more)
	}
	if i := slices.IndexFunc(more, func(m string) bool { return strings.HasPrefix(m, "line 6: identities.app: ") }); i < 0 || !strings.Contains(more[i], "line 6 has tenant, did you mean tenant_id?") {
		t.Errorf("the key that is meant is not named: %q", more)
	}
	if _, _, err := Check(h); !fault.Is(err, fault.ConfigUnsafe) {
		t.Errorf("the machine's own: %v", err)
	}
	h.Config = "stdin"
	if _, _, err := CheckContent(h, bytes.Repeat([]byte("#\n"), MaxSize/2+1)); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("content that is too long: %v", err)
	}
	if _, _, err := CheckContent(h, []byte("metrics: {textfile: /nonexistent/x.prom}\n")); err != nil {
		t.Errorf("the directories of another machine: %v", err)
	}
	h.Config = filepath.Join(t.TempDir(), "none")
	if c, _, err := CheckFile(h); err != nil || !c.Missing {
		t.Errorf("%v", err)
	}
}

// A directory in the place of a file that is to be written is told, not only a missing one.
func TestCheckOfADirectoryForAFile(t *testing.T) {
	dir := t.TempDir()
	h := host.Real().Trusting(os.Geteuid())
	h.Config = write(t, "LOG_FILE_PATH: "+dir+"\n")
	_, _, err := CheckFile(h)
	if err == nil || !strings.Contains(err.Error(), "line 1: LOG_FILE_PATH: "+dir+" is a directory") {
		t.Error(err)
	}
}
