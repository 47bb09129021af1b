package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// fromIMDS asks the machine's identity service; a nil id is the machine's own identity.
func fromIMDS(ctx context.Context, i Identity, o Options, id azidentity.ManagedIDKind) (AccessToken, error) {
	if o.IMDS == nil {
		return AccessToken{}, fault.Wrap(fault.Internal, errors.New("no transport to IMDS"), nil)
	}
	w := &wire{ctx: ctx, transport: o.IMDS, busy: imdsBusy}
	cred, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{
		ClientOptions: policy.ClientOptions{Transport: w, Retry: w.retries(o)},
		ID:            id,
	})
	if err != nil {
		return AccessToken{}, fault.Wrap(fault.IMDSRefused, err, fault.V{"identity": i.String()})
	}
	t, err := cred.GetToken(ctx, policy.TokenRequestOptions{
		Scopes: []string{i.resource(o)},
		// Claims are not sent to IMDS. They make the library ignore its cache, which is the process's.
		Claims: "{}",
	})
	if err != nil {
		return AccessToken{}, w.imdsFault(i)
	}
	if problem := tokenProblem([]byte(t.Token)); problem != "" {
		return AccessToken{}, fault.New(fault.TokenInvalid, fault.V{"from": "IMDS", "problem": problem})
	}
	return AccessToken{Value: secret.FromString(t.Token), ExpiresOn: t.ExpiresOn}, nil
}

// imdsBusy are the statuses that IMDS documents as passing: it is being updated, throttles or fails.
func imdsBusy(status int) bool {
	return status == http.StatusNotFound || status == http.StatusGone || status == http.StatusTooManyRequests || status >= 500
}

// imdsFault says why there is no token.
func (w *wire) imdsFault(i Identity) error {
	refusal := fmt.Errorf("IMDS answered %d %s", w.status, w.text)
	v := fault.V{"identity": i.String(), "identities": assignArgument(i)}
	var f *fault.Fault
	switch {
	case errors.Is(w.ctx.Err(), context.Canceled):
		return fault.Wrap(fault.Interrupted, w.ctx.Err(), nil)
	case w.status == 0 && w.err == nil: // never asked: ctx had ended
		return fault.Wrap(fault.IMDSUnreachable, w.ctx.Err(), nil)
	case w.err != nil:
		return fault.Wrap(fault.IMDSUnreachable, w.err, nil)
	case w.status == http.StatusOK:
		return fault.New(fault.TokenInvalid, fault.V{"from": "IMDS", "problem": "the answer is no JSON with an access_token"})
	case imdsBusy(w.status):
		f = fault.Wrap(fault.IMDSBusy, refusal, nil)
	case w.status == http.StatusBadRequest && strings.Contains(strings.ToLower(w.text), "identity not found"):
		f = fault.Wrap(fault.IdentityNotAssigned, refusal, v)
	default:
		f = fault.Wrap(fault.IMDSRefused, refusal, v)
	}
	f.RetryAfter = w.wait
	return f
}

// assignArgument is what `az vm identity assign --identities` takes for the identity.
func assignArgument(i Identity) string {
	const list = `$(az identity list --query "[?%s=='%s'].id" -o tsv)`
	switch {
	case i.ClientID != "":
		return fmt.Sprintf(list, "clientId", i.ClientID)
	case i.ObjectID != "":
		return fmt.Sprintf(list, "principalId", i.ObjectID)
	case i.ResourceID != "":
		return "'" + i.ResourceID + "'"
	}
	return "'[system]'"
}
