package azurefake_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

// TestOrderedAnswers has the orders whose answer is no ticket.
func TestOrderedAnswers(t *testing.T) {
	storage := func(o azurefake.Order) azurefake.Order { o.Target = azurefake.TargetStorage; return o }
	imds := func(o azurefake.Order) azurefake.Order { o.Target = azurefake.TargetIMDS; return o }
	for _, tc := range []struct {
		name   string
		order  azurefake.Order
		status int
		header string // name: value
		body   string // part of it; "-" for an empty one
	}{
		{"error", storage(azurefake.Order{Status: 403, Code: "AuthorizationFailure", Message: "no <role>"}), 403, "x-ms-error-code: AuthorizationFailure", "<Code>AuthorizationFailure</Code><Message>no &lt;role&gt;"},
		{"error of a proxy", storage(azurefake.Order{Status: 502}), 502, "x-ms-error-code: ", "Bad Gateway"},
		{"code alone", storage(azurefake.Order{Code: "SmbOAuthDisabled"}), 400, "x-ms-error-code: SmbOAuthDisabled", "SmbOAuthDisabled"},
		{"retry after", storage(azurefake.Order{Status: 429, RetryAfter: "7"}), 429, "Retry-After: 7", ""},
		{"redirect", storage(azurefake.Order{Redirect: "https://evil.example/"}), 302, "Location: https://evil.example/", "-"},
		{"redirect 307", storage(azurefake.Order{Redirect: "https://evil.example/", Status: 307}), 307, "Location: https://evil.example/", "-"},
		{"body", storage(azurefake.Order{Body: new("{}")}), 200, "Content-Type: application/json", "{}"},
		{"body with status", storage(azurefake.Order{Body: new("gone"), ContentType: "text/plain", Status: 410}), 410, "Content-Type: text/plain", "gone"},
		{"empty body", storage(azurefake.Order{Body: new("")}), 200, "", "-"},
		{"not JSON", storage(azurefake.Order{Garbage: azurefake.GarbageJSON}), 200, "", "<html>"},
		{"empty", storage(azurefake.Order{Garbage: azurefake.GarbageEmpty}), 200, "", "-"},
		{"skew", storage(azurefake.Order{Skew: -time.Hour}), 200, "Date: Mon, 23 Nov 2026 11:00:00 GMT", "expirationTime"},
		{"skewed error", storage(azurefake.Order{Skew: time.Hour, Status: 401, Code: "InvalidAuthenticationInfo"}), 401, "Date: Mon, 23 Nov 2026 13:00:00 GMT", "Time:2026-11-23T13:00:00"},
		{"token expired by the server's clock", storage(azurefake.Order{Skew: 2 * time.Hour}), 401, "Date: Mon, 23 Nov 2026 14:00:00 GMT", "expired"},
		{"IMDS error", imds(azurefake.Order{Status: 429, Code: "too_many", Message: "slow down", RetryAfter: "2"}), 429, "Retry-After: 2", `{"error":"too_many","error_description":"slow down"}`},
		{"IMDS error without a code", imds(azurefake.Order{Status: 500}), 500, "", "Internal Server Error"},
		{"IMDS redirect", imds(azurefake.Order{Redirect: "http://evil.example/"}), 302, "Location: http://evil.example/", "-"},
		{"IMDS body", imds(azurefake.Order{Body: new("[1]")}), 200, "", "[1]"},
		{"IMDS no JSON", imds(azurefake.Order{Garbage: azurefake.GarbageJSON}), 200, "", "<html>"},
		{"IMDS empty", imds(azurefake.Order{Garbage: azurefake.GarbageEmpty}), 200, "", "-"},
		{"IMDS lifetime", imds(azurefake.Order{Lifetime: time.Minute}), 200, "", `"expires_in":"60"`},
		{"IMDS expired", imds(azurefake.Order{Lifetime: -time.Minute}), 200, "", `"expires_in":"0"`},
		{"IMDS skew", imds(azurefake.Order{Skew: time.Hour}), 200, "Date: Mon, 23 Nov 2026 13:00:00 GMT", `"expires_in":"86400"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := start(t, azurefake.Options{})
			f.Order(tc.order)
			req := newExchange(t, exchangeTo, f.MintToken(azurefake.MintOptions{}))
			if tc.order.Target == azurefake.TargetIMDS {
				req = newIMDS(t)
			}
			resp, body := do(t, f, req)
			if resp.StatusCode != tc.status {
				t.Errorf("status %d, want %d", resp.StatusCode, tc.status)
			}
			if name, want, ok := strings.Cut(tc.header, ": "); ok && resp.Header.Get(name) != want {
				t.Errorf("%s: %q, want %q", name, resp.Header.Get(name), want)
			}
			if tc.body == "-" && len(body) != 0 || tc.body != "-" && !strings.Contains(string(body), tc.body) {
				t.Errorf("body %q, want %q in it", body, tc.body)
			}
			if got := f.Requests()[0].Status; got != tc.status {
				t.Errorf("logged status %d", got)
			}
		})
	}
}

// TestOrderedTickets has the orders that change the ticket.
func TestOrderedTickets(t *testing.T) {
	for _, tc := range []struct {
		name  string
		order azurefake.Order
		check func(*testing.T, *azurefake.Fake, answer)
	}{
		{"lifetime", azurefake.Order{Lifetime: 10 * time.Hour}, func(t *testing.T, _ *azurefake.Fake, a answer) {
			wantEnd(t, a, 10*time.Hour)
		}},
		{"expired", azurefake.Order{Lifetime: -time.Minute}, func(t *testing.T, _ *azurefake.Fake, a answer) {
			wantEnd(t, a, -time.Minute)
			if i := a.part.TicketInfo[0]; !i.StartTime.Before(i.EndTime) {
				t.Error("it ends before it starts")
			}
		}},
		{"skew", azurefake.Order{Skew: -30 * time.Minute}, func(t *testing.T, _ *azurefake.Fake, a answer) {
			wantEnd(t, a, 30*time.Minute)
		}},
		{"wrong server", azurefake.Order{WrongServer: otherHost}, func(t *testing.T, f *azurefake.Fake, a answer) {
			if got := a.part.TicketInfo[0].SName.PrincipalNameString(); got != "cifs/"+otherHost {
				t.Errorf("ticket for %s", got)
			}
			if _, err := open(t, f, a.cred.Tickets[0]); err != nil {
				t.Errorf("not sealed for that server: %v", err)
			}
		}},
		{"wrong service", azurefake.Order{WrongServer: "http/" + host}, func(t *testing.T, _ *azurefake.Fake, a answer) {
			if got := a.part.TicketInfo[0].SName.PrincipalNameString(); got != "http/"+host {
				t.Errorf("ticket for %s", got)
			}
		}},
		{"no ticket", azurefake.Order{Tickets: new(0)}, func(t *testing.T, _ *azurefake.Fake, a answer) {
			if len(a.cred.Tickets)+len(a.part.TicketInfo) != 0 {
				t.Error("there is a ticket")
			}
		}},
		{"three tickets", azurefake.Order{Tickets: new(3)}, wantThree},
		{"etype", azurefake.Order{Etype: 17}, func(t *testing.T, f *azurefake.Fake, a answer) {
			if a.cred.Tickets[0].EncPart.EType != 17 || len(a.sessionKey) != 16 {
				t.Errorf("ticket etype %d, key of %d bytes", a.cred.Tickets[0].EncPart.EType, len(a.sessionKey))
			}
			if _, err := open(t, f, a.cred.Tickets[0]); err != nil {
				t.Error(err)
			}
		}},
		{"unknown etype", azurefake.Order{Etype: 99}, func(t *testing.T, f *azurefake.Fake, a answer) {
			if a.part.TicketInfo[0].Key.KeyType != 99 || a.cred.Tickets[0].EncPart.EType != 18 {
				t.Errorf("key %d, ticket %d", a.part.TicketInfo[0].Key.KeyType, a.cred.Tickets[0].EncPart.EType)
			}
		}},
		{"key length", azurefake.Order{KeyLen: 7}, func(t *testing.T, _ *azurefake.Fake, a answer) {
			if len(a.sessionKey) != 7 || len(a.part.TicketInfo[0].Key.KeyValue) != 7 {
				t.Error("the key has another length")
			}
		}},
		{"session key", azurefake.Order{SessionKeyMismatch: true}, func(t *testing.T, _ *azurefake.Fake, a answer) {
			if len(a.sessionKey) != 32 || bytes.Equal(a.sessionKey, a.part.TicketInfo[0].Key.KeyValue) {
				t.Error("the keys do not differ in content alone")
			}
		}},
		{"no times", azurefake.Order{NoTimes: true}, func(t *testing.T, _ *azurefake.Fake, a answer) {
			if i := a.part.TicketInfo[0]; !i.AuthTime.IsZero() || !i.StartTime.IsZero() || !i.EndTime.IsZero() {
				t.Errorf("times %v %v %v", i.AuthTime, i.StartTime, i.EndTime)
			}
			if a.expiration.IsZero() {
				t.Error("expirationTime is missing too")
			}
		}},
		{"secret", azurefake.Order{Secret: "another"}, func(t *testing.T, f *azurefake.Fake, a answer) {
			if _, err := open(t, f, a.cred.Tickets[0]); err == nil {
				t.Error("the service can read it")
			}
		}},
		{"spaces", azurefake.Order{Spaces: true}, func(t *testing.T, f *azurefake.Fake, a answer) {
			if _, err := open(t, f, a.cred.Tickets[0]); err != nil {
				t.Error(err)
			}
		}},
		{"trailing", azurefake.Order{Garbage: azurefake.GarbageTrailing}, func(t *testing.T, _ *azurefake.Fake, a answer) {
			if !bytes.HasSuffix(a.raw, []byte("trailing")) {
				t.Error("nothing follows the KRB-CRED")
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := start(t, azurefake.Options{})
			tc.order.Target = azurefake.TargetStorage
			f.Order(tc.order)
			_, body := exchange(t, f)
			tc.check(t, f, decode(t, body))
		})
	}
}

func wantEnd(t *testing.T, a answer, fromNow time.Duration) {
	t.Helper()
	want := noon.Truncate(time.Second).Add(fromNow)
	if got := a.part.TicketInfo[0].EndTime; !got.Equal(want) || !a.expiration.Truncate(time.Second).Equal(want) {
		t.Errorf("end %v, expirationTime %v, want %v", got, a.expiration, want)
	}
}

func wantThree(t *testing.T, f *azurefake.Fake, a answer) {
	if len(a.cred.Tickets) != 3 || len(a.part.TicketInfo) != 3 {
		t.Fatalf("%d tickets and %d infos", len(a.cred.Tickets), len(a.part.TicketInfo))
	}
	for i, info := range a.part.TicketInfo {
		if right := info.SName.NameString[1] == host; right != (i == 2) {
			t.Errorf("ticket %d is for %v", i, info.SName.NameString)
		}
		if info.SName.NameString[1] != a.cred.Tickets[i].SName.NameString[1] {
			t.Errorf("ticket %d is not the one its info tells", i)
		}
	}
	if !bytes.Equal(a.sessionKey, a.part.TicketInfo[2].Key.KeyValue) {
		t.Error("sessionKey is not that of the right ticket")
	}
}

// TestGarbageTickets has the orders after which there is no KRB-CRED to decode.
func TestGarbageTickets(t *testing.T) {
	f := start(t, azurefake.Options{})
	ticketText := func(garbage string) ([]byte, error) {
		f.ClearOrders()
		f.Order(azurefake.Order{Target: azurefake.TargetStorage, Garbage: garbage})
		_, body := exchange(t, f)
		var j struct{ KerberosServiceTicket []byte }
		err := json.Unmarshal(body, &j)
		return j.KerberosServiceTicket, err
	}
	if _, err := ticketText(azurefake.GarbageTruncatedJSON); err == nil {
		t.Error("truncated JSON is valid")
	}
	if b, err := ticketText(azurefake.GarbageEmptyTicket); err != nil || len(b) != 0 {
		t.Errorf("empty ticket: %d bytes, %v", len(b), err)
	}
	for _, garbage := range []string{azurefake.GarbageTicket, azurefake.GarbageTruncatedTicket} {
		b, err := ticketText(garbage)
		if err != nil || len(b) == 0 {
			t.Errorf("%s: %d bytes, %v", garbage, len(b), err)
		}
		var a answer
		if a.cred.Unmarshal(b) == nil {
			t.Errorf("%s: it is a KRB-CRED", garbage)
		}
	}
}

func TestHugeBody(t *testing.T) {
	f := start(t, azurefake.Options{})
	f.Order(azurefake.Order{Target: azurefake.TargetStorage, Garbage: azurefake.GarbageHuge})
	resp, err := f.Transport().RoundTrip(newExchange(t, exchangeTo, "any"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil || n <= 65<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestDropAndDelay(t *testing.T) {
	f := start(t, azurefake.Options{})
	f.Order(azurefake.Order{Target: azurefake.TargetStorage, Drop: true, Times: 1})
	f.Order(azurefake.Order{Target: azurefake.TargetStorage, Delay: 30 * time.Millisecond, Status: 503})
	req := newExchange(t, exchangeTo, f.MintToken(azurefake.MintOptions{}))
	if resp, err := f.Transport().RoundTrip(req); err == nil {
		resp.Body.Close()
		t.Error("an answer came over the dropped connection")
	}
	if got := f.Requests(); len(got) != 1 || got[0].Status != 0 {
		t.Errorf("log after the drop: %+v", got)
	}
	began := time.Now()
	resp, _ := do(t, f, req)
	if took := time.Since(began); took < 30*time.Millisecond || resp.StatusCode != 503 {
		t.Errorf("status %d after %v", resp.StatusCode, took)
	}
}

// TestHang: a request that hangs is in the log, ends when its client gives up, and does not keep
// Close from returning.
func TestHang(t *testing.T) {
	f := start(t, azurefake.Options{})
	f.Order(azurefake.Order{Target: azurefake.TargetIMDS, Hang: true})
	ask := func(ctx context.Context) <-chan error {
		failed := make(chan error, 1)
		go func() {
			resp, err := f.Transport().RoundTrip(newIMDS(t).WithContext(ctx))
			if err == nil {
				resp.Body.Close()
			}
			failed <- err
		}()
		return failed
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first := ask(ctx)
	if err := f.WaitRequests(t.Context(), azurefake.TargetIMDS, 1); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the client got %v", err)
	}
	second := ask(t.Context())
	if err := f.WaitRequests(t.Context(), azurefake.TargetIMDS, 2); err != nil {
		t.Fatal(err)
	}
	if got := f.Requests()[1].Status; got != 0 {
		t.Errorf("status %d while it hangs", got)
	}
	f.Close()
	if err := <-second; err == nil {
		t.Error("the hung request was answered")
	}
}

func TestWaitRequestsGivesUp(t *testing.T) {
	f := start(t, azurefake.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.WaitRequests(ctx, "", 1); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestWhichOrder: target, host, identity and number decide, then the order of giving.
func TestWhichOrder(t *testing.T) {
	f := start(t, azurefake.Options{})
	system := f.MintToken(azurefake.MintOptions{AppID: azurefake.SystemClientID})
	backup := f.MintToken(azurefake.MintOptions{AppID: backupID})
	status := func(h, token string) int {
		resp, _ := do(t, f, newExchange(t, "https://"+h+"/?restype=service&comp=kerbticket", token))
		return resp.StatusCode
	}
	for _, o := range []azurefake.Order{
		{Target: azurefake.TargetIMDS, Status: 599},
		{Target: azurefake.TargetStorage, Host: otherHost, Times: 2, Status: 501},
		{Target: azurefake.TargetStorage, Identity: "system", Times: 1, Status: 502},
		{Target: azurefake.TargetStorage, Identity: backupID, Status: 503},
	} {
		f.Order(o)
	}
	var got []int
	for range 3 {
		got = append(got, status(otherHost, system))
	}
	got = append(got, status(host, system), status(host, backup), status(host, backup))
	f.ClearOrders()
	got = append(got, status(host, backup))
	want := []int{501, 501, 502, 200, 503, 503, 200}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("statuses %v, want %v", got, want)
		}
	}
}

// TestAnswersByFile: what people report can be ordered as they report it, status, headers and body: by a name of
// those that are kept here, or from a file.
func TestAnswersByFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "seen.http")
	if err := os.WriteFile(file, []byte("HTTP/1.1 418 I'm a teapot\r\nServer: teapot/1\r\nX-Ms-Error-Code: Short\r\n\r\n\ufeff<Error>and stout"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := start(t, azurefake.Options{})
	ask := func(name string) (*http.Response, string) {
		f.ClearOrders()
		f.Order(azurefake.Order{Target: azurefake.TargetStorage, Answer: name})
		resp, body := do(t, f, newExchange(t, exchangeTo, f.MintToken(azurefake.MintOptions{})))
		return resp, string(body)
	}
	if resp, body := ask(file); resp.StatusCode != 418 || resp.Header.Get("Server") != "teapot/1" || resp.Header.Get("X-Ms-Error-Code") != "Short" || body != "\ufeff<Error>and stout" {
		t.Errorf("%+v, %q", resp, body)
	}
	if resp, body := ask("storage-firewall"); resp.StatusCode != 403 || !strings.Contains(body, "<Code>AuthorizationFailure</Code>") {
		t.Errorf("%+v, %q", resp, body)
	}
	kept, err := filepath.Glob("answers/*.http")
	if names := azurefake.AnswerNames(); err != nil || len(names) != len(kept) || len(names) < 20 {
		t.Errorf("%d names, %d files", len(names), len(kept))
	}
	for _, name := range azurefake.AnswerNames() {
		text, err := os.ReadFile("answers/" + name + ".http")
		if err != nil {
			t.Fatal(err)
		}
		if resp, body := ask(name); !strings.HasPrefix(string(text), fmt.Sprintf("HTTP/1.1 %d ", resp.StatusCode)) || !strings.HasSuffix(string(text), body) {
			t.Errorf("%s: %d %q", name, resp.StatusCode, body)
		}
	}
}

func TestOrderRefuses(t *testing.T) {
	f := start(t, azurefake.Options{})
	for name, o := range map[string]azurefake.Order{
		"no target":          {Status: 500},
		"negative times":     {Target: "storage", Times: -1},
		"negative delay":     {Target: "storage", Delay: -1},
		"negative tickets":   {Target: "storage", Tickets: new(-1)},
		"status":             {Target: "storage", Status: 99},
		"garbage":            {Target: "storage", Garbage: "rubbish"},
		"answer":             {Target: "storage", Answer: "unheard-of"},
		"answer's file":      {Target: "storage", Answer: "/nonexistent/answer.http"},
		"IMDS ticket":        {Target: "imds", Garbage: azurefake.GarbageTicket},
		"IMDS host":          {Target: "imds", Host: host},
		"IMDS certificate":   {Target: "imds", Untrusted: true},
		"IMDS service key":   {Target: "imds", Secret: "x"},
		"IMDS wrong server":  {Target: "imds", WrongServer: host},
		"IMDS ticket etype":  {Target: "imds", Etype: 17},
		"IMDS ticket number": {Target: "imds", Tickets: new(2)},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it was taken")
				}
			}()
			f.Order(o)
		})
	}
}

// TestIMDSSpaces: the same token answer in the least usual spelling.
func TestIMDSSpaces(t *testing.T) {
	f := start(t, azurefake.Options{})
	f.Order(azurefake.Order{Target: azurefake.TargetIMDS, Spaces: true})
	_, body := do(t, f, newIMDS(t))
	if bytes.HasPrefix(body, []byte("{")) {
		t.Errorf("usual spelling: %s", body)
	}
	f.ClearOrders()
	checkToken(t, f, body, "system")
}

func TestOrderJSON(t *testing.T) {
	whole := azurefake.Order{
		Target: "storage", Host: "h", Identity: "i", Times: 1, Status: 2, Code: "c", Message: "m", RetryAfter: "r",
		Delay: time.Second, Hang: true, Drop: true, Redirect: "u", Body: new("b"), ContentType: "t", Garbage: "g",
		Lifetime: -time.Hour, Skew: time.Minute, Spaces: true, WrongServer: "w", Tickets: new(0), Etype: 3, KeyLen: 4,
		SessionKeyMismatch: true, NoTimes: true, Secret: "s", Untrusted: true,
	}
	text, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(`"delay":"1s"`)) || !bytes.Contains(text, []byte(`"lifetime":"-1h0m0s"`)) {
		t.Errorf("durations are no text in %s", text)
	}
	var back azurefake.Order
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if again, _ := json.Marshal(back); !bytes.Equal(again, text) {
		t.Errorf("%s became %s", text, again)
	}
	for _, bad := range []string{`{"target":"imds","stauts":500}`, `{"delay":"1 hour"}`, `{"delay":5}`, `[]`, `{`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// FuzzOrder: whatever is taken as an order survives being written and read again.
func FuzzOrder(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		var o azurefake.Order
		if json.Unmarshal(text, &o) != nil {
			return
		}
		once, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		var again azurefake.Order
		if err := json.Unmarshal(once, &again); err != nil {
			t.Fatalf("%s: %v", once, err)
		}
		if twice, _ := json.Marshal(again); !bytes.Equal(once, twice) {
			t.Errorf("%s became %s", once, twice)
		}
	})
}

// TestHTTP1Only: the real services know no other, and a dropped connection means one request.
func TestHTTP1Only(t *testing.T) {
	f := start(t, azurefake.Options{})
	resp, _ := exchange(t, f)
	if resp.ProtoMajor != 1 || !resp.Close {
		t.Errorf("%s, closes %v", resp.Proto, resp.Close)
	}
}
