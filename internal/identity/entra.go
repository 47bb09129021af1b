package identity

import (
	"context"
	"errors"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/reply"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// credentialOf makes the credential of azidentity for an application. Instance discovery, by which an
// authority is looked up at a public one, is to be disabled: ours are on a list.
type credentialOf func(policy.ClientOptions) (azcore.TokenCredential, error)

// fromEntra asks Entra for the token of an application. The application's credential is read once the
// authority is known to be trusted. The credential of azidentity, and with it its cache, ends with the call.
func fromEntra(ctx context.Context, i Identity, o Options) (AccessToken, error) {
	authority, err := i.authority(o)
	if err != nil {
		return AccessToken{}, err
	}
	if o.Transport == nil {
		return AccessToken{}, fault.Internal.New().Because(errors.New("no transport to Entra"))
	}
	read := i.secret
	if i.Kind == Workload {
		read = i.federated
	} else if i.CertificateFile != "" {
		read = i.certificate
	}
	credential, trusted, err := read(o)
	if err != nil {
		return AccessToken{}, err
	}
	w := &wire{ctx: ctx, transport: o.Transport, service: reply.Entra, passes: entraPasses, trusts: o.trusts}
	e := entra{wire: w, identity: i, options: o, authority: authority, trust: trusted}
	cred, err := credential(policy.ClientOptions{
		Transport: w, Retry: w.retries(o),
		Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: authority},
	})
	if err != nil {
		return AccessToken{}, err
	}
	t, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{i.resource(o) + "/.default"}})
	if err != nil {
		return AccessToken{}, e.fault()
	}
	if problem := tokenProblem([]byte(t.Token)); problem != "" {
		return AccessToken{}, fault.TokenInvalid.New(e.host(), problem)
	}
	return AccessToken{Value: secret.FromString(t.Token), ExpiresOn: t.ExpiresOn}, nil
}
