package watcher

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	alog "github.com/azfilesauth/azfilesauth/internal/log"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

const (
	provisionClient = "b0000000-0000-4000-8000-00000000000b"
	provisionThird  = "c0000000-0000-4000-8000-00000000000c"
)

// provisioned runs --provision over a table and gives its log and the identities in the cache by host.
func provisioned(t *testing.T, table, conf string, prepare ...func(*azurefake.Fake, *provisioner)) (log string, found map[string]string) {
	t.Helper()
	fake := must(azurefake.Start(azurefake.Options{
		Hosts: []string{account(1), account(2), account(3)},
		Identities: []azurefake.ManagedIdentity{
			{ClientID: provisionClient, ObjectID: "b0000000-0000-4000-8000-0000000000ff"},
			{ClientID: provisionThird, ObjectID: "c0000000-0000-4000-8000-0000000000ff"},
		},
	}))
	t.Cleanup(fake.Close)
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	check(os.WriteFile(in("fstab"), []byte(table), 0o600))
	check(os.WriteFile(in("mountinfo"), nil, 0o600))
	check(os.WriteFile(in("passwd"), []byte("root:x:0:0::/root:/bin/sh\n"), 0o600))
	check(os.WriteFile(in("config.yaml"), []byte("USER_UID: 0\nKRB5_CC_NAME: "+in("cc")+"\n"+conf), 0o600))
	var lines bytes.Buffer
	l := slog.New(alog.Dated(&lines, false, slog.LevelInfo))
	p := provisioner{
		host: own(), log: l,
		Access: tickets.Access{Transport: fake.Transport(), IMDS: fake.Transport()},
	}
	p.host.Config, p.host.Passwd, p.host.Mounts, p.host.Fstab = in("config.yaml"), in("passwd"), in("mountinfo"), in("fstab")
	for _, f := range prepare {
		f(fake, &p)
	}
	p.run(t.Context())
	found = map[string]string{}
	snap := must(must(ccache.Open(own(), in("cc"), 0)).Load())
	if snap.Cache != nil {
		for _, c := range snap.Cache.Tickets() {
			rec, _ := snap.Cache.Record("cifs/" + c.Server.Components[1])
			found[c.Server.Components[1]] = strings.Join(append([]string{rec.Identity}, rec.Aliases...), " ")
		}
	}
	return lines.String(), found
}

func TestProvisionTakesWhatOptedIn(t *testing.T) {
	const us = "x-systemd.requires=azfilesrefresh.service"
	managed := "user-assigned client_id=" + provisionClient
	for _, test := range []struct {
		name, line, want string // want: the identity for account 1
	}{
		{"cifs of the machine", share(1) + " /mnt cifs sec=krb5,username=root," + us, "system"},
		{"cifs without a user", share(1) + " /mnt cifs _netdev,sec=krb5i," + us, "system"},
		{"cifs of a managed identity", share(1) + "\t/mnt\tcifs\tsec=krb5,username=" + provisionClient + "," + us + "\t0 0", managed},
		{"by our other name", share(1) + " /mnt smb3 sec=krb5,x-systemd.requires=azfilesauth.service", "system"},
		{"an escaped space", share(1) + `/a\040b /mnt\040x cifs sec=krb5,` + us, "system"},
		{"azfiles", share(1) + " /mnt azfiles _netdev,nofail", "system"},
		{"azfiles with an entry", share(1) + " /mnt azfiles identity=backup", managed},
		{"azfiles with a client id", share(1) + " /mnt azfiles client_id=" + provisionClient, managed},
		{"azfiles by username", share(1) + " /mnt azfiles username=" + provisionClient, managed},
		{"azfiles by URL", "https://" + account(1) + "/share /mnt azfiles identity=system", "system"},
		{"azfiles with backslashes", `\134\134` + account(1) + `\134share /mnt azfiles identity=system`, "system"},
		{"a private link", "//acct1.privatelink.file.core.windows.net/s /mnt cifs sec=krb5," + us, "system acct1.privatelink.file.core.windows.net"},

		{"cifs that did not opt in", share(1) + " /mnt cifs sec=krb5", ""},
		{"cifs that wants another unit", share(1) + " /mnt cifs sec=krb5,x-systemd.requires=nothing.service", ""},
		{"cifs with a password", share(1) + " /mnt cifs sec=ntlmssp," + us, ""},
		{"azfiles by hand", share(1) + " /mnt azfiles noauto", ""},
		{"another file system", "/dev/sda1 /mnt ext4 sec=krb5," + us, ""},
		{"a comment", "#" + share(1) + " /mnt azfiles identity=system", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			log, found := provisioned(t, test.line+"\n", "identities: {backup: {client_id: "+provisionClient+"}}\n")
			if found[account(1)] != test.want || (test.want == "") != (log == "") {
				t.Errorf("got %q, want %q; %s", found[account(1)], test.want, log)
			}
			if test.want != "" && !strings.HasPrefix(log, "[INFO] Ticket for "+account(1)+" of a line of fstab endpoint="+account(1)+" identity=") {
				t.Errorf("log: %s", log)
			}
		})
	}
}

