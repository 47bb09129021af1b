package tickets

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// nobody is a user of every machine.
const nobody = 65534

func TestOwner(t *testing.T) {
	const other = "99999999-2222-3333-4444-555555555555"
	mine := "user-assigned client_id=" + client
	tests := map[string]struct {
		config   string
		record   string // "" is none
		trusted  bool
		username string
		live     []string // user names of mounts
		want     string   // an identity or the id of a fault
	}{
		"trusted record":                     {record: "system", trusted: true, username: "root", want: "system"},
		"trusted record of a file":           {record: "token token_file=/x", trusted: true, username: "root", want: "token token_file=/x"},
		"trusted record before config":       {config: "default_identity: system", record: mine, trusted: true, username: "root", want: mine},
		"trusted record, a client's mount":   {record: "system", trusted: true, username: client, want: mine},
		"trusted record, the user of it":     {record: "system", trusted: true, username: system.Username(), want: "system"},
		"trusted record, another label":      {record: "cli user=ann", trusted: true, username: "azfiles-cli-0123456789ab", want: string(fault.IdentityUnknown.ID)},
		"a label of the machine":             {username: system.Username(), want: "system"},
		"a label of the configuration":       {config: "identities: {a: {kind: cli, user: ann}}", username: identity.Identity{Kind: identity.CLI, User: "ann"}.Username(), want: "cli user=ann"},
		"a label of nobody":                  {config: "default_identity: system", username: "azfiles-cli-0123456789ab", want: string(fault.IdentityUnknown.ID)},
		"almost a label":                     {config: "default_identity: system", username: "azfiles-cli-0123456789abc", want: "system"},
		"trusted record, its own client":     {record: mine, trusted: true, username: client, want: mine},
		"trusted record, another client":     {record: mine, trusted: true, username: other, want: "user-assigned client_id=" + other},
		"client of two, another of the host": {config: "identities: {a: {client_id: " + client + "}, b: {client_id: " + client + ", resource: https://storage.azure.com}}\nendpoints: {" + acct + ": {identity: system}}", username: client, want: string(fault.IdentityConflict.ID)},
		"record that cannot be read":         {record: "unheard-of", trusted: true, username: "root", want: string(fault.IdentityUnknown.ID)},
		"untrusted record":                   {record: "system", username: "root", want: string(fault.RecordUntrusted.ID)},
		"untrusted record of a file":         {record: "token token_file=/x", username: client, want: mine},
		"untrusted, the default":             {config: "default_identity: system", record: "system", username: "root", want: "system"},
		"untrusted, an entry":                {config: "identities: {a: {client_id: " + client + "}}", record: mine, username: "root", want: string(fault.RecordUntrusted.ID)},
		"untrusted, not before the endpoint": {config: "identities: {a: {client_id: " + client + "}}\ndefault_identity: a\nendpoints: {" + acct + ": {identity: system}}", record: mine, username: "root", want: "system"},
		"untrusted, one of a client's two":   {config: "identities: {a: {client_id: " + client + "}, b: {client_id: " + client + ", resource: https://storage.azure.com}}", record: mine, username: client, want: mine},
		"untrusted, of the endpoint":         {config: "endpoints: {" + acct + ": {identity: system}}", record: "system", want: "system"},
		"untrusted, of another":              {config: "default_identity: system", record: mine, username: "root", want: "system"},
		"untrusted, with more than config":   {config: "identities: {a: {client_id: " + client + "}}", record: mine + " resource=https://evil.example", username: "root", want: string(fault.RecordUntrusted.ID)},
		"untrusted, of the user name":        {record: mine, username: client, want: mine},
		"untrusted, of a mount":              {record: mine, live: []string{client}, want: mine},
		"user name is a client id":           {username: client, want: mine},
		"user name in capitals":              {username: "AAAAAAAA-2222-3333-4444-555555555555", want: "user-assigned client_id=aaaaaaaa-2222-3333-4444-555555555555"},
		"user name before config":            {config: "default_identity: system", username: client, want: mine},
		"client of one entry":                {config: "identities: {a: {kind: user-assigned, client_id: " + client + ", resource: https://storage.azure.com}}", username: client, want: mine + " resource=https://storage.azure.com"},
		"client of two entries":              {config: "identities: {a: {client_id: " + client + "}, b: {client_id: " + client + ", resource: https://storage.azure.com}}", username: client, want: string(fault.IdentityUnknown.ID)},
		"config of the endpoint":             {config: "default_identity: system\nidentities: {a: {client_id: " + client + "}}\nendpoints: {" + acct + ": {identity: a}}", username: "root", want: mine},
		"config in general":                  {config: "default_identity: system", username: "root", want: "system"},
		"root tells nothing":                 {username: "root", want: string(fault.IdentityUnknown.ID)},
		"nothing":                            {want: string(fault.IdentityUnknown.ID)},
		"a mount":                            {live: []string{client, client}, want: mine},
		"mounts that differ":                 {live: []string{client, other}, want: string(fault.IdentityUnknown.ID)},
		"a mount of root":                    {live: []string{"root"}, want: string(fault.IdentityUnknown.ID)},
		"a mount, but not of this request":   {live: []string{client}, username: "root", want: string(fault.IdentityUnknown.ID)},
		"almost a client id":                 {username: client + "0", want: string(fault.IdentityUnknown.ID)},
		"a client id with fields of its own": {username: client + " resource=https://evil.example", want: string(fault.IdentityUnknown.ID)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if err := os.WriteFile(w.conf, []byte("KRB5_CC_NAME: "+w.path+"\nUSER_UID: 65534\n"+tt.config+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			e := resolve(t, acct)
			for _, user := range tt.live {
				w.live = append(w.live, mounts.Mount{Endpoint: e, CRUID: nobody, Username: user, Sec: "krb5"})
			}
			w.live = append(w.live, mounts.Mount{Endpoint: e, CRUID: 1, Username: other}, mounts.Mount{Endpoint: resolve(t, acct2), CRUID: nobody, Username: other})
			w.Manager = w.manager()
			if tt.record != "" {
				w.record(tt.record, tt.trusted)
			}
			id, err := w.Owner(e, nobody, tt.username)
			got := id.String()
			if err != nil {
				got = string(fault.From(err).ID())
			}
			if got != tt.want {
				t.Errorf("%s, %v; want %s", id, err, tt.want)
			}
			if n := len(w.fake.Requests()); n != 0 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// record stores a ticket with a record.
func (w *world) record(line string, trusted bool, files ...string) {
	w.t.Helper()
	service := ccache.Principal{NameType: 2, Realm: "R", Components: []string{"cifs", acct}}
	cred := ccache.Credential{
		Client: ccache.Principal{NameType: 1, Realm: "R", Components: []string{"c"}}, Server: service,
		EndTime: time.Now().Add(time.Hour).Truncate(time.Second),
	}
	store := must(ccache.Open(machine(w.path), w.path, nobody))
	if err := store.Update(w.t.Context(), func(c *ccache.Cache) error {
		c.Put(cred, ccache.Record{Identity: line, ObtainedAt: time.Now(), Files: files})
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
	if !trusted {
		needs.Root(w.t)
		if err := os.Chown(w.path, nobody, nobody); err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestFilesOfAnUntrustedRecord: the owner of a cache names no file that root reads, whatever is missing.
func TestFilesOfAnUntrustedRecord(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	theirs := filepath.Join(dir, "theirs")
	own := "workload client_id=" + client + " tenant_id=" + client + " token_file=" + dir + "/gone"
	conf := "identities: {a: {kind: workload, client_id: " + client + ", tenant_id: " + client + ", token_file: " + dir + "/gone}}\ndefault_identity: a\n"
	for file, text := range map[string]string{theirs: "an.assertion.x", w.conf: "KRB5_CC_NAME: " + w.path + "\nUSER_UID: 65534\n" + conf} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.Manager = w.manager()
	w.record(own, false, theirs)
	e := resolve(t, acct)
	if id, err := w.Owner(e, nobody, "root"); err != nil || id.String() != own {
		t.Errorf("%s, %v", id, err)
	}
	id := must(identity.Parse(own))
	id.TokenFile = theirs + "2"
	if err := os.WriteFile(id.TokenFile, []byte("an.assertion.x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Ensure(t.Context(), Request{Endpoint: e, CRUID: nobody, Identity: id, Fresh: Always, Keep: true}); err == nil {
		t.Fatal("no refusal")
	}
	rec, ok := must(must(ccache.Open(machine(w.path), w.path, nobody)).Load()).Cache.Record("cifs/" + acct)
	if !ok || rec.Identity != id.String() || len(rec.Files) != 0 {
		t.Errorf("%+v, %v", rec, ok)
	}
}

func TestOwnerOfDamagedCache(t *testing.T) {
	w := newWorld(t)
	if err := os.WriteFile(w.path, []byte("\x05\x04garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Owner(resolve(t, acct), 0, "root"); !fault.Is(err, fault.CCacheDamaged) {
		t.Error(err)
	}
	if id, err := w.Owner(resolve(t, acct), 0, client); err != nil || id != (identity.Identity{Kind: identity.UserAssigned, ClientID: client}) {
		t.Errorf("%s, %v", id, err)
	}
}

// TestOwnerOfNeedsNoManager: whoever has gathered the evidence in another way, as the doctor does from
// the files of a dead machine, gets the same answer.
func TestOwnerOfNeedsNoManager(t *testing.T) {
	const other = "99999999-2222-3333-4444-555555555555"
	w := newWorld(t)
	w.record("user-assigned client_id="+client, true)
	e := Evidence{
		Endpoint: resolve(t, acct), Config: read(w.conf), Path: w.path,
		Cache: must(must(ccache.Open(machine(w.path), w.path, 0)).Load()),
	}
	for username, want := range map[string]string{"root": client, client: client, other: other} {
		e.Username = username
		if id, err := OwnerOf(e); err != nil || id.ClientID != want {
			t.Errorf("%s: %s, %v, want %s", username, id, err, want)
		}
	}
	e.Username, e.Mounted = "", []mounts.Mount{{Endpoint: e.Endpoint, Username: other}}
	if id, err := OwnerOf(e); err != nil || id.ClientID != other {
		t.Errorf("a live mount of another client id: %s, %v", id, err)
	}
	e.CRUID = 1
	if id, err := OwnerOf(e); err != nil || id.ClientID != client {
		t.Errorf("a live mount of another credential uid: %s, %v", id, err)
	}
}

// TestMachineIsAdvised: until a default identity exists, what is said of such a mount names the drop-in. One of the CSI
// driver, and one that names somebody, are not told to log in as the machine.
func TestMachineIsAdvised(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		target, username string
		advised          bool
	}{
		{"/mnt/share", "root", true}, {"/mnt/share", "", true}, {"/mnt/share", "alice", false}, {"/var/lib/kubelet/pods/x/mount", "root", false},
	} {
		w.live = []mounts.Mount{{Endpoint: resolve(t, acct), Sec: "krb5", Target: c.target, Username: c.username}}
		_, err := w.Owner(resolve(t, acct), 0, c.username)
		if !fault.Is(err, fault.IdentityUnknown) {
			t.Fatalf("%+v: %v", c, err)
		}
		if fix := fault.From(err).Fix(); strings.Contains(fix, "write default_identity: system into /etc/azfilesauth/config.d/50-upgrade.yaml") != c.advised {
			t.Errorf("%+v: %s", c, fix)
		}
	}
}

// With multiuser every user of the machine logs in at a mount of root's. What the configuration says of the account is for
// the mount, and a ticket in the user's own cache would be his to use elsewhere.
func TestUsersOfAMultiuserMount(t *testing.T) {
	w := newWorld(t)
	if err := os.WriteFile(w.conf, []byte("USER_UID: 0\nKRB5_CC_NAME: "+w.path+"_%{uid}\nendpoints: {"+acct+": {identity: system}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := resolve(t, acct)
	roots := mounts.Mount{Endpoint: e, Options: mounts.ParseShown("sec=krb5,cruid=0,multiuser")}
	at := Evidence{Endpoint: e, CRUID: nobody, Config: read(w.conf), Mounted: []mounts.Mount{roots}}
	if id, err := OwnerOf(at); !fault.Is(err, fault.IdentityUnknown) {
		t.Errorf("a user logs in as %s, %v", id, err)
	}
	mine := at
	mine.CRUID = 0
	own := at
	own.Mounted = []mounts.Mount{roots, {Endpoint: e, CRUID: nobody}}
	others := at
	others.Mounted = []mounts.Mount{{Endpoint: resolve(t, acct2), Options: roots.Options}, {Endpoint: e}}
	for what, at := range map[string]Evidence{"the mount's own": mine, "a mount of the user's": own, "without multiuser": others} {
		if id, err := OwnerOf(at); err != nil || id.Kind != identity.System {
			t.Errorf("%s: %s, %v", what, id, err)
		}
	}

	w.Manager, w.live = w.manager(), []mounts.Mount{roots}
	for _, name := range []string{"root", client, ""} { // the kernel tells the mount's own user name for each user
		if id, err := w.Owner(e, nobody, name); !fault.Is(err, fault.IdentityUnknown) {
			t.Errorf("a user logs in as %s at a mount with username=%s, %v", id, name, err)
		}
		if id, err := w.Owner(e, 0, name); err != nil || (name == client) != (id.ClientID == client) {
			t.Errorf("root with username=%s: %s, %v", name, id, err)
		}
	}
}
