package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// Fault gives the failure that an error of a request to a host is; its cause is the error. ctx is the
// request's: when its time is not over, the bound that was hit is that of connections.
func Fault(ctx context.Context, err error, host string) *fault.Fault {
	f := why(err, host).Because(err)
	if fault.Is(f, fault.DNSFailed, fault.EndpointDown, fault.EndpointTimeout) {
		f = f.Advise(Advice(err))
	}
	if !fault.Is(f, fault.EndpointTimeout) {
		return f
	}
	b, late := fault.Late(ctx)
	if !late && !errors.Is(err, syscall.ETIMEDOUT) { // that one is the kernel's own
		b = fault.BoundConnect
	}
	return f.Hit(b)
}

// why finds the kind of an error. What comes first decides: an error of the proxy is also one of a
// connection, one of the name server is also a timeout.
func why(err error, host string) *fault.Fault {
	op, isOp := errors.AsType[*net.OpError](err)
	if errors.Is(err, context.Canceled) {
		return fault.Interrupted.New()
	}
	if has[*ProxyError](err) || isOp && op.Op == "proxyconnect" {
		return fault.ProxyFailed.New(host, source(err))
	}
	if has[*net.DNSError](err) {
		return fault.DNSFailed.New(host)
	}
	if has[tls.RecordHeaderError](err) {
		return fault.AnswerInvalid.New(host, "it is not encrypted")
	}
	if untrusted(err) {
		f := fault.TLSUntrusted.New(host)
		if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
			f = f.First("see whether the clock is right: timedatectl") // or not yet valid
		}
		return f
	}
	if isOp && op.Op == "remote error" { // an alert
		if slices.Contains(incompatible, op.Err.Error()) {
			return fault.TLSVersion.New(host)
		}
		return fault.NotAzure.New(host, op.Err.Error())
	}
	if netErr, ok := errors.AsType[net.Error](err); errors.Is(err, os.ErrDeadlineExceeded) || ok && netErr.Timeout() {
		return fault.EndpointTimeout.New(host)
	}
	if isAny(err, syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF) {
		if has[*handshakeError](err) { // as firewalls do that go by the name in the client's hello
			return fault.EndpointDown.New(host)
		}
		return fault.AzureBusy.New(host)
	}
	if !isOp && notHTTP(err) { // an operation that failed is the network's
		return fault.AnswerInvalid.New(host, "it is not HTTP")
	}
	if onlyIPv6(err) {
		return fault.IPv6Only.New(host)
	}
	if problem := handshakeProblem(err); slices.ContainsFunc(incompatibleWords, func(words string) bool { return strings.Contains(problem, words) }) {
		return fault.TLSVersion.New(host)
	} else if problem != "" {
		return fault.AnswerInvalid.New(host, problem)
	}
	return fault.EndpointDown.New(host)
}

// source is who named the proxy that an error comes from.
func source(err error) string {
	e, ok := errors.AsType[*routeError](err)
	if !ok || e.source == "" {
		return "the configuration"
	}
	return e.source
}

// untrusted reports whether the handshake failed over who the other side is.
func untrusted(err error) bool {
	return has[*tls.CertificateVerificationError](err) || has[x509.UnknownAuthorityError](err) || has[x509.HostnameError](err) ||
		has[x509.CertificateInvalidError](err) || has[x509.SystemRootsError](err)
}

// has reports whether an error's tree holds one of the type.
func has[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func isAny(err error, these ...error) bool {
	return slices.ContainsFunc(these, func(one error) bool { return errors.Is(err, one) })
}

// incompatible are the alerts (RFC 8446, 6.2) of a server that takes none of our versions and ciphers: the words that
// crypto/tls has for protocol_version, handshake_failure, insufficient_security and inappropriate_fallback. Any other
// alert Azure has no reason to send to a client without a certificate.
var incompatible = []string{
	"tls: protocol version not supported", "tls: handshake failure", "tls: insufficient security level", "tls: inappropriate fallback",
}

// incompatibleWords are in what crypto/tls itself says of a server that chose what we do not take.
var incompatibleWords = []string{"protocol version", "supported versions", "cipher suite", "unsupported", "curve", "key exchange"}

// handshakeProblem is what crypto/tls did not like in the handshake, "" when the error is another one. It has no types for
// these errors.
func handshakeProblem(err error) string {
	for ; err != nil; err = errors.Unwrap(err) {
		if text := err.Error(); strings.HasPrefix(text, "tls: ") {
			return text
		}
	}
	return ""
}

// notHTTP reports whether what came over a connection is no answer of HTTP, or one whose headers do not end. Package
// net/http has no type for it.
func notHTTP(err error) bool {
	return strings.Contains(err.Error(), "HTTP/1.x transport connection broken")
}

// ProxyError is a proxy's refusal to connect us: its host and its HTTP status.
type ProxyError struct{ Proxy, Status string }

func (e *ProxyError) Error() string {
	return fmt.Sprintf("the proxy %s answered %s", e.Proxy, e.Status)
}

// MaxSkew is how far two clocks may differ before Kerberos (RFC 4120, 7.5.1) and Entra refuse.
const MaxSkew = 5 * time.Minute

// Date is the other side's clock as its answer tells it, to the second; the zero time when it does not.
func Date(h http.Header) time.Time {
	t, _ := http.ParseTime(h.Get("Date")) // its zero on an error is what is wanted
	return t
}

// Skew tells how far our clock is from theirs, to the second, and on which side: "ahead of" or "behind".
func Skew(ours, theirs time.Time) (skew time.Duration, direction string) {
	skew = ours.Sub(theirs).Round(time.Second)
	if skew < 0 {
		return -skew, "behind"
	}
	return skew, "ahead of"
}

// Skewed is the failure of a clock that is wrong, nil when it is right or theirs is not known.
func Skewed(ours, theirs time.Time, host string) *fault.Fault {
	skew, direction := Skew(ours, theirs)
	if theirs.IsZero() || skew <= MaxSkew {
		return nil
	}
	return fault.ClockSkew.New(skew.String(), direction, host)
}

// RetryAfter is what an answer asks to wait: seconds or a date (RFC 9110, 10.2.3), which is compared with
// the answer's own date, or with when it came where it has none. Zero when it does not say.
func RetryAfter(h http.Header, came time.Time) time.Duration {
	text := h.Get("Retry-After")
	if s, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	until, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	if now := Date(h); !now.IsZero() {
		came = now
	}
	return max(until.Sub(came), 0)
}