// What is wrong with one line is told and costs no other line its ticket.
func TestProvisionGoesOn(t *testing.T) {
	table := strings.Join([]string{
		"//server.example/share /a azfiles identity=system",
		share(1) + " /b azfiles identity=nobody",
		share(1) + " /c azfiles identity=cli,client_id=system",
		share(1) + " /d azfiles cruid=nosuchuser",
		share(1) + " /e azfiles identity=token",
		"//" + account(1) + " /f azfiles identity=system",
		share(4) + " /g azfiles identity=system", // Azure has no such account
		share(2) + " /h azfiles identity=system",
		share(2) + " /i azfiles client_id=" + provisionClient,
		share(2) + "/dir /j azfiles identity=system",
		"",
	}, "\n")
	log, found := provisioned(t, table, "")
	for i, id := range []string{
		"AZF-HOST-UNKNOWN", "AZF-IDENTITY-INVALID", "AZF-OPTION-INVALID", "AZF-UID-UNKNOWN", "AZF-", "AZF-SOURCE-INVALID",
		"AZF-ACCOUNT-NOT-FOUND", "", "AZF-IDENTITY-CONFLICT",
	} {
		line := logLine(log, i+1)
		if id == "" && !strings.HasPrefix(line, "[INFO]") || id != "" && (!strings.HasPrefix(line, "[ERROR]") || !strings.Contains(line, "fault="+id) || !strings.Contains(line, "fix=")) {
			t.Errorf("line %d: %q, want %s", i+1, line, id)
		}
		if id == "AZF-ACCOUNT-NOT-FOUND" && !strings.Contains(line, " identity=system ") {
			t.Errorf("line %d does not say who asked: %q", i+1, line)
		}
	}
	if len(found) != 1 || found[account(2)] != "system" || logLine(log, 10) != "" {
		t.Errorf("found %v: %s", found, log)
	}
}

// logLine is the line of the log that is about a line of fstab.
func logLine(log string, number int) string {
	for line := range strings.Lines(log) {
		if slices.Contains(strings.Fields(line), fmt.Sprintf("line=%d", number)) {
			return line
		}
	}
	return ""
}

// Who obtained the ticket before is asked before the table is taken to mean the machine.
func TestProvisionKeepsTheIdentity(t *testing.T) {
	line := share(1) + " /mnt cifs sec=krb5,username=root,x-systemd.requires=azfilesrefresh.service\n"
	_, found := provisioned(t, line, "endpoints: {"+account(1)+": {identity: backup}}\nidentities: {backup: {client_id: "+provisionClient+"}}\n")
	if found[account(1)] != "user-assigned client_id="+provisionClient {
		t.Errorf("by the configuration: %v", found)
	}
	log, found := provisioned(t, line, "", func(_ *azurefake.Fake, p *provisioner) {
		first := *p
		first.host.Fstab += ".first"
		check(os.WriteFile(first.host.Fstab, []byte(share(1)+" /mnt azfiles client_id="+provisionClient+"\n"), 0o600))
		first.run(t.Context())
	})
	if found[account(1)] != "user-assigned client_id="+provisionClient || !strings.Contains(log, "fetched=false") {
		t.Errorf("by the record: %v, %s", found, log)
	}
}

// Where our handler answers, the lines of two identities of an account both have their tickets.
func TestProvisionOfSeveralIdentities(t *testing.T) {
	table := strings.Join([]string{
		share(1) + " /a azfiles identity=system",
		share(1) + " /b azfiles client_id=" + provisionClient,
		share(1) + " /c cifs sec=krb5,nosharesock,username=" + provisionThird + ",x-systemd.requires=azfilesrefresh.service",
		share(1) + "/dir /d azfiles client_id=" + provisionClient,
		share(1) + " /e cifs sec=krb5,x-systemd.requires=azfilesrefresh.service",
		share(1) + " /f cifs sec=krb5,cruid=0,username=bob,x-systemd.requires=azfilesrefresh.service",
		"",
	}, "\n")
	conf := "default_identity: backup\nidentities: {backup: {client_id: " + provisionClient + "}}\n"
	var fake *azurefake.Fake
	log, found := provisioned(t, table, conf, func(f *azurefake.Fake, p *provisioner) {
		fake = f
		p.handles = func(string) bool { return true }
	})
	var asked []string
	for _, r := range fake.Requests() {
		if r.Target == azurefake.TargetStorage {
			asked = append(asked, r.Identity)
		}
	}
	slices.Sort(asked)
	if want := []string{provisionClient, provisionThird, "system"}; !slices.Equal(asked, want) || strings.Contains(log, "[ERROR]") {
		t.Errorf("tickets were issued to %q\n%s", asked, log)
	}
	if got := found[account(1)]; got != "user-assigned client_id="+provisionClient { // that of /e and /f
		t.Errorf("who names nobody logs in as %s", got)
	}
}

func TestProvisionWithoutAnything(t *testing.T) {
	broken := func(path string) func(*azurefake.Fake, *provisioner) {
		return func(_ *azurefake.Fake, p *provisioner) {
			switch path {
			case "config":
				check(os.WriteFile(p.host.Config, []byte("USER_UID: [x]\n"), 0o600))
			case "fstab":
				p.host.Fstab = "/nonexistent/fstab"
			case "folder":
				p.host.Fstab = filepath.Dir(p.host.Fstab)
			}
		}
	}
	line := share(1) + " /mnt azfiles identity=system\n"
	for what, want := range map[string]string{"config": "fault=AZF-CONFIG-INVALID", "folder": "[ERROR] the table of file systems cannot be read"} {
		if log, _ := provisioned(t, line, "", broken(what)); !strings.Contains(log, want) || strings.Count(log, "\n") != 1 {
			t.Errorf("%s: %s", what, log)
		}
	}
	if log, _ := provisioned(t, line, "", broken("fstab")); log != "" {
		t.Errorf("no table: %s", log)
	}
}

func TestProvisionEndsBeforeSystemdGivesUp(t *testing.T) {
	if provisionTimeout >= 90*time.Second {
		t.Error("systemd would give the unit up")
	}
}
