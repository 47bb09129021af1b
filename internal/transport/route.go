package transport

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// Route is a transport to Entra and the storage accounts. Its errors tell Fault who named the proxy, and that a
// caller's environment names one without result.
type Route struct {
	*http.Transport
	options Options
}

// NewRoute makes a Route, as New makes a transport.
func NewRoute(o Options) (*Route, error) {
	t, err := New(o)
	if err != nil {
		return nil, err
	}
	return &Route{t, o}, nil
}

// Through gives the route of a choice. A proxy of the route's own outranks it; what is reached without one is what
// either says. The error is a fault about the proxy's URL.
func (r *Route) Through(c Choice) (*Route, error) {
	if c.Proxy == nil || r.options.Proxy != nil {
		return r, nil
	}
	o := r.options
	o.Proxy, o.Source = c.Proxy, c.Source
	o.NoProxy = strings.Trim(o.NoProxy+","+c.Except, ",")
	return NewRoute(o)
}

// RoundTrip is for http.RoundTripper.
func (r *Route) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.Transport.RoundTrip(req.WithContext(context.WithValue(req.Context(), requestKey{}, req.Context())))
	if err == nil {
		return resp, nil
	}
	return nil, &routeError{err, r.options.Source, r.ignored()}
}

type requestKey struct{}

// untilGivenUp ends ctx, that of a connection, with the request that it is made for. Package net/http does not: it makes the connection
// all the same, and the next request to the host would wait for the answer to the same question to the name server, which
// may be lost.
func untilGivenUp(ctx context.Context) (context.Context, func()) {
	request, ok := ctx.Value(requestKey{}).(context.Context)
	if !ok {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(request, cancel)
	return ctx, func() { stop(); cancel() }
}

// ignored is the variable that counts for nothing, "" where there is a proxy or none is named.
func (r *Route) ignored() string {
	if r.options.Proxy != nil {
		return ""
	}
	return r.options.Ignored
}

// routeError is an error of a Route.
type routeError struct {
	error
	source  string // who named the proxy
	ignored string
}

func (e *routeError) Unwrap() error { return e.error }

// Advice tells, of an error, which variable of the environment names a proxy without result, and what counts instead;
// "" when there is nothing to tell.
func Advice(err error) string {
	e, ok := errors.AsType[*routeError](err)
	if !ok || e.ignored == "" {
		return ""
	}
	return Ignored(e.ignored)
}

// Ignored tells that a variable names a proxy without result, and what counts instead.
func Ignored(variable string) string {
	return variable + " in the environment is ignored, write proxy: URL into /etc/azfilesauth/config.d/90-local.yaml"
}

// Choice is the proxy that a caller chose where the configuration names none. The zero value is none.
type Choice struct {
	Proxy  *url.URL
	Except string // what is reached without it, as of Exceptions
	Source string // who named it, for messages
}

// Variables give a proxy for https in the order in which they count: libcurl's, whose program the callers of
// azfilesauthmanager know (libcurl-env(3)).
var variables = []string{"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}

// Variable is the one that names a proxy in an environment, "" when none does.
func Variable(environment map[string]string) string {
	for _, name := range variables {
		if strings.TrimSpace(environment[name]) != "" {
			return name
		}
	}
	return ""
}

// FromEnvironment gives the choice of an environment. The error, which repeats no value, says why its proxy cannot
// be used.
func FromEnvironment(environment map[string]string) (Choice, error) {
	name := Variable(environment)
	if name == "" {
		return Choice{}, nil
	}
	proxy, err := ParseVariable(environment[name])
	if err != nil {
		return Choice{}, errors.New(name + " in the environment cannot be used: " + err.Error())
	}
	list := environment["no_proxy"]
	if list == "" {
		list = environment["NO_PROXY"]
	}
	except, _ := Exceptions(list) // as others who read the variable, which ignore the rest
	return Choice{proxy, except, name + " in the environment of azfilesauthmanager"}, nil
}

// ParseVariable reads the value of a variable that names a proxy, as libcurl does: without a scheme it is one for http.
func ParseVariable(value string) (*url.URL, error) {
	text := strings.TrimSpace(value)
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	return ParseProxy(text)
}

// ParseProxy reads the URL of a proxy.
func ParseProxy(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("it must be http://host:port, or the same with https")
	}
	return u, nil
}
