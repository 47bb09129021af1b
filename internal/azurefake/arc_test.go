package azurefake_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

const arcURL = "http://127.0.0.1:40342/metadata/identity/oauth2/token?api-version=2020-06-01&resource=https://storage.azure.com"

func startArc(t *testing.T, o azurefake.Options) (f *azurefake.Fake, folder string) {
	t.Helper()
	folder = filepath.Join(t.TempDir(), "tokens")
	o.Arc, o.ArcKeyFolder = true, folder
	return start(t, o), folder
}

func newArc(t *testing.T, url, key string) *http.Request {
	t.Helper()
	req := newGet(t, url)
	req.Header.Set("Metadata", "true")
	if key != "" {
		req.Header.Set("Authorization", "Basic "+key)
	}
	return req
}

// challenged makes the first request and reads the key that it names.
func challenged(t *testing.T, f *azurefake.Fake, folder string) (key string) {
	t.Helper()
	resp, body := do(t, f, newArc(t, arcURL, ""))
	path, ok := strings.CutPrefix(resp.Header.Get("WWW-Authenticate"), "Basic realm=")
	if resp.StatusCode != 401 || !ok || filepath.Dir(path) != folder || filepath.Ext(path) != ".key" || len(filepath.Base(path)) != 40 {
		t.Fatalf("status %d, headers %v: %s", resp.StatusCode, resp.Header, body)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o007 != 0 || len(content) < 32 || len(content) > 4096 {
		t.Errorf("%v, mode %v, %d bytes", err, info.Mode(), len(content))
	}
	return string(content)
}

func keyFiles(t *testing.T, folder string) int {
	t.Helper()
	list, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestArc(t *testing.T) {
	f, folder := startArc(t, azurefake.Options{})
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("%v, %v", err, info)
	}
	key := challenged(t, f, folder)
	f.ResetRequests()
	resp, body := do(t, f, newArc(t, arcURL, key))
	if resp.StatusCode != 200 || keyFiles(t, folder) != 0 {
		t.Fatalf("status %d: %s; %d key files", resp.StatusCode, body, keyFiles(t, folder))
	}
	checkToken(t, f, body, "system")
	if got := f.Requests()[0]; got.Target != "arc" || got.Identity != "system" || got.Status != 200 || got.TokenID == "" {
		t.Errorf("logged as %+v", got)
	}
	if resp, _ := do(t, f, newArc(t, arcURL, key)); resp.StatusCode != 401 {
		t.Errorf("a key that was used: status %d", resp.StatusCode)
	}
	if resp, _ := do(t, f, newArc(t, arcURL, "wrong")); resp.StatusCode != 401 {
		t.Errorf("a wrong key: status %d", resp.StatusCode)
	}
	if n := keyFiles(t, folder); n != 2 {
		t.Errorf("%d key files, want 2", n)
	}
	f.Close()
	if n := keyFiles(t, folder); n != 0 {
		t.Errorf("%d key files after Close", n)
	}
}

func TestArcChecks(t *testing.T) {
	f, folder := startArc(t, azurefake.Options{NoSystem: true})
	for name, tc := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"no header": {func(r *http.Request) { r.Header.Del("Metadata") }, 400},
		"version":   {func(r *http.Request) { r.URL.RawQuery = "api-version=2018-02-01&resource=x" }, 400},
		"old":       {func(r *http.Request) { r.URL.RawQuery = "api-version=2019-11-01&resource=x" }, 401},
		"resource":  {func(r *http.Request) { r.URL.RawQuery = "api-version=2020-06-01" }, 400},
		"path":      {func(r *http.Request) { r.URL.Path = "/" }, 404},
		"address":   {func(r *http.Request) { r.URL.Host = f.ArcAddr() }, 401},
		"localhost": {func(r *http.Request) { r.URL.Host = "localhost:40342" }, 401},
		"identity":  {func(r *http.Request) { r.Header.Set("Authorization", "Basic "+challenged(t, f, folder)) }, 400},
	} {
		req := newArc(t, arcURL, "")
		tc.change(req)
		if resp, body := do(t, f, req); resp.StatusCode != tc.status {
			t.Errorf("%s: status %d: %s", name, resp.StatusCode, body)
		}
	}
}

// TestArcOrders: an order is not spent on the request that only brings the challenge.
func TestArcOrders(t *testing.T) {
	f, folder := startArc(t, azurefake.Options{})
	f.Order(azurefake.Order{Target: azurefake.TargetArc, Status: 503, RetryAfter: "3", Times: 1})
	key := challenged(t, f, folder)
	if resp, _ := do(t, f, newArc(t, arcURL, key)); resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "3" {
		t.Errorf("status %d", resp.StatusCode)
	}
	f.Order(azurefake.Order{Target: azurefake.TargetArc, Lifetime: time.Minute})
	if _, body := do(t, f, newArc(t, arcURL, key)); !strings.Contains(string(body), `"expires_in":"60"`) {
		t.Errorf("%s", body)
	}
}

