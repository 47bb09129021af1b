package transport

import (
	"bytes"
	"crypto/fips140"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"os"
	"sync"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// roots are the certificates of a bundle, by subject, as they stand there. Of more than a hundred one or two are decoded and
// parsed: to parse all of them, as x509.CertPool does, takes as long as the handshake that they are for. nil stands for the
// search of crypto/x509.
type roots map[string][][]byte

// firstRoots reads the first file that has certificates. The directories of single certificates beside them hold the same ones
// as a rule and cost more time than the handshake: verify asks crypto/x509, which reads them as well, about an authority that
// the file does not have. It is nil without such a file, and where Go's FIPS module has a say in which certificates count.
func firstRoots(files []string) roots {
	if fips140.Enabled() {
		return nil
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		if all := parseRoots(text); len(all) > 0 {
			return all
		}
	}
	return nil
}

// How a certificate begins and ends in PEM (RFC 7468).
var (
	begins = []byte("-----BEGIN CERTIFICATE-----")
	ends   = []byte("-----END CERTIFICATE-----")

	newline = []byte("\n")
)

// headSize is how much of a certificate is decoded for its subject, in characters of base64.
const headSize = 1 << 10

func parseRoots(text []byte) roots {
	all, head := roots{}, make([]byte, base64.StdEncoding.DecodedLen(headSize))
	for {
		before, body, found := bytes.Cut(text, begins)
		inner, rest, whole := bytes.Cut(body, ends)
		if !found || !whole {
			return all
		}
		block := text[len(before) : len(text)-len(rest)]
		if again := bytes.Index(inner, begins); again >= 0 || !bytes.HasSuffix(before, newline) && len(before) > 0 {
			text = body[max(again, 0):] // the one that has begun has no end
			continue
		}
		n, _ := base64.StdEncoding.Decode(head, inner[:min(len(inner), headSize)]) // what is behind the last whole group is left out
		subject := subjectOf(head[:n])
		if subject == "" {
			subject = subjectOf(decode(block))
		}
		if subject != "" {
			all[subject] = append(all[subject], block)
		}
		text = rest
	}
}

// decode gives a certificate in DER, nil when the block holds none.
func decode(text []byte) []byte {
	block, _ := pem.Decode(text)
	if block == nil || len(block.Headers) != 0 {
		return nil
	}
	return block.Bytes
}

// subjectOf gives the subject of a certificate, or of what is known of its beginning, as it stands there, in DER (RFC 5280,
// 4.1); "" when it has none.
func subjectOf(der []byte) string {
	var subject cryptobyte.String
	body := cryptobyte.String(inside(inside(der)))
	version := asn1.Tag(0).Constructed().ContextSpecific()
	if !body.SkipOptionalASN1(version) || !body.SkipASN1(asn1.INTEGER) || // serial number
		!body.SkipASN1(asn1.SEQUENCE) || !body.SkipASN1(asn1.SEQUENCE) || !body.SkipASN1(asn1.SEQUENCE) || // signature, issuer, validity
		!body.ReadASN1Element(&subject, asn1.SEQUENCE) {
		return ""
	}
	return string(subject)
}

// inside gives what is known of what a sequence holds.
func inside(der []byte) []byte {
	const long = 0x80 // the length takes more than one byte: so many follow
	if len(der) < 2 || asn1.Tag(der[0]) != asn1.SEQUENCE {
		return nil
	}
	size := 0
	if der[1]&long != 0 {
		size = int(der[1] &^ long)
	}
	return der[min(2+size, len(der)):]
}

// verify is what crypto/tls does with a server's certificates, with those roots alone in which a chain of theirs can end:
// it looks for the parents of a certificate by the issuer that it names. host is whose certificate it must be.
func (all roots) verify(host string, chain []*x509.Certificate) error {
	if host == "" || len(chain) == 0 {
		return errors.New("tls: there is no certificate, or no name that it could be for")
	}
	options := x509.VerifyOptions{DNSName: host, Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool()}
	all.add(options.Roots, chain[0].RawSubject) // which can be trusted itself
	for i, c := range chain {
		all.add(options.Roots, c.RawIssuer)
		if i > 0 {
			options.Intermediates.AddCert(c)
		}
	}
	_, err := chain[0].Verify(options)
	if unknown := (x509.UnknownAuthorityError{}); errors.As(err, &unknown) {
		options.Roots = nil // those of the machine, with what somebody put into a directory alone
		if _, again := chain[0].Verify(options); again == nil {
			return nil
		}
	}
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: err}
	}
	return nil
}

func (all roots) add(pool *x509.CertPool, subject []byte) {
	for _, block := range all[string(subject)] {
		if c, err := x509.ParseCertificate(decode(block)); err == nil {
			pool.AddCert(c)
		}
	}
}

// config is for a connection to host.
func (all roots) config(host string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: host,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection does it
		VerifyConnection:   func(c tls.ConnectionState) error { return all.verify(host, c.PeerCertificates) },
	}
}

// directly gives the configuration for a connection to a host that no proxy makes: by the roots of the bundles, and where
// there are none as config says after trust.
func directly(config *tls.Config, bundles []string, trust func()) func(host string) *tls.Config {
	all := sync.OnceValue(func() roots { return firstRoots(bundles) })
	return func(host string) *tls.Config {
		if all := all(); all != nil {
			return all.config(host)
		}
		trust()
		own := config.Clone()
		own.ServerName = host
		return own
	}
}
