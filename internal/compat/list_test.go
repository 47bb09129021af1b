package compat

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// golden compares with a file of testdata in which CCACHE stands for the cache's name.
func (m *machine) golden(name, got string) {
	m.Helper()
	want, err := os.ReadFile(filepath.Join("testdata", name))
	must(m.T, err)
	if got = strings.ReplaceAll(got, m.ccache, "CCACHE"); got != string(want) {
		m.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
	}
}

func TestListIsWhatProgramsExpect(t *testing.T) {
	m := newMachine(t)
	m.stored(fixed(storageHost, "AzureFileClient"))
	m.golden("list.txt", m.works("list").out)
	m.golden("list.json", m.works("list", "--json").out)

	m.tool.Zone = time.FixedZone("CET", 3600)
	m.stored(fixed(storageHost, "AzureFileClient"), fixed(other, "AzureFileClient"))
	m.golden("list-two.txt", m.works("list").out)
	m.golden("list-two.json", m.works("--json", "list").out)
}

// A list that was cut off by a full disk is not a list that was printed.
func TestListThatCannotBePrinted(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	must(t, err)
	defer func() { _ = full.Close() }()
	m := newMachine(t)
	m.stored(fixed(storageHost, "AzureFileClient"))
	for _, args := range [][]string{{"list"}, {"list", "--json"}} {
		cmd := m.process(args...)
		cmd.Stdout = full
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); cmd.ProcessState.ExitCode() != 1 || !strings.Contains(stderr.String(), string(fault.OutputFailed.ID)) {
			t.Errorf("%q: %v %s", args, err, stderr.String())
		}
	}
}

// TestListShowsNamesAndTimes has what the sample has not: the client's name with the realm inside, as
// Azure may give it, times that are missing, and labels that are no tickets of their own.
func TestListShowsNamesAndTimes(t *testing.T) {
	m := newMachine(t)
	cred := fixed(storageHost, "AzureFileClient@"+realm)
	cred.StartTime, cred.RenewTill = time.Time{}, time.Time{}
	m.stored(cred, fixed("acct.privatelink.file.core.windows.net", "AzureFileClient@"+realm)) // another ticket
	alias := cred
	alias.Server.Components = []string{"cifs", "alias.example.internal"}
	tgt := cred
	tgt.Server.Components = []string{"krbtgt", realm}
	c := ccache.Cache{Principal: cred.Client, Credentials: []ccache.Credential{tgt, cred, alias}}
	m.write("krb5cc", string(c.Marshal()))
	rows := m.rows()
	if len(rows) != 1 {
		t.Fatal(rows)
	}
	for key, want := range map[string]any{
		"client":            "AzureFileClient@" + realm,
		"ticket_start_time": "12/07/25 04:48:32 UTC (epoch: 1765082912)",
		"ticket_renew_till": "N/A (epoch: 0)",
		"ticket_flags":      8388608.0,
	} {
		if rows[0][key] != want {
			t.Errorf("%s is %v, want %v", key, rows[0][key], want)
		}
	}
}

// TestListOfTheTrueProgram is one that has a cache of a true exchange.
func TestListOfTheTrueProgram(t *testing.T) {
	m := newMachine(t)
	m.works("set", "https://acct.privatelink.file.core.windows.net", m.token)
	m.holds(storageHost)
	m.klist(storageHost, "acct.privatelink.file.core.windows.net")
}
