package identity

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// FuzzClaimsOf reads tokens and payloads that anybody can write: what is read of them is the payload's alone, and a
// time that is none is the zero time.
func FuzzClaimsOf(f *testing.F) {
	f.Add("e30.e30.x", `{"aud":"https://storage.azure.com","oid":"o","appid":"a","tid":"t","exp":1700000000}`)
	f.Add("..", `{"aud":["x"],"azp":"b","exp":1.7e9,"xms_mirid":"/subscriptions/s"}`)
	f.Add("a.b.c.d", `{"exp":-1e400}`)
	f.Fuzz(func(t *testing.T, token, payload string) {
		if _, ok := ClaimsOf(secret.FromString(token)); ok && strings.Count(token, ".") != 2 {
			t.Errorf("claims of %q", token)
		}
		body := base64.RawURLEncoding.EncodeToString([]byte(payload))
		one, ok := ClaimsOf(secret.FromString("e30." + body + ".one"))
		other, okToo := ClaimsOf(secret.FromString("." + body + "=.two"))
		if ok != okToo || one != other {
			t.Errorf("%q: %+v and %+v", payload, one, other)
		}
		if !one.Expiry.IsZero() && (one.Expiry.Before(time.Unix(0, 0)) || one.Expiry.Year() > 2106) {
			t.Errorf("%q expires %s", payload, one.Expiry)
		}
	})
}
