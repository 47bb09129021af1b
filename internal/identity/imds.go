package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// imdsBusy are the statuses that IMDS documents as passing: it is being updated, throttles or fails.
func imdsBusy(status int) bool {
	return status == http.StatusNotFound || status == http.StatusGone || status == http.StatusTooManyRequests || status >= 500
}

// imdsFault says why there is no token.
func (w *wire) imdsFault(i Identity) error {
	refusal := fmt.Errorf("IMDS answered %d %s", w.status, w.text)
	var f *fault.Fault
	switch {
	case errors.Is(w.ctx.Err(), context.Canceled):
		return fault.Interrupted.New().Because(w.ctx.Err())
	case w.status == 0 && w.err == nil: // never asked: ctx had ended
		return fault.IMDSUnreachable.New().Because(w.ctx.Err())
	case w.err != nil:
		return fault.IMDSUnreachable.New().Because(w.err)
	case w.status == http.StatusOK:
		return fault.TokenInvalid.New("IMDS", "the answer is no JSON with an access_token")
	case imdsBusy(w.status):
		f = fault.IMDSBusy.New().Because(refusal)
	case w.status == http.StatusBadRequest && strings.Contains(strings.ToLower(w.text), "identity not found"):
		f = fault.IdentityNotAssigned.New(i.String(), assignArgument(i)).Because(refusal)
	default:
		f = fault.IMDSRefused.New(i.String()).Because(refusal)
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
		return fault.Word("resource_id", i.ResourceID)
	}
	return "'[system]'"
}
