package azfiles

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/reply"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

// accept takes the ticket out of an answer with status 200. What a wrong clock can explain is
// judged last and blamed on the clock.
func (x *exchange) accept(a *reply.Answer) (ccache.Credential, *fault.Fault) {
	raw, err := krbCred(a)
	if err != nil {
		return ccache.Credential{}, x.invalidAnswer(a, err)
	}
	grants, err := readKRBCred(raw)
	if err != nil {
		return ccache.Credential{}, x.invalidAnswer(a, err)
	}
	g, f := x.chooseTicket(a, grants)
	if f != nil {
		return ccache.Credential{}, f
	}
	cred, f := x.credential(a, g)
	if f == nil {
		f = x.skewed(a)
	}
	if f == nil {
		f = x.checkTimes(cred)
	}
	if f != nil {
		return ccache.Credential{}, f
	}
	return cred, nil
}

// krbCred decodes the answer's JSON as far as the KRB-CRED.
func krbCred(a *reply.Answer) ([]byte, error) {
	if a.Cut {
		return nil, fmt.Errorf("it is longer than %d bytes", maxBody)
	}
	var doc struct {
		Ticket *string `json:"kerberosServiceTicket"`
	}
	if json.Unmarshal(bytes.TrimPrefix(a.Body, []byte("\ufeff")), &doc) != nil {
		return nil, errors.New("it is not JSON of the expected form")
	}
	if doc.Ticket == nil || *doc.Ticket == "" {
		return nil, errors.New("kerberosServiceTicket is missing")
	}
	raw, err := base64.StdEncoding.DecodeString(*doc.Ticket)
	if err != nil {
		return nil, fmt.Errorf("kerberosServiceTicket is not base64: %w", err) // says where, not what
	}
	return raw, nil
}

// invalidAnswer is a fault for an answer that is not what it should be.
func (x *exchange) invalidAnswer(a *reply.Answer, err error) *fault.Fault {
	return x.clean(fault.AnswerInvalid.New(x.host(), err.Error()).Because(x.trace(a)))
}

// trace is the request id of an answer, by which Azure's support finds it, as the cause of a fault.
func (x *exchange) trace(a *reply.Answer) error {
	if id := a.Header.Get("x-ms-request-id"); id != "" {
		return errors.New("request id " + x.hidden().Text(id, reply.MaxWord))
	}
	return nil
}

// skewed compares the clocks. An answer without a date says nothing.
func (x *exchange) skewed(a *reply.Answer) *fault.Fault {
	f := transport.Skewed(a.At, transport.Date(a.Header), x.host())
	if f == nil {
		return nil
	}
	return x.clean(f.Because(x.trace(a)))
}

// checkTimes refuses a ticket that cannot be used now.
func (x *exchange) checkTimes(cred ccache.Credential) *fault.Fault {
	now := x.now()
	if !cred.EndTime.After(now) {
		return fault.TicketExpired.New(x.host(), cred.EndTime.Format(time.RFC3339))
	}
	if cred.StartTime.After(now.Add(transport.MaxSkew)) {
		return fault.TicketNotYet.New(x.host(), cred.StartTime.Format(time.RFC3339))
	}
	return nil
}
