package identity

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// servicePrincipal is an application that proves who it is by a secret or by a certificate's key. The
// file of either is root's alone and is read at every use.
func servicePrincipal() rules {
	return rules{
		needs:       []string{"tenant_id", "client_id"},
		oneOf:       []string{"secret_file", "certificate_file"},
		takes:       []string{"authority_host", "resource"},
		refreshable: always,
		token: func(ctx context.Context, i Identity, o Options) (AccessToken, error) {
			if i.CertificateFile != "" {
				return fromEntra(ctx, i, o, i.certificate)
			}
			return fromEntra(ctx, i, o, i.secret)
		},
	}
}

// secret makes the credential of the secret that is in the file now.
func (i Identity) secret() (credentialOf, trust, error) {
	text, err := readSecret(i.SecretFile)
	if err != nil {
		return nil, trust{}, err
	}
	text = bytes.TrimSpace(text)
	if problem := tokenProblem(text); problem != "" {
		return nil, trust{}, secretFault(i.SecretFile, problem)
	}
	return func(o policy.ClientOptions) (azcore.TokenCredential, error) {
		cred, err := azidentity.NewClientSecretCredential(i.TenantID, i.ClientID, string(text),
			&azidentity.ClientSecretCredentialOptions{ClientOptions: o, DisableInstanceDiscovery: true})
		return cred, libraryFault(err)
	}, trust{}, nil
}

// certificate makes the credential of the certificate and key that are in the file now.
func (i Identity) certificate() (credentialOf, trust, error) {
	text, err := readSecret(i.CertificateFile)
	if err != nil {
		return nil, trust{}, err
	}
	certs, key, err := parseCertificate(text)
	if err != nil {
		return nil, trust{}, secretFault(i.CertificateFile, err.Error())
	}
	return func(o policy.ClientOptions) (azcore.TokenCredential, error) {
		cred, err := azidentity.NewClientCertificateCredential(i.TenantID, i.ClientID, certs, key,
			&azidentity.ClientCertificateCredentialOptions{ClientOptions: o, DisableInstanceDiscovery: true})
		return cred, libraryFault(err)
	}, trust{}, nil
}

// parseCertificate reads a certificate with its key, in PEM or as PKCS #12 without a password. The
// errors of the parsers name no more than what they stumbled over.
func parseCertificate(text []byte) ([]*x509.Certificate, crypto.PrivateKey, error) {
	if bytes.Contains(text, []byte("ENCRYPTED")) {
		return nil, trust{}, errors.New("its key is encrypted with a password")
	}
	certs, key, err := azidentity.ParseCertificates(text, nil)
	if err != nil {
		return nil, trust{}, errors.New("it holds no certificate and key in PEM, nor in PKCS #12 without a password: " + err.Error())
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, trust{}, errors.New("its key is no RSA key, and Entra takes no other")
	}
	for _, c := range certs {
		if private.PublicKey.Equal(c.PublicKey) {
			return certs, key, nil
		}
	}
	return nil, trust{}, errors.New("its key is that of none of its certificates")
}
