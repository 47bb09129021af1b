package identity

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// Both are files that are in order, but that nobody can read without a password.
var (
	errEncryptedKey   = errors.New("its key is encrypted with a password")
	errEncryptedStore = errors.New("it is a PKCS #12 file with a password")
)

// readCertificate reads the certificate and key that are in a file now. Its errors are faults.
func (o Options) readCertificate(name string) ([]*x509.Certificate, crypto.PrivateKey, error) {
	text, err := o.readSecret(name)
	if err != nil {
		return nil, nil, err
	}
	certs, key, err := parseCertificate(text)
	if err != nil {
		return nil, nil, fault.SecretFile.New(name, err.Error(), certificateFix(name, err))
	}
	return certs, key, nil
}

// parseCertificate reads a certificate with its key: in PEM, with further certificates and in any order, or as
// PKCS #12 (RFC 7292), also in base64 as Key Vault shows it, without a password or with the one that Java's
// tools are known for. The errors of the parsers name no more than what they stumbled over.
func parseCertificate(text []byte) ([]*x509.Certificate, crypto.PrivateKey, error) {
	certs, key, err := parseEither(text)
	if err != nil {
		return nil, nil, err
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, nil, errors.New("its key is not an RSA key; Entra accepts only RSA keys")
	}
	for _, c := range certs {
		if private.PublicKey.Equal(c.PublicKey) {
			return certs, key, nil
		}
	}
	return nil, nil, errors.New("its key is that of none of its certificates")
}

func parseEither(text []byte) ([]*x509.Certificate, crypto.PrivateKey, error) {
	if !bytes.Contains(text, []byte("-----BEGIN ")) {
		return parsePKCS12(text)
	}
	if bytes.Contains(text, []byte("ENCRYPTED")) { // of PKCS #8, and the header Proc-Type of RFC 1421
		return nil, nil, errEncryptedKey
	}
	certs, key, err := azidentity.ParseCertificates(text, nil)
	if err != nil {
		return nil, nil, errors.New("it holds no certificate and key in PEM: " + err.Error())
	}
	return certs, key, nil
}

func parsePKCS12(content []byte) ([]*x509.Certificate, crypto.PrivateKey, error) {
	if der, err := base64.StdEncoding.DecodeString(string(bytes.Join(bytes.Fields(content), nil))); err == nil {
		content = der
	}
	var err error
	for _, password := range []string{"", pkcs12.DefaultPassword} {
		key, own, chain, problem := pkcs12.DecodeChain(content, password)
		if problem == nil {
			return append([]*x509.Certificate{own}, chain...), key, nil
		}
		err = problem
	}
	if errors.Is(err, pkcs12.ErrIncorrectPassword) {
		return nil, nil, errEncryptedStore
	}
	return nil, nil, errors.New("it holds no certificate and key in PEM or PKCS #12: " + err.Error())
}

// opensslPackage is for those who have not got the program, as a comment of the shell.
const opensslPackage = " # openssl is in the package openssl"

// certificateFix is how a file becomes one that parseCertificate reads. What openssl makes goes to a new file
// first: on a wrong password, which openssl asks for, the file stays as it is.
func certificateFix(name string, err error) string {
	file, plain := fault.Word("file", name), fault.Word("file", name+".new")
	if errors.Is(err, errEncryptedStore) {
		return "(umask 077; openssl pkcs12 -nodes -in " + file + " -out " + plain + " && mv " + plain + " " + file + ")" + opensslPackage
	}
	if errors.Is(err, errEncryptedKey) {
		return "(umask 077; (sed -n '/BEGIN CERT/,/END CERT/p' " + file + "; openssl pkey -in " + file + ") >" + plain + " && mv " + plain + " " + file + ")" + opensslPackage
	}
	return writeAnew
}
