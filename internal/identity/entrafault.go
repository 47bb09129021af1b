package identity

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

// entra is one question to Entra.
type entra struct {
	*wire
	authority string
	assertion payload // of a token of another issuer
}

func (e entra) host() string { return strings.TrimPrefix(e.authority, "https://") }

// passes are the refusals that pass: by their status, their name (RFC 6749, 4.1.2.1) or their number.
func (e entra) passes() bool {
	c, ok := codeOf(e.said)
	return e.last.Busy() || ok && c.passes()
}

func (e entra) unreachable(why error) *fault.Fault {
	if errors.Is(why, errElsewhere) {
		return fault.AnswerInvalid.New(e.host(), "it sends to another place")
	}
	if f := transport.Fault(e.ctx, why, e.host()); fault.Is(f, fault.ProxyFailed, fault.TLSUntrusted, fault.TLSVersion) {
		return f
	}
	return fault.EntraUnreachable.New(e.host()).Advise(transport.Advice(why))
}

func (e entra) foreign() *fault.Fault { return e.last.Foreign(e.host()) }

func (e entra) tokenless() *fault.Fault {
	return fault.AnswerInvalid.New(e.host(), "it is not an answer of Entra with a token")
}

func (e entra) refused(refusal error) *fault.Fault {
	if c, ok := codeOf(e.said); ok {
		return c.fault(e).Because(fmt.Errorf("%d, %s: %s", e.last.Status, c.sentence, e.said.text))
	}
	if e.passes() {
		return e.later().Because(refusal)
	}
	return fault.EntraRefused.New(e.identity.String(), strconv.Itoa(errorNumber(e.said.text))).Because(refusal)
}

// codesOfNames are the codes that refusals stand for whose own code is not in the table, by their name.
var codesOfNames = map[string]int{"temporarily_unavailable": 90033, "invalid_resource": 500011}

// codeOf finds the row of a refusal.
func codeOf(s said) (entraCode, bool) {
	for _, number := range []int{errorNumber(s.text), codesOfNames[s.code]} {
		n := slices.IndexFunc(entraCodes, func(c entraCode) bool { return slices.Contains(c.numbers, number) })
		if n >= 0 {
			return entraCodes[n], true
		}
	}
	return entraCode{}, false
}

// badResource is the fault of a refusal of Entra that a service of this machine repeats, where it is about what the token is
// for: the machine's identity is not to blame then. Otherwise it is nil.
func (w *wire) badResource(refusal error) *fault.Fault {
	c, ok := codeOf(w.said)
	if !ok {
		return nil
	}
	f := c.fault(entra{wire: w})
	if !fault.Is(f, fault.EntraResource) {
		return nil
	}
	return f.Because(fmt.Errorf("%w (%s)", refusal, c.sentence))
}

// credentialFile is where the application's credential is, "" for a kind without.
func (i Identity) credentialFile() string { return i.TokenFile + i.SecretFile + i.CertificateFile }

// errorNumber finds the number of the first error in what Entra says, 0 when there is none.
func errorNumber(text string) int {
	_, rest, _ := strings.Cut(text, "AADSTS")
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end >= 0 {
		rest = rest[:end]
	}
	number, err := strconv.Atoi(rest)
	if err != nil {
		return 0
	}
	return number
}

// What the rows of the table of codes mean.

func (e entra) app() *fault.Fault {
	return fault.EntraApp.New(e.identity.TenantID, e.identity.ClientID)
}

func (e entra) disabled() *fault.Fault { return fault.EntraDisabled.New(e.identity.ClientID) }

func (e entra) tenant() *fault.Fault { return fault.EntraTenant.New(e.host(), e.identity.TenantID) }

func (e entra) cloud() *fault.Fault { return fault.EntraCloud.New(e.identity.TenantID, e.host()) }

func (e entra) noResource() *fault.Fault {
	return fault.EntraResource.New(e.identity.TenantID, e.identity.resource(e.options))
}

func (e entra) wrongSecret() *fault.Fault {
	return fault.EntraSecret.New(e.identity.credentialFile(), e.identity.ClientID)
}

func (e entra) wrongCertificate() *fault.Fault {
	return fault.EntraCertificate.New(e.identity.credentialFile(), e.identity.ClientID)
}

func (e entra) notTrusted() *fault.Fault {
	claims := e.assertion
	return fault.EntraFederation.New(e.identity.ClientID, e.identity.credentialFile(), argument(claims.Issuer), argument(claims.Subject), argument(claims.Audience.first()))
}

// wrongAssertion is another issuer's, in a file, or made here with the key of a certificate.
func (e entra) wrongAssertion() *fault.Fault {
	if e.identity.Kind == ServicePrincipal {
		return e.wrongCertificate()
	}
	return fault.EntraAssertion.New(e.identity.credentialFile())
}

// issuerUnread is about what Entra reads of the issuer when it is handed an assertion.
func (e entra) issuerUnread() *fault.Fault {
	f := e.wrongAssertion()
	if issuer := argument(e.assertion.Issuer); issuer != "" {
		f = f.First("see that " + fault.Word("issuer", strings.TrimRight(issuer, "/")+"/.well-known/openid-configuration") + " answers on the internet, and that what it names under jwks_uri has the key that the issuer signs with")
	}
	return f
}

// assertionTime blames this machine's clock for what was made here.
func (e entra) assertionTime() *fault.Fault {
	if e.identity.Kind != ServicePrincipal {
		return e.wrongAssertion()
	}
	if f := transport.Skewed(e.options.now(), transport.Date(e.last.Header), e.host()); f != nil {
		return f
	}
	return e.wrongCertificate()
}

func (e entra) policy() *fault.Fault {
	return fault.EntraPolicy.New(e.identity.TenantID, e.identity.ClientID)
}

func (e entra) blocked() *fault.Fault { return fault.EntraBlocked.New(e.identity.TenantID) }

func (e entra) consent() *fault.Fault {
	return fault.EntraConsent.New(e.identity.TenantID, e.identity.ClientID)
}

func (e entra) publicClient() *fault.Fault { return fault.EntraPublic.New(e.identity.ClientID) }

func (e entra) request() *fault.Fault { return fault.EntraRequest.New(e.host(), e.identity.String()) }

func (e entra) later() *fault.Fault { return fault.EntraBusy.New(e.host()) }

// maxArgument bounds a value of the other side's in a command, in bytes. Package fault knows what else it can be.
const maxArgument = 160

// argument is a value that leaves room for the command that it stands in, "" for any other.
func argument(v string) string {
	if len(v) > maxArgument {
		return ""
	}
	return v
}
