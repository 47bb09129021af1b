package azurefake_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

// installAz starts a fake and installs az, with a home folder of one who is logged in.
func installAz(t *testing.T) (f *azurefake.Fake, az, home string) {
	t.Helper()
	f = start(t, azurefake.Options{Control: true})
	dir, home := t.TempDir(), t.TempDir()
	if err := f.InstallAz(dir); err != nil {
		t.Fatal(err)
	}
	if err := f.LoginAz(home); err != nil {
		t.Fatal(err)
	}
	return f, filepath.Join(dir, "az"), home
}

// runAz runs az with an environment that has no PATH.
func runAz(t *testing.T, az string, env []string, args ...string) (stdout, stderr string, exit int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(az, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &out, &errs
	err := cmd.Run()
	var status *exec.ExitError
	if err != nil && !errors.As(err, &status) {
		t.Fatalf("%v; az needs /bin/bash", err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestAzClient(t *testing.T) {
	f, az, home := installAz(t)
	t.Setenv("PATH", filepath.Dir(az)+":"+os.Getenv("PATH"))
	t.Setenv("HOME", home)
	for name, tc := range map[string]struct {
		options azidentity.AzureCLICredentialOptions
		want    string // of the error; "" is a token
	}{
		"default":              {azidentity.AzureCLICredentialOptions{}, ""},
		"tenant":               {azidentity.AzureCLICredentialOptions{TenantID: azurefake.TenantID}, ""},
		"subscription":         {azidentity.AzureCLICredentialOptions{Subscription: azurefake.AzSubscriptionID}, ""},
		"another tenant":       {azidentity.AzureCLICredentialOptions{TenantID: otherTenant}, "AADSTS90002"},
		"another subscription": {azidentity.AzureCLICredentialOptions{Subscription: "another one"}, "The subscription of 'another one' doesn't exist"},
		"both":                 {azidentity.AzureCLICredentialOptions{TenantID: azurefake.TenantID, Subscription: azurefake.AzSubscriptionID}, "only one of subscription and tenant"},
	} {
		credential, err := azidentity.NewAzureCLICredential(&tc.options)
		if err != nil {
			t.Fatal(err)
		}
		f.ResetRequests()
		token, err := credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}})
		if tc.want != "" {
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: %v, want %s", name, err, tc.want)
			}
			continue
		}
		if err != nil || !token.ExpiresOn.Equal(noon.Truncate(time.Second).Add(time.Hour)) {
			t.Errorf("%s: %v, expires %v", name, err, token.ExpiresOn)
		}
		resp, _ := do(t, f, newExchange(t, exchangeTo, token.Token))
		issued, spent := f.Requests()[0], f.Requests()[1]
		if resp.StatusCode != 200 || issued.TokenID != spent.TokenID || issued.Target != "az" || issued.Identity != azurefake.UserObjectID || spent.Identity != azurefake.UserObjectID {
			t.Errorf("%s: issued %+v, spent %+v", name, issued, spent)
		}
		if issued.Query.Get("tenant") != tc.options.TenantID || issued.Query.Get("resource") != "https://storage.azure.com" {
			t.Errorf("%s: logged as %+v", name, issued)
		}
	}
}

func TestAzOutput(t *testing.T) {
	_, az, home := installAz(t)
	env := []string{"HOME=" + home}
	for name, tc := range map[string]struct {
		args []string
		want map[string]bool
	}{
		"subscription": {nil, map[string]bool{"accessToken": true, "expiresOn": true, "expires_on": true, "subscription": true, "tenant": true, "tokenType": true}},
		"tenant":       {[]string{"--tenant", azurefake.TenantID}, map[string]bool{"subscription": false, "tenant": true}},
	} {
		args := append([]string{"account", "get-access-token", "-o", "json", "--resource", "https://storage.azure.com"}, tc.args...)
		out, errs, exit := runAz(t, az, env, args...)
		var a map[string]any
		if err := json.Unmarshal([]byte(out), &a); err != nil || errs != "" || exit != 0 {
			t.Fatalf("%s: %v, exit %d: %s%s", name, err, exit, out, errs)
		}
		for key, want := range tc.want {
			if _, has := a[key]; has != want {
				t.Errorf("%s: %s is there: %v", name, key, has)
			}
		}
		on := noon.Truncate(time.Second).Add(time.Hour)
		if local, err := time.ParseInLocation("2006-01-02 15:04:05.000000", a["expiresOn"].(string), time.Local); err != nil || !local.Equal(on) || a["expires_on"] != float64(on.Unix()) {
			t.Errorf("%s: %v, expiresOn %v, expires_on %v", name, err, a["expiresOn"], a["expires_on"])
		}
	}
}

