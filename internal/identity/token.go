package identity

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// maxToken bounds an access token, in bytes. Those of Entra have one or two thousand.
const maxToken = 64 << 10

// fromFile gives an access token that comes from elsewhere. The file is read at every use because others rewrite it;
// what was handed over once is not kept, and cannot be had again.
func fromFile(_ context.Context, i Identity, o Options) (AccessToken, error) {
	if i.TokenFile == "" {
		return AccessToken{}, invalid("its token was handed over once and is not kept", "hand over a new one with azfilesauth set <host> --token-stdin, or name a file that is rewritten: token_file=<file>")
	}
	text, info, err := o.readToken(i.TokenFile)
	if err != nil {
		return AccessToken{}, err
	}
	t, err := i.FromText(text, i.TokenFile, o)
	if err == nil && info.Mode().Perm()&0o044 != 0 {
		t.Hint = "the token file can be read by others: chmod go-r " + fault.Word("file", i.TokenFile)
	}
	return t, err
}

// ReadToken reads an access token that a person hands over; from says how, for messages. Its errors are faults without
// the token. Whether it is one, FromText tells.
func ReadToken(r io.Reader, from string) (secret.Value, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxToken+1))
	if err != nil {
		return secret.Value{}, fault.TokenInvalid.New(from, "it cannot be read").Because(err)
	}
	if problem := sizeProblem(text); problem != "" {
		return secret.Value{}, fault.TokenInvalid.New(from, problem)
	}
	return secret.New(text), nil
}

// FromText checks an access token that a person or a file handed over; from says who, for messages.
// White space around it does not count. A JWT must not have expired and must be for the identity's
// resource or that of the cloud; any other token passes. Its errors are faults without the token.
func (i Identity) FromText(text []byte, from string, o Options) (AccessToken, error) {
	text = bytes.TrimSpace(text)
	if problem := TokenProblem(text); problem != "" {
		return AccessToken{}, fault.TokenInvalid.New(from, problem)
	}
	t := AccessToken{Value: secret.New(bytes.Clone(text))}
	p, ok := payloadOf(t.Value)
	if !ok {
		return t, nil
	}
	t.ExpiresOn = p.expiry()
	if now := o.now(); !t.ExpiresOn.IsZero() && !now.Before(t.ExpiresOn) {
		ago := now.Sub(t.ExpiresOn).Round(time.Second)
		return AccessToken{}, fault.TokenExpired.New(from, ago.String())
	}
	if resource := i.resource(o); !p.isFor(resource) {
		return AccessToken{}, fault.TokenAudience.New(from, strings.Join(p.Audience, ", "), resource)
	}
	return t, nil
}

func sizeProblem(text []byte) string {
	if len(bytes.TrimSpace(text)) == 0 {
		return "it is empty"
	}
	if len(text) > maxToken {
		return fmt.Sprintf("it is longer than %d bytes", maxToken)
	}
	return ""
}

// TokenProblem tells why a text is no access token, or "". What an HTTP header may hold of a bearer
// token is printable ASCII without spaces (RFC 6750, 2.1).
func TokenProblem(text []byte) string {
	if problem := sizeProblem(text); problem != "" {
		return problem
	}
	if bytes.HasPrefix(text, []byte("\ufeff")) {
		return "it begins with a byte order mark, as editors of Windows write it"
	}
	if text[0] == text[len(text)-1] && (text[0] == '"' || text[0] == '\'') {
		return "it is in quotation marks, which do not belong to it"
	}
	if text[0] == '{' || text[0] == '"' {
		return "it is JSON, not the token alone"
	}
	for _, c := range text {
		if c <= ' ' || c >= 0x7f {
			return "it is not one word of printable characters"
		}
	}
	return ""
}
