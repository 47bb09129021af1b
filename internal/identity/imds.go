package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/reply"
)

// busy are the refusals that pass by their status alone.
func busy(a *reply.Answer, _ said) bool { return a.Busy() }

// imdsPasses are the refusals that IMDS documents as passing: it is being updated, throttles or fails.
func imdsPasses(a *reply.Answer, _ said) bool {
	return a.Status == http.StatusNotFound || a.Status == http.StatusGone || a.Busy()
}

// imdsFault says why there is no token.
func (w *wire) imdsFault(i Identity, o Options) error {
	switch {
	case errors.Is(w.ctx.Err(), context.Canceled):
		return fault.Interrupted.New().Because(w.ctx.Err())
	case w.err != nil:
		return fault.IMDSUnreachable.New().Because(w.err)
	case w.last == nil: // never asked: ctx had ended
		return fault.IMDSUnreachable.New().Because(w.ctx.Err())
	}
	f := w.imdsRefusal(i, o)
	f.RetryAfter = w.wait()
	return f
}

func (w *wire) imdsRefusal(i Identity, o Options) *fault.Fault {
	if !w.own {
		return fault.IMDSForeign.New(w.last.Line())
	}
	if w.last.Status == http.StatusOK {
		return fault.TokenInvalid.New("IMDS", "the answer is no JSON with an access_token")
	}
	refusal := fmt.Errorf("IMDS answered %d %s", w.last.Status, w.said.text)
	if imdsPasses(w.last, w.said) {
		return fault.IMDSBusy.New().Because(refusal)
	}
	m := w.machine(o)
	text := strings.ToLower(w.said.text)
	switch {
	case w.last.Status == http.StatusBadRequest && strings.Contains(text, "identity not found"):
		return fault.IdentityNotAssigned.New(i.String(), m.command, m.group, m.name, assignArgument(i)).Because(refusal)
	case w.last.Status == http.StatusBadRequest && strings.Contains(text, "multiple user assigned identities"):
		return fault.IdentitySeveral.New(m.command, m.group, m.name).Because(refusal)
	}
	return fault.IMDSRefused.New(i.String(), m.command, m.group, m.name).Because(refusal)
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
