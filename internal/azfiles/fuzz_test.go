package azfiles

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/reply"
)

// FuzzKRBCred holds the promises of the KRB-CRED's front: whatever comes, no panic, a bounded number
// of tickets whose bytes are those that came, and from what is accepted a credential that a cache
// gives back as it was.
func FuzzKRBCred(f *testing.F) {
	whole := frameOf(testGrant(f, nil)).marshal(f)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add(frameOf(testGrant(f, nil), testGrant(f, nil)).marshal(f))
	f.Add(frameOf().marshal(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		grants, err := readKRBCred(b)
		if len(b) > maxCred && err == nil {
			t.Fatalf("%d bytes are accepted", len(b))
		}
		if len(grants) > maxTickets {
			t.Fatalf("%d tickets", len(grants))
		}
		for _, g := range grants {
			if !bytes.Contains(b, g.raw) || len(g.raw) == 0 || g.raw[0] != byte(appTicket) {
				t.Fatalf("a ticket of %d bytes is not from the input", len(g.raw))
			}
		}
		cred, fl := judge(t, b)
		checkOutcome(t, cred, fl)
		if fl == nil && !bytes.Contains(b, cred.Ticket.Reveal()) {
			t.Fatal("the ticket is not from the input")
		}
	})
}

// FuzzAnswer does the same for the JSON around it.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		`{"expirationTime":"2026-11-24T04:45:27.1234567Z","sessionKey":"AA==","kerberosServiceTicket":"dg=="}`,
		"\ufeff {\"kerberosServiceTicket\" : \"\\u0064g\\/=\"}", `{"KERBEROSSERVICETICKET":null}`, `[]`, ``, `{"kerberosServiceTicket":"the-token"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if raw, err := krbCred(&reply.Answer{Body: body}); err == nil {
			if !json.Valid(bytes.TrimPrefix(body, []byte("\ufeff"))) || len(raw) > len(body) || len(raw) == 0 {
				t.Fatalf("%d bytes out of %d", len(raw), len(body))
			}
		}
		cred, fl := judgeBody(t, body)
		checkOutcome(t, cred, fl)
	})
}

func checkOutcome(t *testing.T, cred ccache.Credential, fl *fault.Fault) {
	t.Helper()
	if fl != nil {
		if !cred.Ticket.Empty() || strings.Contains(fl.Error(), "the-token") {
			t.Fatalf("a ticket or the token comes with %v", fl)
		}
		return
	}
	if c := cred.Server.Components; len(c) != 2 || c[0] != "cifs" || c[1] != testHost {
		t.Fatalf("a ticket for %s", cred.Server)
	}
	if !cred.EndTime.After(testNow) || cred.StartTime.After(testNow.Add(5*time.Minute)) || cred.Key.Value.Empty() {
		t.Fatalf("unusable: %v %v", cred.StartTime, cred.EndTime)
	}
	in := ccache.Cache{Principal: cred.Client, Credentials: []ccache.Credential{cred}}
	out, err := ccache.Parse(in.Marshal())
	if err != nil || len(out.Credentials) != 1 {
		t.Fatalf("no cache holds it: %v", err)
	}
	back := out.Credentials[0]
	if !back.Server.Equal(cred.Server) || !back.Client.Equal(cred.Client) || back.Flags != cred.Flags || !back.EndTime.Equal(cred.EndTime) ||
		!back.StartTime.Equal(cred.StartTime) || !back.Ticket.Equal(cred.Ticket) || !back.Key.Value.Equal(cred.Key.Value) {
		t.Fatalf("a cache gives back %+v for %+v", back, cred)
	}
}
