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
	return x.clean(networkFault(err, x.host()).Because(err))
}

// networkFault finds the fault that an error of the transport is. What comes first decides: an error of the
// proxy is also one of a connection, one of the name server is also a timeout.
func networkFault(err error, host string) *fault.Fault {
	var (
		op     *net.OpError
		proxy  *proxyError
		dns    *net.DNSError
		record tls.RecordHeaderError
		netErr net.Error
	)
	switch {
	case errors.Is(err, context.Canceled):
		return fault.Interrupted.New()
	case errors.As(err, &proxy), errors.As(err, &op) && op.Op == "proxyconnect":
		return fault.ProxyFailed.New(host)
	case errors.As(err, &dns):
		return fault.DNSFailed.New(host)
	case errors.As(err, &record):
		return fault.AnswerInvalid.New(host, "it is not encrypted")
	case untrusted(err):
		return fault.TLSUntrusted.New(host)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return fault.EndpointTimeout.New(host)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fault.AzureBusy.New(host)
	}
	return fault.EndpointDown.New(host)
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
