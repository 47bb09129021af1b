package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/fault"
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
	f.RetryAfter = e.wait
	return f
}

func (e entra) why() *fault.Fault {
	switch {
	case errors.Is(e.ctx.Err(), context.Canceled):
		return fault.Interrupted.New().Because(e.ctx.Err())
	case e.status == 0 && e.err == nil: // never asked: ctx had ended
		return fault.EntraUnreachable.New(e.host()).Because(e.ctx.Err())
	case e.err != nil:
		return e.network().Because(e.err)
	case e.status == http.StatusOK:
		return fault.AnswerInvalid.New(e.host(), "it is not an answer of Entra with a token")
	}
	number := aadsts(e.text)
	refusal := fmt.Errorf("%d %s", e.status, e.text)
	f := e.refused(number)
	switch {
	case f != nil:
	case entraBusy(e.status):
		f = fault.EntraBusy.New(e.host())
	case e.status/100 == 3:
		f = fault.AnswerInvalid.New(e.host(), "it points to another place")
	default:
		f = fault.EntraRefused.New(e.identity.String(), strconv.Itoa(number))
	}
	return f.Because(refusal)
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

// refused is the table of Entra's errors by their number, nil for one that is not in it ("Microsoft
// Entra authentication and authorization error codes"). The text is shown with each of them.
func (e entra) refused(number int) *fault.Fault {
	i, file := e.identity, e.identity.credentialFile()
	switch number {
	case 700016, // the application is not in the tenant
		7000229: // its service principal is not
		return fault.EntraApp.New(i.TenantID, i.ClientID)
	case 90002, // there is no such tenant
		900023: // the tenant's name cannot be one
		return fault.EntraTenant.New(e.host(), i.TenantID)
	case 500011, // the resource is not in the tenant
		50001,   // it is disabled
		1002012, // what is asked for is no resource
		70011:
		return fault.EntraResource.New(i.TenantID, i.resource(e.options))
	case 7000215, // the secret is wrong
		7000222: // its time is over
		return fault.EntraSecret.New(file, i.ClientID)
	case 700027, // the certificate is not the application's, or its time is over
		700030: // it is none
		return fault.EntraCertificate.New(file, i.ClientID)
	case 70021, // no federated credential fits
		70025,                  // there is none
		700211, 700212, 700213: // its issuer, audience, subject differ
		return fault.EntraFederation.New(i.ClientID, file, e.trust.issuer, e.trust.subject, e.trust.audience)
	case 700024, // the assertion's time is over or to come
		50027,          // it cannot be read
		700021, 700023: // it is for another application or authority
		if i.Kind != ServicePrincipal {
			return fault.EntraAssertion.New(file)
		}
		if f := transport.Skewed(e.options.now(), e.date, e.host()); number == 700024 && f != nil {
			return f
		}
		return fault.EntraCertificate.New(file, i.ClientID)
	}
	return nil
}

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