func TestAzFailures(t *testing.T) {
	f, az, home := installAz(t)
	right := []string{"account", "get-access-token", "-o", "json", "--resource", "https://storage.azure.com"}
	loggedIn, stranger := []string{"HOME=" + home}, []string{"HOME=" + t.TempDir()}
	for name, tc := range map[string]struct {
		env  []string
		args []string
		exit int
		text string
	}{
		"not logged in":     {stranger, right, 1, "ERROR: Please run 'az login' to setup account.\n"},
		"another folder":    {[]string{"HOME=" + home, "AZURE_CONFIG_DIR=/nowhere"}, right, 1, "ERROR: Please run 'az login' to setup account.\n"},
		"resource":          {loggedIn, []string{"account", "get-access-token", "--resource", "https://x/ü?a&b=cüüü"}, 1, "ERROR: AADSTS500011: The resource principal named https://x/ü?a&b=cüüü was"},
		"no resource":       {loggedIn, []string{"account", "get-access-token"}, 1, "AADSTS500011"},
		"command":           {loggedIn, []string{"group", "list"}, 2, "ERROR: 'group list' is misspelled or not recognized by the system.\n"},
		"nothing":           {loggedIn, nil, 2, "misspelled"},
		"option":            {loggedIn, append(right, "--frobnicate", "x"), 2, "ERROR: unrecognized arguments: --frobnicate x\n"},
		"option's argument": {loggedIn, append(right, "--tenant"), 2, "expected one argument"},
		"output":            {loggedIn, []string{"account", "get-access-token", "-o", "tsv"}, 2, "invalid choice: 'tsv'"},
	} {
		out, errs, exit := runAz(t, az, tc.env, tc.args...)
		if exit != tc.exit || !strings.Contains(errs, tc.text) || out != "" {
			t.Errorf("%s: exit %d: %s%s", name, exit, out, errs)
		}
	}
	if out, _, exit := runAz(t, az, []string{"HOME=/nowhere", "AZURE_CONFIG_DIR=" + filepath.Join(home, ".azure")}, right...); exit != 0 || !strings.Contains(out, "accessToken") {
		t.Errorf("with AZURE_CONFIG_DIR: exit %d", exit)
	}
	f.Close()
	if out, errs, exit := runAz(t, az, loggedIn, right...); exit != 1 || out != "" || errs == "" {
		t.Errorf("without a fake: exit %d: %s", exit, out)
	}
}

func TestAzOrders(t *testing.T) {
	f, az, home := installAz(t)
	for name, tc := range map[string]struct {
		order azurefake.Order
		exit  int
		text  string
	}{
		"code":      {azurefake.Order{Code: "AADSTS70043", Message: "The refresh token has expired."}, 1, "ERROR: AADSTS70043: The refresh token has expired.\n"},
		"dropped":   {azurefake.Order{Drop: true}, 1, ""},
		"not JSON":  {azurefake.Order{Garbage: azurefake.GarbageJSON}, 0, "<html>"},
		"truncated": {azurefake.Order{Garbage: azurefake.GarbageTruncatedJSON}, 0, `{"accessToken":"`},
		"lifetime":  {azurefake.Order{Lifetime: time.Minute}, 0, `"expires_on":1795435260,`},
		"spaces":    {azurefake.Order{Spaces: true}, 0, "\\u0065xpires_on\" :\r\n 1795438800"},
	} {
		f.ClearOrders()
		tc.order.Target = azurefake.TargetAz
		f.Order(tc.order)
		out, errs, exit := runAz(t, az, []string{"HOME=" + home}, "account", "get-access-token", "--resource", "https://storage.azure.com")
		if exit != tc.exit || !strings.Contains(out+errs, tc.text) || exit == 0 && errs != "" || exit != 0 && out != "" {
			t.Errorf("%s: exit %d: %s%s", name, exit, out, errs)
		}
	}
}

func TestInstallAzRefuses(t *testing.T) {
	if err := start(t, azurefake.Options{}).InstallAz(t.TempDir()); err == nil || !strings.Contains(err.Error(), "control API") {
		t.Errorf("without the control API: %v", err)
	}
	f := start(t, azurefake.Options{Control: true})
	missing := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(missing, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if f.InstallAz(missing) == nil || f.LoginAz(missing) == nil {
		t.Error("it can write below a file")
	}
}
