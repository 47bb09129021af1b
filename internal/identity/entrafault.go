package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/reply"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

// entra is one question to Entra, for the faults.
type entra struct {
	*wire
	identity  Identity
	options   Options
	authority string
	trust     trust
}

func (e entra) host() string { return strings.TrimPrefix(e.authority, "https://") }

// fault says why there is no token.
func (e entra) fault() error {
	f := e.why()
	f.RetryAfter = e.wait()
	return f
}

func (e entra) why() *fault.Fault {
	switch {
	case errors.Is(e.ctx.Err(), context.Canceled):
		return fault.Interrupted.New().Because(e.ctx.Err())
	case e.err != nil:
		return e.network().Because(e.err)
	case e.last == nil: // never asked: ctx had ended
		return fault.EntraUnreachable.New(e.host()).Because(e.ctx.Err())
	case !e.own:
		return e.last.Foreign(e.host())
	case e.last.Status == http.StatusOK:
		return fault.AnswerInvalid.New(e.host(), "it is not an answer of Entra with a token")
	}
	if c, ok := codeOf(e.said); ok {
		return c.fault(e).Because(fmt.Errorf("%d, %s: %s", e.last.Status, c.sentence, e.said.text))
	}
	refusal := fmt.Errorf("%d %s", e.last.Status, e.said.text)
	if entraPasses(e.last, e.said) {
		return e.later().Because(refusal)
	}
	return fault.EntraRefused.New(e.identity.String(), strconv.Itoa(aadsts(e.said.text))).Because(refusal)
}

// codeOf finds the row of a refusal.
func codeOf(s said) (entraCode, bool) {
	number := aadsts(s.text)
	n := slices.IndexFunc(entraCodes, func(c entraCode) bool { return c.number == number })
	if n < 0 {
		return entraCode{}, false
	}
	return entraCodes[n], true
}

// entraPasses are the refusals of Entra that pass: by their status, their name (RFC 6749, 4.1.2.1) or their number.
func entraPasses(a *reply.Answer, s said) bool {
	c, ok := codeOf(s)
	return a.Busy() || s.code == "temporarily_unavailable" || ok && c.passes()
}

// credentialFile is where the application's credential is, "" for a kind without.
func (i Identity) credentialFile() string { return i.TokenFile + i.SecretFile + i.CertificateFile }

// aadsts finds the number of the first error in what Entra says, 0 when there is none.
func aadsts(text string) int {
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
	return fault.EntraFederation.New(e.identity.ClientID, e.identity.credentialFile(), e.trust.issuer, e.trust.subject, e.trust.audience)
}

// assertion is another issuer's, in a file, or made here with the key of a certificate.
func (e entra) assertion() *fault.Fault {
	if e.identity.Kind == ServicePrincipal {
		return e.wrongCertificate()
	}
	return fault.EntraAssertion.New(e.identity.credentialFile())
}

// assertionTime blames this machine's clock for what was made here.
func (e entra) assertionTime() *fault.Fault {
	if e.identity.Kind != ServicePrincipal {
		return e.assertion()
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

// network finds the fault that an error of the transport is.
func (e entra) network() *fault.Fault {
	if errors.Is(e.err, errElsewhere) {
		return fault.AnswerInvalid.New(e.host(), "it sends to another place")
	}
	if f := transport.Fault(e.ctx, e.err, e.host()); fault.Is(f, fault.ProxyFailed, fault.TLSUntrusted) {
		return f
	}
	return fault.EntraUnreachable.New(e.host())
}
