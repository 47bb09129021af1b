package azfiles

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// networkFault says why there was no answer.
func (x *exchange) networkFault(err error) *fault.Fault {
	id := networkID(err)
	var more fault.V
	if id == fault.AnswerInvalid {
		more = fault.V{"problem": "it is not encrypted"}
	}
	return x.fault(id, err, more)
}

// networkID finds the kind of an error of the transport. What comes first decides: an error of the
// proxy is also one of a connection, one of the name server is also a timeout.
func networkID(err error) fault.ID {
	var (
		op     *net.OpError
		proxy  *proxyError
		dns    *net.DNSError
		record tls.RecordHeaderError
		netErr net.Error
	)
	switch {
	case errors.Is(err, context.Canceled):
		return fault.Interrupted
	case errors.As(err, &proxy), errors.As(err, &op) && op.Op == "proxyconnect":
		return fault.ProxyFailed
	case errors.As(err, &dns):
		return fault.DNSFailed
	case errors.As(err, &record):
		return fault.AnswerInvalid
	case untrusted(err):
		return fault.TLSUntrusted
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return fault.EndpointTimeout
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fault.AzureBusy
	}
	return fault.EndpointDown
}

// untrusted reports whether the handshake failed over who the other side is, or which TLS it speaks:
// crypto/tls gives its alerts as a net.OpError with this Op.
func untrusted(err error) bool {
	var (
		verify  *tls.CertificateVerificationError
		alert   *net.OpError
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		noRoots x509.SystemRootsError
	)
	return errors.As(err, &verify) || errors.As(err, &alert) && alert.Op == "remote error" || errors.As(err, &unknown) ||
		errors.As(err, &name) || errors.As(err, &invalid) || errors.As(err, &noRoots)
}

// proxyError is a proxy's refusal to connect us.
type proxyError struct{ proxy, status string }

func (e *proxyError) Error() string {
	return fmt.Sprintf("the proxy %s answered %s", e.proxy, e.status)
}