func TestArcIsAskedFor(t *testing.T) {
	f := start(t, azurefake.Options{})
	if f.ArcAddr() != "" {
		t.Errorf("it listens on %s", f.ArcAddr())
	}
	if resp, err := f.Transport().RoundTrip(newArc(t, arcURL, "")); err == nil {
		resp.Body.Close()
		t.Errorf("status %d", resp.StatusCode)
	}
	g := start(t, azurefake.Options{ArcAddr: "127.0.0.1:0", ArcKeyFolder: t.TempDir()})
	resp, err := azurefake.DialTransport(g.StorageAddr(), g.IMDSAddr(), g.CA(), g.ArcAddr()).RoundTrip(newArc(t, arcURL, ""))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 401 {
		t.Errorf("status %d", resp.StatusCode)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]azurefake.Options{
		"folder":  {Arc: true, ArcKeyFolder: filepath.Join(file, "x")},
		"address": {ArcAddr: "127.0.0.1:notaport", ArcKeyFolder: t.TempDir()},
	} {
		if f, err := azurefake.Start(o); err == nil {
			f.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

// arcChild is the variable that makes this test binary a child of TestArcClient; its value is what
// the child shall do.
const arcChild = "AZUREFAKE_TEST_ARC"

func TestMain(m *testing.M) {
	// Whoever takes local time for UTC is found out. It is set for good, because servers' goroutines
	// that read it may outlive the test that started them.
	time.Local = time.FixedZone("", 5400)
	if how := os.Getenv(arcChild); how != "" {
		if err := arcClient(how, os.Stdout); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestArcClient gets a token with azidentity, in a process with folders of its own: the client takes
// keys from /var/opt/azcmagent/tokens only, goes by the environment and keeps tokens for its process.
func TestArcClient(t *testing.T) {
	needs.Capability(t, "CAP_SYS_ADMIN")
	for how, want := range map[string]string{
		"environment": "token of 24h",
		"agent":       "token of 24h",
		"folder":      "invalid file path",
		"user":        "did not confirm",
		"refused":     "AZF-ORDERED",
	} {
		t.Run(how, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = []string{arcChild + "=" + how, "TMPDIR=" + t.TempDir()}
			cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
			out, err := cmd.CombinedOutput()
			if !strings.Contains(string(out), want) || (err == nil) != strings.HasPrefix(want, "token") {
				t.Errorf("%v: %s, want %s", err, out, want)
			}
		})
	}
}

// arcClient is the child. Its mounts are seen by nobody else.
func arcClient(how string, out io.Writer) error {
	for _, folder := range []string{"/var/opt", "/opt"} {
		if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, ""); err != nil {
			return fmt.Errorf("mount over %s, which takes root and the folder: %w", folder, err)
		}
	}
	o := azurefake.Options{Arc: true}
	if how == "folder" {
		o.ArcKeyFolder = "/var/opt/elsewhere"
	}
	f, err := azurefake.Start(o)
	if err != nil {
		return err
	}
	defer f.Close()
	if how == "refused" {
		f.Order(azurefake.Order{Target: azurefake.TargetArc, Status: 400, Code: "AZF-ORDERED"})
	}
	if err := setArc(how, f); err != nil {
		return err
	}
	return printToken(how, f, out)
}

// setArc makes the client believe that this machine has the agent: by the environment, or by the
// agent's program.
func setArc(how string, f *azurefake.Fake) error {
	if how == "agent" {
		if err := os.MkdirAll("/opt/azcmagent/bin", 0o755); err != nil {
			return err
		}
		return os.WriteFile("/opt/azcmagent/bin/himds", nil, 0o755)
	}
	if err := os.Setenv("IMDS_ENDPOINT", "http://"+f.ArcAddr()); err != nil {
		return err
	}
	return os.Setenv("IDENTITY_ENDPOINT", "http://"+f.ArcAddr()+"/metadata/identity/oauth2/token")
}

func printToken(how string, f *azurefake.Fake, out io.Writer) error {
	o := azidentity.ManagedIdentityCredentialOptions{ClientOptions: azcore.ClientOptions{
		Transport: &http.Client{Transport: f.Transport()}, Retry: policy.RetryOptions{MaxRetries: -1},
	}}
	if how == "user" {
		o.ID = azidentity.ClientID(backupID)
	}
	credential, err := azidentity.NewManagedIdentityCredential(&o)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}})
	if err != nil {
		return err
	}
	list := f.Requests()
	if len(list) != 2 || list[0].Status != 401 || list[1].Status != 200 {
		return fmt.Errorf("requests %+v", list)
	}
	_, err = fmt.Fprintf(out, "token of %.0fh\n", time.Until(token.ExpiresOn).Hours())
	return err
}
