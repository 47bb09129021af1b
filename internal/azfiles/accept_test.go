package azfiles

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

func TestAnswers(t *testing.T) {
	none, some := 0, 3
	body := func(s string) *string { return &s }
	for name, c := range map[string]struct {
		order azurefake.Order
		want  fault.Named // nil is success
		part  string
	}{
		"spaces and escapes":   {azurefake.Order{Spaces: true}, nil, ""},
		"other session key":    {azurefake.Order{SessionKeyMismatch: true}, nil, ""},
		"several tickets":      {azurefake.Order{Tickets: &some}, nil, ""},
		"upper-case server":    {azurefake.Order{WrongServer: "CIFS/ACCT.File.core.windows.net"}, nil, ""},
		"not JSON":             {azurefake.Order{Garbage: azurefake.GarbageJSON}, fault.AnswerInvalid, "not JSON"},
		"empty":                {azurefake.Order{Garbage: azurefake.GarbageEmpty}, fault.AnswerInvalid, "not JSON"},
		"half a JSON":          {azurefake.Order{Garbage: azurefake.GarbageTruncatedJSON}, fault.AnswerInvalid, "not JSON"},
		"more behind the JSON": {azurefake.Order{Body: body(`{"kerberosServiceTicket":"AA=="} x`)}, fault.AnswerInvalid, "not JSON"},
		"empty object":         {azurefake.Order{Body: body(`{}`)}, fault.AnswerInvalid, "missing"},
		"list":                 {azurefake.Order{Body: body(`[]`)}, fault.AnswerInvalid, "not JSON"},
		"null":                 {azurefake.Order{Body: body(`null`)}, fault.AnswerInvalid, "missing"},
		"number":               {azurefake.Order{Body: body(`{"kerberosServiceTicket":1}`)}, fault.AnswerInvalid, "not JSON"},
		"no padding":           {azurefake.Order{Body: body(`{"kerberosServiceTicket":"dg"}`)}, fault.AnswerInvalid, "not base64"},
		"URL alphabet":         {azurefake.Order{Body: body(`{"kerberosServiceTicket":"-_-_"}`)}, fault.AnswerInvalid, "not base64"},
		"no KRB-CRED":          {azurefake.Order{Garbage: azurefake.GarbageTicket}, fault.AnswerInvalid, "damaged"},
		"half a KRB-CRED":      {azurefake.Order{Garbage: azurefake.GarbageTruncatedTicket}, fault.AnswerInvalid, "damaged"},
		"no ticket text":       {azurefake.Order{Garbage: azurefake.GarbageEmptyTicket}, fault.AnswerInvalid, "missing"},
		"trailing bytes":       {azurefake.Order{Garbage: azurefake.GarbageTrailing}, fault.AnswerInvalid, "damaged"},
		"no ticket":            {azurefake.Order{Tickets: &none}, fault.TicketNone, ""},
		"other host":           {azurefake.Order{WrongServer: "evil.file.core.windows.net"}, fault.TicketServer, "cifs/evil.file.core.windows.net@"},
		"other service":        {azurefake.Order{WrongServer: "http/" + testHost}, fault.TicketServer, "http/" + testHost},
		"prefix of the host":   {azurefake.Order{WrongServer: testHost + ".evil.example"}, fault.TicketServer, ""},
		"three components":     {azurefake.Order{WrongServer: "cifs/" + testHost + "/x"}, fault.TicketServer, ""},
		"rc4":                  {azurefake.Order{Etype: 23}, fault.TicketEtype, "23 (rc4-hmac)"},
		"des3":                 {azurefake.Order{Etype: 16}, fault.TicketEtype, "16"},
		"no such etype":        {azurefake.Order{Etype: 65536 + 18}, fault.TicketEtype, "65554"},
		"negative etype":       {azurefake.Order{Etype: -18}, fault.TicketEtype, "-18"},
		"short key":            {azurefake.Order{KeyLen: 31}, fault.AnswerInvalid, "31 bytes instead of 32"},
		"long key":             {azurefake.Order{KeyLen: 33}, fault.AnswerInvalid, "33 bytes instead of 32"},
		"no times":             {azurefake.Order{NoTimes: true}, fault.AnswerInvalid, "times are missing"},
		"expired":              {azurefake.Order{Lifetime: -time.Minute}, fault.TicketExpired, ""},
	} {
		b := newBench(t, azurefake.Options{})
		c.order.Target = "storage"
		b.fake.Order(c.order)
		if c.want != nil {
			if f := b.refuses(c.want, 1); !strings.Contains(f.What(), c.part) {
				t.Errorf("%s: %v lacks %q", name, f, c.part)
			}
			continue
		}
		cred, err := b.exchange(t.Context())
		if err != nil || cred.Server.String() != "cifs/"+testHost+"@"+azurefake.DefaultRealm {
			t.Errorf("%s: %v %v", name, cred.Server, err)
		}
	}
}

