package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

// remote is the control API of a running fake.
type remote struct {
	addr string
}

// command starts the flags of a command that talks to a running fake.
func command(name string) (*flag.FlagSet, *remote) {
	var r remote
	fs := flag.NewFlagSet("azurefake "+name, flag.ContinueOnError)
	fs.StringVar(&r.addr, "control", defaultControl, "`address` of the running fake's control API")
	return fs, &r
}

// call makes one request and returns the answer's body.
func (r *remote) call(method, path string, query url.Values, body []byte) ([]byte, error) {
	u := url.URL{Scheme: "http", Host: r.addr, Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequest(method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: &http.Transport{}, Timeout: time.Minute} // no proxy from the environment
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(strings.TrimSpace(string(answer)))
	}
	return answer, err
}

func order(args []string, _, stderr io.Writer) error {
	fs, r := command("order")
	if err := parse(fs, args, stderr, 1); err != nil {
		return err
	}
	_, err := r.call(http.MethodPost, "/orders", nil, []byte(fs.Arg(0)))
	return err
}

func clearOrders(args []string, _, stderr io.Writer) error {
	return forget("clear", "/orders", args, stderr)
}

func reset(args []string, _, stderr io.Writer) error {
	return forget("reset", "/requests", args, stderr)
}

func forget(name, path string, args []string, stderr io.Writer) error {
	fs, r := command(name)
	if err := parse(fs, args, stderr, 0); err != nil {
		return err
	}
	_, err := r.call(http.MethodDelete, path, nil, nil)
	return err
}

// fetch reads the flags of a command about requests and gets those that they select.
func fetch(fs *flag.FlagSet, r *remote, args []string, stderr io.Writer) ([]azurefake.Request, error) {
	target := fs.String("target", "", "only requests to this `target`: storage, imds, entra, arc or az")
	host := fs.String("host", "", "only requests for this `host`")
	if err := parse(fs, args, stderr, 0); err != nil {
		return nil, err
	}
	body, err := r.call(http.MethodGet, "/requests", url.Values{"target": {*target}, "host": {*host}}, nil)
	if err != nil {
		return nil, err
	}
	var list []azurefake.Request
	return list, json.Unmarshal(body, &list)
}

func requests(args []string, stdout, stderr io.Writer) error {
	fs, r := command("requests")
	asJSON := fs.Bool("json", false, "one JSON object per line")
	list, err := fetch(fs, r, args, stderr)
	if err != nil {
		return err
	}
	out := json.NewEncoder(stdout)
	out.SetEscapeHTML(false)
	for _, req := range list {
		if *asJSON {
			err = out.Encode(req)
		} else {
			_, err = fmt.Fprintln(stdout, line(req))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// line is a request for people. What is unknown is a dash.
func line(r azurefake.Request) string {
	dash := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	u := url.URL{Path: r.Path, RawQuery: r.Query.Encode()}
	s := fmt.Sprintf("%s %s %s %s %s status=%d identity=%s token=%s", r.Time.UTC().Format(time.RFC3339),
		r.Target, dash(r.Host), r.Method, u.String(), r.Status, dash(r.Identity), dash(r.TokenID))
	if r.Proxied {
		s += " proxied"
	}
	return s
}

func count(args []string, stdout, stderr io.Writer) error {
	fs, r := command("count")
	list, err := fetch(fs, r, args, stderr)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, len(list))
	return err
}

func token(args []string, stdout, stderr io.Writer) error {
	fs, r := command("token")
	var o azurefake.MintOptions
	fs.StringVar(&o.ObjectID, "oid", azurefake.UserObjectID, "object `id` of the principal")
	fs.StringVar(&o.AppID, "app", "", "application `id`")
	fs.StringVar(&o.TenantID, "tenant", azurefake.TenantID, "tenant `id`")
	fs.StringVar(&o.Audience, "aud", azurefake.StorageAudience, "`audience`")
	fs.DurationVar(&o.Lifetime, "life", time.Hour, "`lifetime`; negative: it ended that long ago")
	if err := parse(fs, args, stderr, 0); err != nil {
		return err
	}
	body, err := json.Marshal(o)
	if err != nil {
		return err
	}
	minted, err := r.call(http.MethodPost, "/tokens", nil, body)
	if err == nil {
		_, err = fmt.Fprintln(stdout, string(minted))
	}
	return err
}

func registerApp(args []string, _, stderr io.Writer) error {
	fs, r := command("app")
	if err := parse(fs, args, stderr, 1); err != nil {
		return err
	}
	a, err := parseApp(fs.Arg(0))
	if err != nil {
		return usageError{text: err.Error()}
	}
	body, err := json.Marshal(a)
	if err != nil {
		return err
	}
	_, err = r.call(http.MethodPost, "/apps", nil, body)
	return err
}

// federated prints no line end, so that its output is what a token file holds.
func federated(args []string, stdout, stderr io.Writer) error {
	fs, r := command("federated")
	if err := parse(fs, args, stderr, 1); err != nil {
		return err
	}
	token, err := r.call(http.MethodPost, "/federated", url.Values{"client": {fs.Arg(0)}}, nil)
	if err == nil {
		_, err = stdout.Write(token)
	}
	return err
}
