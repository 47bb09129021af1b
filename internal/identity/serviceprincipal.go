package identity

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// secret makes the credential of the secret that is in the file now.
func (i Identity) secret(o Options) (credentialOf, trust, error) {
	text, err := o.readSecret(i.SecretFile)
	if err != nil {
		return nil, trust{}, err
	}
	text = bytes.TrimSpace(text)
	if problem := tokenProblem(text); problem != "" {
		return nil, trust{}, fault.SecretFile.New(i.SecretFile, problem, writeAnew)
	}
	return func(o policy.ClientOptions) (azcore.TokenCredential, error) {
		cred, err := azidentity.NewClientSecretCredential(i.TenantID, i.ClientID, string(text),
			&azidentity.ClientSecretCredentialOptions{ClientOptions: o, DisableInstanceDiscovery: true})
		return cred, libraryFault(err)
	}, trust{}, nil
}

// certificate makes the credential of the certificate and key that are in the file now.
func (i Identity) certificate(o Options) (credentialOf, trust, error) {
	text, err := o.readSecret(i.CertificateFile)
	if err != nil {
		return nil, trust{}, err
	}
	certs, key, err := parseCertificate(text)
	if err != nil {
		fix := writeAnew
		if errors.Is(err, errEncrypted) {
			fix = decrypt(i.CertificateFile)
		}
		return nil, trust{}, fault.SecretFile.New(i.CertificateFile, err.Error(), fix)
	}
	return func(o policy.ClientOptions) (azcore.TokenCredential, error) {
		cred, err := azidentity.NewClientCertificateCredential(i.TenantID, i.ClientID, certs, key,
			&azidentity.ClientCertificateCredentialOptions{ClientOptions: o, DisableInstanceDiscovery: true})
		return cred, libraryFault(err)
	}, trust{}, nil
}

var errEncrypted = errors.New("its key is encrypted with a password")

// decrypt is the command that writes a file's certificates and its encrypted key, whose password openssl asks
// for, as a file with the key alone; on a wrong password the file stays as it is.
func decrypt(name string) string {
	file, plain := fault.Word("file", name), fault.Word("file", name+".new")
	return "(umask 077; (sed -n '/BEGIN CERT/,/END CERT/p' " + file + "; openssl pkey -in " + file + ") >" + plain + " && mv " + plain + " " + file + ")"
}

// parseCertificate reads a certificate with its key, in PEM or as PKCS #12 without a password. The
// errors of the parsers name no more than what they stumbled over.
func parseCertificate(text []byte) ([]*x509.Certificate, crypto.PrivateKey, error) {
	if bytes.Contains(text, []byte("ENCRYPTED")) {
		return nil, nil, errEncrypted
	}
	certs, key, err := azidentity.ParseCertificates(text, nil)
	if err != nil {
		return nil, nil, errors.New("it holds no certificate and key in PEM, nor in PKCS #12 without a password: " + err.Error())
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, nil, errors.New("its key is no RSA key, and Entra takes no other")
	}
	for _, c := range certs {
		if private.PublicKey.Equal(c.PublicKey) {
			return certs, key, nil
		}
	}
	return nil, nil, errors.New("its key is that of none of its certificates")
}
