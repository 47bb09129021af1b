package main

import (
	"bufio"
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

const host = "acct.file.core.windows.net"

// program is a built azurefake and, once serve was called, the addresses of a running one.
type program struct {
	t                      *testing.T
	path, dir              string
	storage, imds, control string
	arc                    string // "" without -arc
}

func build(t *testing.T) *program {
	t.Helper()
	p := &program{t: t, dir: t.TempDir()}
	p.path = filepath.Join(p.dir, "azurefake")
	cmd := exec.Command("go", "build", "-o", p.path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return p
}

func (p *program) file(name string) string { return filepath.Join(p.dir, name) }

// serve starts the program, waits until it is ready, and returns it for the test to end it.
func (p *program) serve(args ...string) *exec.Cmd {
	p.t.Helper()
	args = append([]string{"-control", "127.0.0.1:0", "-host", host, "-ready", p.file("ready")}, args...)
	cmd := exec.Command(p.path, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { // it may have ended already
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "azurefake: ready\n" {
		p.t.Fatalf("said %q, %v", line, err)
	}
	for line := range strings.Lines(string(p.read("ready"))) {
		name, addr, _ := strings.Cut(strings.TrimSpace(line), "=")
		*map[string]*string{"storage": &p.storage, "imds": &p.imds, "control": &p.control, "arc": &p.arc}[name] = addr
	}
	return cmd
}

func (p *program) read(name string) []byte {
	p.t.Helper()
	b, err := os.ReadFile(p.file(name))
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

// run runs a command against the running program and returns what it wrote to standard output.
func (p *program) run(command string, args ...string) string {
	p.t.Helper()
	out, err := p.try(append([]string{command, "-control", p.control}, args...)...)
	if err != nil {
		p.t.Fatalf("azurefake %s: %v: %s", command, err, out)
	}
	return out
}

func (p *program) try(args ...string) (string, error) {
	var out, errs bytes.Buffer
	cmd := exec.Command(p.path, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err != nil {
		return errs.String(), err
	}
	return out.String(), nil
}

// exchange asks for a ticket with the CA that the program wrote out.
func (p *program) exchange(token string) (int, string) {
	p.t.Helper()
	req, err := http.NewRequest(http.MethodPost, "https://"+host+"/?restype=service&comp=kerbticket", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("x-ms-version", "2024-05-04")
	req.Header.Set("x-ms-date", time.Now().UTC().Format(http.TimeFormat))
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := azurefake.DialTransport(p.storage, p.imds, p.read("ca.pem")).RoundTrip(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestProgram(t *testing.T) {
	p := build(t)
	if out, err := p.try("ca", p.file("given.pem"), p.file("given.key")); err != nil {
		t.Fatal(out)
	}
	cmd := p.serve("-ca-cert", p.file("given.pem"), "-ca-key", p.file("given.key"), "-ca-out", p.file("ca.pem"),
		"-keytab-out", p.file("keytab"), "-identity", "11111111-0000-4000-8000-000000000001")
	if !bytes.Equal(p.read("ca.pem"), p.read("given.pem")) {
		t.Error("-ca-out is not the given CA")
	}
	if !bytes.HasPrefix(p.read("keytab"), []byte{5, 2}) {
		t.Error("-keytab-out is no keytab")
	}
	for name, mode := range map[string]os.FileMode{"given.key": 0o600, "keytab": 0o600, "ca.pem": 0o644} {
		if info, err := os.Stat(p.file(name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}

	token := strings.TrimSpace(p.run("token", "-oid", "someone"))
	if status, body := p.exchange(token); status != 200 || !strings.Contains(body, "kerberosServiceTicket") {
		t.Errorf("status %d: %s", status, body)
	}
	if status, _ := p.exchange(strings.TrimSpace(p.run("token", "-aud", "https://example.com"))); status != 401 {
		t.Errorf("wrong audience: status %d", status)
	}
	if status, _ := p.exchange(strings.TrimSpace(p.run("token", "-life", "-1h"))); status != 401 {
		t.Errorf("expired token: status %d", status)
	}

	p.run("order", `{"target":"storage","status":503,"code":"ServerBusy","retryAfter":"3","times":1}`)
	if status, body := p.exchange(token); status != 503 || !strings.Contains(body, "ServerBusy") {
		t.Errorf("ordered 503: status %d: %s", status, body)
	}
	p.run("order", `{"target":"storage","status":503}`)
	p.run("clear")
	if status, _ := p.exchange(token); status != 200 {
		t.Errorf("after clear: status %d", status)
	}
	checkRequests(t, p, token)

	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	if _, err := p.try("count", "-control", p.control); err == nil {
		t.Error("the control API still answers")
	}
}

// checkRequests reads the log of the five exchanges.
func checkRequests(t *testing.T, p *program, token string) {
	t.Helper()
	for _, tc := range []struct {
		args []string
		want string
	}{
		{nil, "5\n"},
		{[]string{"-target", "storage"}, "5\n"},
		{[]string{"-target", "imds"}, "0\n"},
		{[]string{"-host", host}, "5\n"},
		{[]string{"-host", "other.file.core.windows.net"}, "0\n"},
	} {
		if got := p.run("count", tc.args...); got != tc.want {
			t.Errorf("count %v: %q, want %q", tc.args, got, tc.want)
		}
	}
	lines := strings.Split(strings.TrimSpace(p.run("requests", "-target", "storage")), "\n")
	if len(lines) != 5 || !strings.Contains(lines[0], " storage "+host+" POST /?comp=kerbticket&restype=service status=200 identity=someone token=") {
		t.Errorf("requests: %q", lines)
	}
	if strings.Contains(strings.Join(lines, ""), token) {
		t.Error("requests show the token")
	}
	var third azurefake.Request
	asJSON := strings.Split(p.run("requests", "-json"), "\n")
	if err := json.Unmarshal([]byte(asJSON[3]), &third); err != nil || third.Status != 503 || third.Identity != "someone" {
		t.Errorf("%v: %s", err, asJSON[3])
	}
	p.run("reset")
	if got := p.run("count"); got != "0\n" {
		t.Errorf("count after reset: %q", got)
	}
}

func TestProgramServesIMDS(t *testing.T) {
	p := build(t)
	p.serve("-ca-out", p.file("ca.pem"), "-no-system", "-identity", "client,object,/arm/id")
	for query, want := range map[string]int{"": 400, "&client_id=client": 200, "&object_id=object": 200, "&msi_res_id=/arm/id": 200} {
		req, err := http.NewRequest(http.MethodGet, "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://storage.azure.com"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Metadata", "true")
		resp, err := azurefake.DialTransport(p.storage, p.imds, p.read("ca.pem")).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%q: status %d, want %d", query, resp.StatusCode, want)
		}
	}
}

func TestProgramRefuses(t *testing.T) {
	p := build(t)
	p.serve()
	for _, tc := range []struct {
		args []string
		exit int
		text string
	}{
		{[]string{"frobnicate"}, 2, "unknown command"},
		{[]string{"-frobnicate"}, 2, "flag provided but not defined"},
		{[]string{"extra-host"}, 2, "unknown command"},
		{[]string{"-host", host, "extra"}, 2, "takes 0 arguments"},
		{[]string{"-identity", ",x"}, 2, "CLIENT"},
		{[]string{"-app", "client,tenant"}, 2, "CLIENT,TENANT,SECRET"},
		{[]string{"-app", ",tenant,secret"}, 2, "CLIENT,TENANT,SECRET"},
		{[]string{"-app", "client,,secret,frobnicate"}, 2, "frobnicate"},
		{[]string{"-app", "client,,,cert=" + p.file("missing")}, 2, "missing"},
		{[]string{"-app", "client,,secret,authority=login.nowhere.test"}, 1, "login.nowhere.test"},
		{[]string{"-authority", "https://login.airgap.test"}, 1, "no host name"},
		{[]string{"-control", "127.0.0.1:0", "-az", p.file("missing")}, 1, "missing"},
		{[]string{"-control", "127.0.0.1:0", "-az-home", p.path}, 1, "not a directory"},
		{[]string{"federated", "-control", p.control}, 2, "takes 1 arguments"},
		{[]string{"federated", "-control", p.control, "nobody"}, 1, "nobody"},
		{[]string{"app", "-control", p.control}, 2, "takes 1 arguments"},
		{[]string{"app", "-control", p.control, "client"}, 2, "CLIENT,TENANT,SECRET"},
		{[]string{"app", "-control", p.control, "client,,secret,authority=login.nowhere.test"}, 1, "login.nowhere.test"},
		{[]string{"-etype", "3"}, 1, "etype 3"},
		{[]string{"-ca-cert", p.file("missing")}, 1, "missing"},
		{[]string{"order", "-control", p.control}, 2, "takes 1 arguments"},
		{[]string{"order", "-control", p.control, `{"target":"storage","stauts":503}`}, 1, "stauts"},
		{[]string{"order", "-control", p.control, `{"status":503}`}, 1, "target"},
		{[]string{"count", "-control", "127.0.0.1:1"}, 1, "refused"},
		{[]string{"answers"}, 0, "storage-firewall\n"},
		{[]string{"answers", "extra"}, 2, "takes 0 arguments"},
		{[]string{"order", "-control", p.control, `{"target":"storage","answer":"unheard-of"}`}, 1, "nor the absolute path of a file"},
		{[]string{"-h"}, 0, ""},
	} {
		out, err := p.try(tc.args...)
		code := 0
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			code = exit.ExitCode()
		}
		if code != tc.exit || !strings.Contains(out, tc.text) {
			t.Errorf("%v: exit %d, want %d: %s", tc.args, code, tc.exit, out)
		}
	}
}

// TestUnknownCommand runs in this process. That also makes the program a part of the test binary, without
// which go test would take an old result for a changed program: it does not see what a test builds.
func TestUnknownCommand(t *testing.T) {
	var usage usageError
	if err := run([]string{"frobnicate"}, io.Discard, io.Discard); !errors.As(err, &usage) {
		t.Errorf("got %v, want a usage error", err)
	}
}

func TestStatic(t *testing.T) {
	f, err := elf.Open(build(t).path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the program needs a dynamic linker")
		}
	}
}
