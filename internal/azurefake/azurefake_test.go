package azurefake_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
)

const (
	host       = "acct.file.core.windows.net"
	otherHost  = "other.file.core.windows.net"
	backupID   = "ba000000-0000-4000-8000-000000000001"
	backupOID  = "ba000000-0000-4000-8000-000000000002"
	backupARM  = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/backup"
	exchangeTo = "https://" + host + "/?restype=service&comp=kerbticket"
)

// noon is the clock of the fakes in these tests unless they say otherwise; its fraction is what expirationTime must keep.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 123456700, time.UTC)

func start(t *testing.T, o azurefake.Options) *azurefake.Fake {
	t.Helper()
	o.Hosts = append(o.Hosts, host, otherHost)
	o.Identities = []azurefake.ManagedIdentity{{ClientID: backupID, ObjectID: backupOID, ResourceID: backupARM}}
	if o.Now == nil {
		o.Now = func() time.Time { return noon }
	}
	f, err := azurefake.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// newExchange is the request that a client makes for a ticket.
func newExchange(t *testing.T, url, token string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("x-ms-version", "2024-05-04")
	req.Header.Set("x-ms-date", noon.Format(http.TimeFormat))
	req.Header.Set("Authorization", "Bearer "+token)
	return req
}

// do sends a request through the fake's transport without following redirects.
func do(t *testing.T, f *azurefake.Fake, req *http.Request) (*http.Response, []byte) {
	t.Helper()
	resp, err := f.Transport().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body
}

func exchange(t *testing.T, f *azurefake.Fake) (*http.Response, []byte) {
	t.Helper()
	return do(t, f, newExchange(t, exchangeTo, f.MintToken(azurefake.MintOptions{})))
}

// answer is a decoded answer to an exchange.
type answer struct {
	expiration time.Time
	sessionKey []byte
	raw        []byte
	cred       messages.KRBCred
	part       messages.EncKrbCredPart
}

func decode(t *testing.T, body []byte) answer {
	t.Helper()
	var j struct {
		ExpirationTime        time.Time
		SessionKey            []byte
		KerberosServiceTicket []byte
	}
	if err := json.Unmarshal(body, &j); err != nil {
		t.Fatalf("%v in %.80q", err, body)
	}
	a := answer{expiration: j.ExpirationTime, sessionKey: j.SessionKey, raw: j.KerberosServiceTicket}
	if err := a.cred.Unmarshal(a.raw); err != nil {
		t.Fatal(err)
	}
	if a.cred.EncPart.EType != 0 {
		t.Fatalf("the encrypted part has etype %d, want 0", a.cred.EncPart.EType)
	}
	if err := a.part.Unmarshal(a.cred.EncPart.Cipher); err != nil {
		t.Fatal(err)
	}
	return a
}

// open decrypts the ticket with the fake's keytab.
func open(t *testing.T, f *azurefake.Fake, ticket messages.Ticket) (messages.Ticket, error) {
	t.Helper()
	b, err := f.Keytab()
	if err != nil {
		t.Fatal(err)
	}
	kt := keytab.New()
	if err := kt.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	err = ticket.DecryptEncPart(kt, nil)
	return ticket, err
}

func TestExchange(t *testing.T) {
	f := start(t, azurefake.Options{Lifetime: 2 * time.Hour})
	resp, body := exchange(t, f)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("status %d, type %q, body %s", resp.StatusCode, resp.Header.Get("Content-Type"), body)
	}
	if !strings.HasPrefix(string(body), `{"expirationTime":"2026-11-23T14:00:00.1234567Z","sessionKey":"`) {
		t.Errorf("unexpected form: %.100s", body)
	}
	a := decode(t, body)
	if len(a.part.TicketInfo) != 1 || len(a.cred.Tickets) != 1 {
		t.Fatalf("%d infos and %d tickets, want one each", len(a.part.TicketInfo), len(a.cred.Tickets))
	}
	info := a.part.TicketInfo[0]
	if got := info.PName.PrincipalNameString() + "@" + info.PRealm; got != "AzureFileClient@FILES.AZURE.STORAGE.MICROSOFT.COM" {
		t.Errorf("client %s", got)
	}
	if got := info.SName.PrincipalNameString() + "@" + info.SRealm; got != "cifs/"+host+"@FILES.AZURE.STORAGE.MICROSOFT.COM" {
		t.Errorf("server %s", got)
	}
	whole := noon.Truncate(time.Second)
	if !info.StartTime.Equal(whole) || !info.EndTime.Equal(whole.Add(2*time.Hour)) || !info.RenewTill.IsZero() {
		t.Errorf("times %v to %v, renewable %v", info.StartTime, info.EndTime, info.RenewTill)
	}
	if string(a.sessionKey) != string(info.Key.KeyValue) || len(a.sessionKey) != 32 || info.Key.KeyType != 18 {
		t.Errorf("sessionKey differs from the key inside, or is no aes256 key")
	}
	ticket, err := open(t, f, a.cred.Tickets[0])
	if err != nil {
		t.Fatal(err)
	}
	inside := ticket.DecryptedEncPart
	if string(inside.Key.KeyValue) != string(a.sessionKey) || !inside.EndTime.Equal(info.EndTime) {
		t.Error("the ticket inside has another key or end than the client is told")
	}
	if inside.CName.PrincipalNameString() != "AzureFileClient" {
		t.Errorf("client inside the ticket: %s", inside.CName.PrincipalNameString())
	}
}

func TestSessionKeysAreNew(t *testing.T) {
	f := start(t, azurefake.Options{})
	_, one := exchange(t, f)
	_, two := exchange(t, f)
	if string(decode(t, one).sessionKey) == string(decode(t, two).sessionKey) {
		t.Error("two tickets have the same session key")
	}
}

func TestStartRefuses(t *testing.T) {
	cert, key, err := azurefake.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	otherCert, _, err := azurefake.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]azurefake.Options{
		"etype":     {Etype: 3},
		"address":   {StorageAddr: "127.0.0.1:notaport"},
		"CA key":    {CACert: cert},
		"CA cert":   {CAKey: key},
		"other's":   {CACert: otherCert, CAKey: key},
		"IMDS addr": {IMDSAddr: "127.0.0.1:notaport"},
	} {
		if f, err := azurefake.Start(o); err == nil {
			f.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

// TestNoSecretsInLog looks for the token and the session key in everything the log says.
func TestNoSecretsInLog(t *testing.T) {
	f := start(t, azurefake.Options{})
	token := f.MintToken(azurefake.MintOptions{AppID: backupID})
	_, body := do(t, f, newExchange(t, exchangeTo, token))
	logged, err := json.Marshal(f.Requests())
	if err != nil {
		t.Fatal(err)
	}
	for part := range strings.SplitSeq(token, ".") {
		if strings.Contains(string(logged), part) {
			t.Error("the log has a part of the token")
		}
	}
	if strings.Contains(string(logged), base64.StdEncoding.EncodeToString(decode(t, body).sessionKey)) {
		t.Error("the log has the session key")
	}
}
