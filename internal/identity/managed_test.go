package identity

import (
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/secret"
)

func TestManagedIdentityOf(t *testing.T) {
	for text, want := range map[string]string{
		jwt(`{"xms_mirid":"/subscriptions/s/x"}`): "/subscriptions/s/x",
		jwt(`{"oid":"o"}`):                        "",
		jwt(`{"xms_mirid":5}`):                    "",
		"no token":                                "",
	} {
		if got := ManagedIdentityOf(secret.FromString(text)); got != want {
			t.Errorf("%s: %q", text, got)
		}
	}
}
