package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// maxSkew is how far Entra lets the clock of an application be wrong.
const maxSkew = 5 * time.Minute

// entra is one question to Entra, for the faults.
type entra struct {
	*wire
	identity  Identity
	options   Options
	authority string
	more      fault.V // what else is known
}

func (e entra) host() string { return strings.TrimPrefix(e.authority, "https://") }

// fault says why there is no token.
func (e entra) fault() error {
	switch {
	case errors.Is(e.ctx.Err(), context.Canceled):
		return fault.Wrap(fault.Interrupted, e.ctx.Err(), nil)
	case e.status == 0 && e.err == nil: // never asked: ctx had ended
		return e.make(fault.EntraUnreachable, e.ctx.Err(), nil)
	case e.err != nil:
		return e.make(networkID(e.err), e.err, fault.V{"problem": "it sends to another place"})
	case e.status == http.StatusOK:
		return e.make(fault.AnswerInvalid, nil, fault.V{"problem": "it is not an answer of Entra with a token"})
	}
	number := aadsts(e.text)
	refusal := fmt.Errorf("%d %s", e.status, e.text)
	id := entraID(number, e.identity)
	switch {
	case id != "":
	case entraBusy(e.status):
		id = fault.EntraBusy
	case e.status/100 == 3:
		return e.make(fault.AnswerInvalid, refusal, fault.V{"problem": "it points to another place"})
	default:
		id = fault.EntraRefused
	}
	if id == fault.ClockSkew {
		return e.skewed(refusal)
	}
	return e.make(id, refusal, fault.V{"code": strconv.Itoa(number)})
}

// make makes a fault that names the application and the authority.
func (e entra) make(id fault.ID, err error, more fault.V) *fault.Fault {
	v := fault.V{
		"host": e.host(), "identity": e.identity.String(), "client": e.identity.ClientID, "tenant": e.identity.TenantID,
		"resource": e.identity.resource(e.options), "file": e.identity.credentialFile(),
	}
	maps.Copy(v, e.more)
	maps.Copy(v, more)
	f := fault.Wrap(id, err, v)
	f.RetryAfter = e.wait
	return f
}

// skewed is the fault of an assertion that we signed ourselves and whose time is over or to come.
func (e entra) skewed(refusal error) error {
	skew, direction := e.options.now().Sub(e.date).Round(time.Second), "ahead of"
	if skew < 0 {
		skew, direction = -skew, "behind"
	}
	if e.date.IsZero() || skew <= maxSkew {
		return e.make(fault.EntraCertificate, refusal, nil)
	}
	return e.make(fault.ClockSkew, refusal, fault.V{"skew": skew.String(), "direction": direction})
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

// entraID is the table of Entra's errors by their number, "" for one that is not in it ("Microsoft
// Entra authentication and authorization error codes"). The text is shown with each of them.
func entraID(number int, i Identity) fault.ID {
	switch number {
	case 700016, // the application is not in the tenant
		7000229: // its service principal is not
		return fault.EntraApp
	case 90002, // there is no such tenant
		900023: // the tenant's name cannot be one
		return fault.EntraTenant
	case 500011, // the resource is not in the tenant
		50001,   // it is disabled
		1002012, // what is asked for is no resource
		70011:
		return fault.EntraResource
	case 7000215, // the secret is wrong
		7000222: // its time is over
		return fault.EntraSecret
	case 700027, // the certificate is not the application's, or its time is over
		700030: // it is none
		return fault.EntraCertificate
	case 70021, // no federated credential fits
		70025,                  // there is none
		700211, 700212, 700213: // its issuer, audience, subject differ
		return fault.EntraFederation
	case 700024, // the assertion's time is over or to come
		50027,          // it cannot be read
		700021, 700023: // it is for another application or authority
		if i.Kind == ServicePrincipal {
			return assertionID(number)
		}
		return fault.EntraAssertion
	}
	return ""
}

// assertionID is entraID of errors about an assertion that we signed ourselves.
func assertionID(number int) fault.ID {
	if number == 700024 {
		return fault.ClockSkew
	}
	return fault.EntraCertificate
}

// networkID finds the kind of an error of the transport. What comes first decides: an error of the
// proxy is also one of a connection.
func networkID(err error) fault.ID {
	var op *net.OpError
	switch {
	case errors.Is(err, errElsewhere):
		return fault.AnswerInvalid
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return fault.ProxyFailed
	case untrusted(err):
		return fault.TLSUntrusted
	}
	return fault.EntraUnreachable
}

// untrusted reports whether the handshake failed over who the other side is.
func untrusted(err error) bool {
	var (
		verify  *tls.CertificateVerificationError
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		noRoots x509.SystemRootsError
	)
	return errors.As(err, &verify) || errors.As(err, &unknown) || errors.As(err, &name) ||
		errors.As(err, &invalid) || errors.As(err, &noRoots)
}
