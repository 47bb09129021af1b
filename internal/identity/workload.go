package identity

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// federated makes the credential of the token of another issuer that is in the token file now (a federated
// credential, RFC 7523). azidentity has one that reads the file once in ten minutes; after a rotation that
// would be the old token.
func (i Identity) federated(o Options) (credentialOf, trust, error) {
	text, _, err := o.readToken(i.TokenFile)
	if err != nil {
		return nil, trust{}, err
	}
	text = bytes.TrimSpace(text)
	if problem := tokenProblem(text); problem != "" {
		return nil, trust{}, fault.TokenFile.New(i.TokenFile, problem, writeAnew)
	}
	assertion := func(context.Context) (string, error) { return string(text), nil } //nolint:unparam // azidentity's type
	return func(o policy.ClientOptions) (azcore.TokenCredential, error) {
		cred, err := azidentity.NewClientAssertionCredential(i.TenantID, i.ClientID, assertion,
			&azidentity.ClientAssertionCredentialOptions{ClientOptions: o, DisableInstanceDiscovery: true})
		return cred, libraryFault(err)
	}, trustOf(string(text)), nil
}

// trust is what Entra must have been told to trust for a token to be accepted: the places of the command
// that does so.
type trust struct{ issuer, subject, audience string }

func trustOf(token string) (t trust) {
	parts := strings.Split(token, ".")
	var c struct {
		Audience audience `json:"aud"`
		Issuer   string   `json:"iss"`
		Subject  string   `json:"sub"`
	}
	if len(parts) != 3 {
		return t
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(b, &c) != nil {
		return t
	}
	t.issuer, t.subject = argument(c.Issuer), argument(c.Subject)
	if len(c.Audience) > 0 {
		t.audience = argument(c.Audience[0])
	}
	return t
}

// argument is what a person can paste into a command line unseen, "" for anything else.
func argument(v string) string {
	if len(v) > maxArgument || strings.Trim(v, alnum+"-._:/@") != "" {
		return ""
	}
	return v
}

// maxArgument bounds what an error repeats of a token's claims, in bytes.
const maxArgument = 160

// libraryFault is what there is to say when azidentity does not take what Validate let pass.
func libraryFault(err error) error {
	if err == nil {
		return nil
	}
	return fault.Internal.New().Because(err)
}
