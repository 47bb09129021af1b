package transport

import (
	"crypto/fips140"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"sync"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// roots are the certificates of a bundle, by subject, in DER. Of more than a hundred one or two are parsed: to parse all
// of them, as x509.CertPool does, takes as long as the handshake that they are for. nil stands for the search of
// crypto/x509.
type roots map[string][][]byte

// firstRoots reads the first file that has certificates. The directories of single certificates beside them, which
// crypto/x509 reads as well, hold the same ones and cost more time than the handshake. It is nil without such a
// file, and where Go's FIPS module has a say in which certificates count.
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

func parseRoots(text []byte) roots {
	all := roots{}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" || len(block.Headers) != 0 {
			continue
		}
		if subject := subjectOf(block.Bytes); subject != "" {
			all[subject] = append(all[subject], block.Bytes)
		}
	}
	return all
}

// subjectOf gives the subject of a certificate as it stands there, in DER (RFC 5280, 4.1); "" when it has none.
func subjectOf(der []byte) string {
	var certificate, body, subject cryptobyte.String
	input := cryptobyte.String(der)
	version := asn1.Tag(0).Constructed().ContextSpecific()
	if !input.ReadASN1(&certificate, asn1.SEQUENCE) || !certificate.ReadASN1(&body, asn1.SEQUENCE) ||
		!body.SkipOptionalASN1(version) || !body.SkipASN1(asn1.INTEGER) || // serial number
		!body.SkipASN1(asn1.SEQUENCE) || !body.SkipASN1(asn1.SEQUENCE) || !body.SkipASN1(asn1.SEQUENCE) || // signature, issuer, validity
		!body.ReadASN1Element(&subject, asn1.SEQUENCE) {
		return ""
	}
	return string(subject)
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
	if _, err := chain[0].Verify(options); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: err}
	}
	return nil
}

func (all roots) add(pool *x509.CertPool, subject []byte) {
	for _, der := range all[string(subject)] {
		if c, err := x509.ParseCertificate(der); err == nil {
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
