package identity

import (
	"bytes"

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
		return nil, trust{}, fault.SecretFile.New(i.CertificateFile, err.Error(), certificateFix(i.CertificateFile, err))
	}
	return func(o policy.ClientOptions) (azcore.TokenCredential, error) {
		cred, err := azidentity.NewClientCertificateCredential(i.TenantID, i.ClientID, certs, key,
			&azidentity.ClientCertificateCredentialOptions{ClientOptions: o, DisableInstanceDiscovery: true})
		return cred, libraryFault(err)
	}, trust{}, nil
}
