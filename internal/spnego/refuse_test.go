package spnego_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/secret"
	"github.com/azfilesauth/azfilesauth/internal/spnego"
)

// ticketOf is an element with the tag of a ticket and n bytes of content, 256 to 65535 of them.
func ticketOf(n int) []byte {
	return append([]byte{0x61, 0x82, byte(n >> 8), byte(n)}, make([]byte, n)...)
}

func TestRefused(t *testing.T) {
	setKey := func(etype uint16, n int) func(*ccache.Credential) {
		return func(c *ccache.Credential) {
			c.Key = ccache.Key{Etype: etype, Value: secret.New(bytes.Repeat([]byte{0xa5}, n))}
		}
	}
	setTicket := func(b []byte) func(*ccache.Credential) {
		return func(c *ccache.Credential) { c.Ticket = secret.New(b) }
	}
	tests := []struct {
		name   string
		change func(*ccache.Credential)
		want   fault.Named
		text   string
	}{
		{"no key", setKey(18, 0), fault.TicketEtype, "its session key is of 0 bytes, not 32"},
		{"short key", setKey(18, 31), fault.TicketEtype, "31 bytes, not 32"},
		{"long key", setKey(17, 32), fault.TicketEtype, "32 bytes, not 16"},
		{"aes256-sha2 as gokrb5 counts it", setKey(20, 24), fault.TicketEtype, "24 bytes, not 32"},
		{"etype 0", setKey(0, 0), fault.TicketEtype, "encryption type 0,"},
		{"des3", setKey(16, 24), fault.TicketEtype, "encryption type 16,"},
		{"unknown etype", setKey(65535, 32), fault.TicketEtype, "encryption type 65535,"},
		{"rc4", setKey(23, 16), fault.TicketEtype, "update -n acct -g"},
		{"ended", func(c *ccache.Credential) { c.EndTime = c.StartTime }, fault.TicketExpired, "2026-11-23T15:48:24Z"},
		{"no end", func(c *ccache.Credential) { c.EndTime = time.Time{} }, fault.TicketExpired, testHost},
		{"no ticket", setTicket(nil), fault.TicketDamaged, "not a ticket"},
		{"text", setTicket([]byte("not a ticket")), fault.TicketDamaged, "not a ticket"},
		{"another type", setTicket([]byte{0x62, 1, 0}), fault.TicketDamaged, "not a ticket"},
		{"cut short", setTicket([]byte{0x61, 2, 0}), fault.TicketDamaged, "not a ticket"},
		{"length of no DER", setTicket([]byte{0x61, 0x81, 1, 0}), fault.TicketDamaged, "not a ticket"},
		{"length of no end", setTicket([]byte{0x61, 0x80, 0, 0}), fault.TicketDamaged, "not a ticket"},
		{"two tickets", func(c *ccache.Credential) {
			c.Ticket = secret.New(bytes.Repeat(c.Ticket.Reveal(), 2))
		}, fault.TicketDamaged, "bytes follow the ticket"},
		{"trailing byte", func(c *ccache.Credential) {
			c.Ticket = secret.New(append(bytes.Clone(c.Ticket.Reveal()), 0))
		}, fault.TicketDamaged, "1 bytes follow the ticket"},
		{"client without name", func(c *ccache.Credential) { c.Client.Components = nil }, fault.TicketDamaged, "whose"},
		{"client without realm", func(c *ccache.Credential) { c.Client.Realm = "" }, fault.TicketDamaged, "whose"},
		{"70 KB", setTicket(append([]byte{0x61, 0x83, 1, 0x11, 0x70}, make([]byte, 70_000)...)), fault.TicketTooLarge, "limit is 65535"},
		{"no server", func(c *ccache.Credential) { c.Server = ccache.Principal{}; c.Ticket = secret.Value{} }, fault.TicketDamaged, "not a ticket"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cred, _ := realCredential(t)
			now := cred.StartTime.Add(time.Minute)
			tt.change(&cred)
			p, err := spnego.Payload(cred, spnego.Krb5, now)
			if !fault.Is(err, tt.want) || !p.Empty() {
				t.Fatalf("got %v and a payload of %d bytes, want %s", err, p.Len(), tt.want)
			}
			if !strings.Contains(err.Error(), tt.text) || strings.Contains(fault.From(err).What(), "<") {
				t.Errorf("%s\ndoes not say %q, or has a gap", err, tt.text)
			}
			if key := hex.EncodeToString(cred.Key.Value.Reveal()); key != "" && strings.Contains(err.Error(), key) {
				t.Errorf("shows the session key: %s", err)
			}
		})
	}
}

// A ticket is good until the second in which it ends.
func TestLastMoment(t *testing.T) {
	cred, _ := realCredential(t)
	if _, err := spnego.Payload(cred, spnego.Krb5, cred.EndTime.Add(-time.Nanosecond)); err != nil {
		t.Error(err)
	}
	if _, err := spnego.Payload(cred, spnego.Krb5, cred.EndTime); !fault.Is(err, fault.TicketExpired) {
		t.Error(err)
	}
}

// The largest token that SMB carries has 65535 bytes.
func TestLargestTicket(t *testing.T) {
	cred, _ := realCredential(t)
	now, size := cred.StartTime, 60_000
	token := func() int {
		cred.Ticket = secret.New(ticketOf(size))
		return len(openMessage(t, payloadOf(t, cred, spnego.Krb5, now)).token)
	}
	size += 65535 - token()
	if got := token(); got != 65535 {
		t.Fatalf("a token of %d bytes", got)
	}
	cred.Ticket = secret.New(ticketOf(size + 1))
	if _, err := spnego.Payload(cred, spnego.Krb5, now); !fault.Is(err, fault.TicketTooLarge) {
		t.Errorf("one byte more: %v", err)
	}
}

func TestTimeThatKerberosCannotWrite(t *testing.T) {
	cred, _ := realCredential(t)
	now := time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
	cred.EndTime = now.Add(time.Hour)
	if _, err := spnego.Payload(cred, spnego.Krb5, now); !fault.Is(err, fault.Internal) {
		t.Error(err)
	}
}

func TestMechanismsThatATicketDoesNotAnswer(t *testing.T) {
	for _, sec := range []string{"", "iakerb", "KRB5", "krb5i", "krb5 ", "ntlmssp", "krb5;creduid=0x0", "\x00"} {
		_, err := spnego.ParseMechanism(sec)
		var f *fault.Fault
		if !errors.As(err, &f) || f.ID() != fault.Mechanism.ID {
			t.Errorf("%q: %v", sec, err)
		}
	}
}
