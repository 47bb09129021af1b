package identity

import (
	"bytes"
	"context"
	"errors"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/reply"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// fromEntra asks Entra for the token of an application. The application's credential is read once the
// authority is known to be trusted. The credential of azidentity, and with it its cache, is dropped with the call.
func fromEntra(ctx context.Context, i Identity, o Options) (AccessToken, error) {
	authority, err := i.authority(o)
	if err != nil {
		return AccessToken{}, err
	}
	if o.Transport == nil {
		return AccessToken{}, fault.Internal.New().Because(errors.New("no transport to Entra"))
	}
	e := &entra{wire: &wire{ctx: ctx, identity: i, options: o, transport: o.Transport, service: reply.Entra}, authority: authority}
	cred, err := e.credential()
	if err != nil {
		return AccessToken{}, fault.From(err) // one of azidentity's is about what Validate let pass
	}
	t, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{i.resource(o) + "/.default"}})
	if err != nil {
		return AccessToken{}, e.fault(e)
	}
	if problem := TokenProblem([]byte(t.Token)); problem != "" {
		return AccessToken{}, fault.TokenInvalid.New(e.host(), problem)
	}
	return AccessToken{Value: secret.FromString(t.Token), ExpiresOn: t.ExpiresOn}, nil
}

// credential makes the credential of what is in the identity's file now. Instance discovery, by which an
// authority is looked up at a public one, is disabled: ours are on a list.
func (e *entra) credential() (azcore.TokenCredential, error) {
	i, o := e.identity, e.client(e)
	o.Cloud = cloud.Configuration{ActiveDirectoryAuthorityHost: e.authority}
	if i.CertificateFile != "" {
		certs, key, err := e.options.readCertificate(i.CertificateFile)
		if err != nil {
			return nil, err
		}
		return azidentity.NewClientCertificateCredential(i.TenantID, i.ClientID, certs, key,
			&azidentity.ClientCertificateCredentialOptions{ClientOptions: o, DisableInstanceDiscovery: true})
	}
	if i.SecretFile != "" {
		text, err := e.options.readSecret(i.SecretFile)
		if err != nil {
			return nil, err
		}
		text = bytes.TrimSpace(text)
		if problem := TokenProblem(text); problem != "" {
			return nil, fault.SecretFile.New(i.SecretFile, problem, writeAnew)
		}
		return azidentity.NewClientSecretCredential(i.TenantID, i.ClientID, string(text),
			&azidentity.ClientSecretCredentialOptions{ClientOptions: o, DisableInstanceDiscovery: true})
	}
	return e.federated(o)
}

// federated makes the credential of the token of another issuer (a federated credential, RFC 7523). azidentity
// has one that reads the file once in ten minutes; after a rotation that would be the old token.
func (e *entra) federated(o policy.ClientOptions) (azcore.TokenCredential, error) {
	i := e.identity
	text, _, err := e.options.readToken(i.TokenFile)
	if err != nil {
		return nil, err
	}
	text = bytes.TrimSpace(text)
	if problem := TokenProblem(text); problem != "" {
		return nil, fault.TokenFile.New(i.TokenFile, problem, writeAnew)
	}
	assertion := secret.New(text)
	e.assertion, _ = payloadOf(assertion)
	read := func(context.Context) (string, error) { return assertion.RevealString(), nil } //nolint:unparam // azidentity's type
	return azidentity.NewClientAssertionCredential(i.TenantID, i.ClientID, read,
		&azidentity.ClientAssertionCredentialOptions{ClientOptions: o, DisableInstanceDiscovery: true})
}
