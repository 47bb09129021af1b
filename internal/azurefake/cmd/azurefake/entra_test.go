package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

const tenant = "7e0a0000-0000-4000-8000-00000000000f"

// tokenFor asks an authority for a token; fields are the form's that make the difference.
func (p *program) tokenFor(authority, tenant string, fields ...string) (status int, token string) {
	p.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"https://storage.azure.com/.default"}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	req, err := http.NewRequest(http.MethodPost, "https://"+authority+"/"+tenant+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return p.tokenBy(req, "access_token")
}

// tokenBy makes a request and reads one member of the answer.
func (p *program) tokenBy(req *http.Request, member string) (status int, value string) {
	p.t.Helper()
	resp, err := azurefake.DialTransport(p.storage, p.imds, p.read("ca.pem"), p.arc).RoundTrip(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(body, &members); err != nil {
		p.t.Fatalf("%v: %s", err, body)
	}
	value, _ = members[member].(string)
	return resp.StatusCode, value
}

func TestProgramServesEntra(t *testing.T) {
	p := build(t)
	p.serve("-ca-out", p.file("ca.pem"), "-authority", "login.airgap.test", "-app", "gov,"+tenant+",secret,object=oid,authority=login.microsoftonline.us",
		"-app", "pod,,,federated")
	if status, token := p.tokenFor("login.microsoftonline.us", tenant, "client_id", "gov", "client_secret", "secret"); status != 200 {
		t.Errorf("secret: status %d", status)
	} else if status, body := p.exchange(token); status != 200 {
		t.Errorf("exchange: status %d: %s", status, body)
	}
	if status, _ := p.tokenFor("login.microsoftonline.com", tenant, "client_id", "gov", "client_secret", "secret"); status != 400 {
		t.Errorf("another cloud: status %d", status)
	}
	byToken := func(token string) int {
		status, _ := p.tokenFor("login.airgap.test", azurefake.TenantID, "client_id", "pod", "client_assertion", token,
			"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		return status
	}
	one := p.run("federated", "pod")
	if status := byToken(one); status != 200 {
		t.Errorf("federated: status %d", status)
	}
	if status := byToken(p.run("federated", "pod")); status != 200 || byToken(one) != 401 {
		t.Errorf("rotated: status %d", status)
	}
	p.run("app", "gov,"+tenant+",rotated")
	if status, _ := p.tokenFor("login.microsoftonline.com", tenant, "client_id", "gov", "client_secret", "rotated"); status != 200 {
		t.Errorf("registered anew: status %d", status)
	}
	if got := p.run("count", "-target", "entra"); got != "6\n" {
		t.Errorf("%q requests", got)
	}
	p.run("order", `{"target":"entra","identity":"gov","code":"AADSTS7000222","message":"expired"}`)
	if status, _ := p.tokenFor("login.microsoftonline.com", tenant, "client_id", "gov", "client_secret", "rotated"); status != 401 {
		t.Errorf("ordered: status %d", status)
	}
}

func TestProgramServesArc(t *testing.T) {
	p := build(t)
	p.serve("-ca-out", p.file("ca.pem"), "-arc", "127.0.0.1:0", "-arc-keys", p.file("keys"))
	req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:40342/metadata/identity/oauth2/token?api-version=2020-06-01&resource=https://storage.azure.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Metadata", "true")
	if status, _ := p.tokenBy(req, "access_token"); status != 401 {
		t.Errorf("status %d", status)
	}
	keys, err := os.ReadDir(p.file("keys"))
	if err != nil || len(keys) != 1 {
		t.Fatalf("%v, %d keys", err, len(keys))
	}
	req.Header.Set("Authorization", "Basic "+string(p.read("keys/"+keys[0].Name())))
	status, token := p.tokenBy(req, "access_token")
	if exchanged, _ := p.exchange(token); status != 200 || exchanged != 200 {
		t.Errorf("status %d, exchange %d", status, exchanged)
	}
}

func TestProgramInstallsAz(t *testing.T) {
	p := build(t)
	p.serve("-ca-out", p.file("ca.pem"), "-az", p.dir, "-az-home", p.dir)
	cmd := exec.Command(p.file("az"), "account", "get-access-token", "--resource", "https://storage.azure.com")
	cmd.Env = []string{"HOME=" + p.dir}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var answer struct{ AccessToken string }
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if status, body := p.exchange(answer.AccessToken); status != 200 {
		t.Errorf("status %d: %s", status, body)
	}
}