func TestSupportCanFindTheAnswer(t *testing.T) {
	b := newBench(t, azurefake.Options{})
	b.fake.Order(azurefake.Order{Target: "storage", WrongServer: "evil.file.core.windows.net"})
	if f := b.refuses(fault.TicketServer, 1); !strings.Contains(f.Cause(), "request id ") {
		t.Error(f)
	}
}

func TestClockSkew(t *testing.T) {
	none := 0
	skewed := func(skew time.Duration, more azurefake.Order) azurefake.Order {
		more.Target, more.Skew = "storage", skew
		return more
	}
	for name, c := range map[string]struct {
		order azurefake.Order
		want  fault.Named
		part  string
	}{
		"near enough, behind":   {skewed(4*time.Minute, azurefake.Order{}), nil, ""},
		"near enough, ahead":    {skewed(-4*time.Minute, azurefake.Order{}), nil, ""},
		"behind":                {skewed(10*time.Minute, azurefake.Order{}), fault.ClockSkew, "10m0s behind " + testHost},
		"ahead":                 {skewed(-10*time.Minute, azurefake.Order{}), fault.ClockSkew, "10m0s ahead of " + testHost},
		"far ahead, expired":    {skewed(-48*time.Hour, azurefake.Order{}), fault.ClockSkew, "48h0m0s ahead of"},
		"far behind, 401":       {skewed(48*time.Hour, azurefake.Order{}), fault.ClockSkew, "48h0m0s behind"}, // the token has ended there
		"other reason":          {skewed(10*time.Minute, azurefake.Order{Status: 403, Code: "AuthorizationPermissionMismatch"}), fault.RoleMissing, ""},
		"no ticket":             {skewed(10*time.Minute, azurefake.Order{Tickets: &none}), fault.TicketNone, ""},
		"expired with no skew":  {skewed(0, azurefake.Order{Lifetime: -time.Hour}), fault.TicketExpired, ""},
		"expired with a little": {skewed(-3*time.Minute, azurefake.Order{Lifetime: -time.Hour}), fault.TicketExpired, ""},
	} {
		// The clock of the fake stands at a whole second of ours, or the difference would be rounded by chance.
		now := time.Now().Truncate(time.Second)
		clock := func() time.Time { return now }
		b := newBench(t, azurefake.Options{Now: clock})
		b.client.Now = clock
		b.fake.Order(c.order)
		if c.want == nil {
			if _, err := b.exchange(t.Context()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if f := b.refuses(c.want, 1); !strings.Contains(f.What(), c.part) {
			t.Errorf("%s: %v lacks %q", name, f, c.part)
		}
	}
}

// TestNotYetValid has a ticket from the future while the Date header agrees with our clock.
func TestNotYetValid(t *testing.T) {
	for skew, want := range map[time.Duration]fault.Named{4 * time.Minute: nil, 6 * time.Minute: fault.TicketNotYet} {
		for _, date := range []string{"", "nonsense", time.Now().UTC().Format(http.TimeFormat)} {
			b := newBench(t, azurefake.Options{})
			real := b.client.Transport
			b.client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				resp, err := real.RoundTrip(r)
				if err == nil {
					resp.Header.Set("Date", date)
				}
				return resp, err
			})
			b.fake.Order(azurefake.Order{Target: "storage", Skew: skew})
			if _, err := b.exchange(t.Context()); err != nil && want == nil || want != nil && !fault.Is(err, want) {
				t.Errorf("%v, Date %q: %v", skew, date, err)
			}
		}
	}
}
