package azurefake_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

const (
	appID       = "a9900000-0000-4000-8000-000000000001"
	appOID      = "a9900000-0000-4000-8000-000000000002"
	appSecret   = "s3cr3t~value"
	govID       = "a9900000-0000-4000-8000-000000000003"
	otherTenant = "7e0a0000-0000-4000-8000-00000000000f"
	otherID     = "a9900000-0000-4000-8000-000000000004"
	airgapHost  = "login.airgap.test"
)

// apps are an app with all credentials in every cloud, one in the US Government cloud alone with a
// tenant of its own, and one in the first one's tenant.
func apps(t *testing.T) []azurefake.App {
	return []azurefake.App{
		{ClientID: appID, ObjectID: appOID, Secret: appSecret, CertPEM: goodCert(t).pem, Federated: true},
		{ClientID: govID, TenantID: otherTenant, Secret: appSecret, Authority: "login.usgovcloudapi.net"},
		{ClientID: otherID, Secret: "other", Federated: true},
	}
}

// startEntra starts a fake with the apps and, since certificate credentials go by it, the real clock.
// One of the additional authorities is not, and stays in its cloud.
func startEntra(t *testing.T) *azurefake.Fake {
	t.Helper()
	return start(t, azurefake.Options{Apps: apps(t), Authorities: []string{airgapHost, "Login.USGovCloudAPI.net"}, Now: time.Now})
}

// clientOptions are those of azidentity for an authority; there are no retries.
func clientOptions(f *azurefake.Fake, authority string) azcore.ClientOptions {
	return azcore.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: authority},
		Transport: &http.Client{Transport: f.Transport()},
		Retry:     policy.RetryOptions{MaxRetries: -1},
	}
}

// client is one way of azidentity to get a token for an app.
type client struct {
	authority, tenant, id string
	secret                string
	tokenFile             string
	cert                  *x509.Certificate
	key                   crypto.PrivateKey
	noDiscovery           bool // for authorities that the public ones do not know
}

func (c client) credential(f *azurefake.Fake) (azcore.TokenCredential, error) {
	o := clientOptions(f, c.authority)
	switch {
	case c.secret != "":
		return azidentity.NewClientSecretCredential(c.tenant, c.id, c.secret, &azidentity.ClientSecretCredentialOptions{
			ClientOptions: o, DisableInstanceDiscovery: c.noDiscovery,
		})
	case c.tokenFile != "":
		return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientOptions: o, DisableInstanceDiscovery: c.noDiscovery, TenantID: c.tenant, ClientID: c.id, TokenFilePath: c.tokenFile,
		})
	}
	return azidentity.NewClientCertificateCredential(c.tenant, c.id, []*x509.Certificate{c.cert}, c.key, &azidentity.ClientCertificateCredentialOptions{
		ClientOptions: o, DisableInstanceDiscovery: c.noDiscovery,
	})
}

func (c client) token(t *testing.T, f *azurefake.Fake) (azcore.AccessToken, error) {
	t.Helper()
	credential, err := c.credential(f)
	if err != nil {
		t.Fatal(err)
	}
	return credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}})
}

// tokenFile writes a federated token as the kubelet does.
func tokenFile(t *testing.T, token string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(name, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestEntraIssues(t *testing.T) {
	f := startEntra(t)
	good := goodCert(t)
	for name, c := range map[string]client{
		"secret":               {authority: "https://login.microsoftonline.com/", tenant: azurefake.TenantID, id: appID, secret: appSecret},
		"secret, alias":        {authority: "https://login.windows.net", tenant: azurefake.TenantID, id: appID, secret: appSecret},
		"secret, US":           {authority: "https://login.microsoftonline.us", tenant: otherTenant, id: govID, secret: appSecret},
		"secret, China":        {authority: "https://login.chinacloudapi.cn", tenant: azurefake.TenantID, id: appID, secret: appSecret},
		"secret, China's new":  {authority: "https://login.partner.microsoftonline.cn", tenant: azurefake.TenantID, id: appID, secret: appSecret},
		"secret, air-gapped":   {authority: "https://" + airgapHost, tenant: azurefake.TenantID, id: appID, secret: appSecret, noDiscovery: true},
		"certificate":          {authority: "https://login.microsoftonline.com", tenant: azurefake.TenantID, id: appID, cert: good.cert, key: good.key},
		"certificate, US":      {authority: "https://login.microsoftonline.us", tenant: azurefake.TenantID, id: appID, cert: good.cert, key: good.key},
		"workload":             {authority: "https://login.microsoftonline.com", tenant: azurefake.TenantID, id: appID, tokenFile: tokenFile(t, f.FederatedToken(appID))},
		"client in upper case": {authority: "https://login.microsoftonline.com", tenant: strings.ToUpper(azurefake.TenantID), id: strings.ToUpper(appID), secret: appSecret},
	} {
		t.Run(name, func(t *testing.T) {
			f.ResetRequests()
			token, err := c.token(t, f)
			if err != nil {
				t.Fatal(err)
			}
			if left := time.Until(token.ExpiresOn); left > time.Hour || left < 50*time.Minute {
				t.Errorf("the token lasts %v", left)
			}
			list := f.Requests()
			issued := list[len(list)-1]
			if issued.Target != "entra" || issued.Host != strings.Trim(strings.TrimPrefix(c.authority, "https:"), "/") {
				t.Errorf("logged as %+v", issued)
			}
			if issued.Method != http.MethodPost || !strings.EqualFold(issued.Identity, c.id) || issued.Status != 200 {
				t.Errorf("logged as %+v", issued)
			}
			resp, body := do(t, f, newExchange(t, exchangeTo, token.Token))
			list = f.Requests()
			spent := list[len(list)-1]
			if resp.StatusCode != 200 || spent.TokenID != issued.TokenID || !strings.EqualFold(spent.Identity, c.id) {
				t.Errorf("status %d %s, issued %+v, spent %+v", resp.StatusCode, body, issued, spent)
			}
		})
	}
}

func TestEntraClaims(t *testing.T) {
	f := startEntra(t)
	for name, tc := range map[string]struct {
		id, tenant, secret, oid string
	}{
		"object id given":   {appID, azurefake.TenantID, appSecret, appOID},
		"object id follows": {otherID, azurefake.TenantID, "other", ""},
	} {
		token, err := client{authority: "https://login.microsoftonline.com", tenant: tc.tenant, id: tc.id, secret: tc.secret}.token(t, f)
		if err != nil {
			t.Fatal(err)
		}
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token.Token, ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		var c struct{ Aud, Oid, Appid, Tid string }
		if err := json.Unmarshal(payload, &c); err != nil {
			t.Fatal(err)
		}
		if c.Aud != "https://storage.azure.com" || c.Appid != tc.id || c.Tid != tc.tenant || len(c.Oid) != 36 || tc.oid != "" && c.Oid != tc.oid {
			t.Errorf("%s: %s", name, payload)
		}
	}
}

// TestEntraRefusesClients has what goes wrong with a real client, from its error text.
func TestEntraRefusesClients(t *testing.T) {
	f := startEntra(t)
	bad := otherCert(t)
	superseded := tokenFile(t, f.FederatedToken(appID))
	f.FederatedToken(appID)
	const public, us = "https://login.microsoftonline.com", "https://login.microsoftonline.us"
	for name, tc := range map[string]struct {
		client client
		want   string
	}{
		"wrong secret":             {client{authority: public, tenant: azurefake.TenantID, id: appID, secret: "wrong"}, "AADSTS7000215"},
		"other's secret":           {client{authority: public, tenant: azurefake.TenantID, id: otherID, secret: appSecret}, "AADSTS7000215"},
		"unknown client":           {client{authority: public, tenant: azurefake.TenantID, id: "nobody", secret: appSecret}, "AADSTS700016"},
		"unknown tenant":           {client{authority: public, tenant: "nowhere", id: appID, secret: appSecret}, "AADSTS90002"},
		"tenant of another cloud":  {client{authority: public, tenant: otherTenant, id: govID, secret: appSecret}, "AADSTS90002"},
		"client of another tenant": {client{authority: us, tenant: azurefake.TenantID, id: govID, secret: appSecret}, "AADSTS700016"},
		"wrong certificate":        {client{authority: public, tenant: azurefake.TenantID, id: appID, cert: bad.cert, key: bad.key}, "AADSTS700027"},
		"no certificate":           {client{authority: public, tenant: azurefake.TenantID, id: otherID, cert: bad.cert, key: bad.key}, "AADSTS700027"},
		"superseded token":         {client{authority: public, tenant: azurefake.TenantID, id: appID, tokenFile: superseded}, "AADSTS700024"},
		"other's token":            {client{authority: public, tenant: azurefake.TenantID, id: appID, tokenFile: tokenFile(t, f.FederatedToken(otherID))}, "AADSTS70021"},
		"malformed token":          {client{authority: public, tenant: azurefake.TenantID, id: appID, tokenFile: tokenFile(t, "token")}, "AADSTS50027"},
		"air-gapped, discovered":   {client{authority: "https://" + airgapHost, tenant: azurefake.TenantID, id: appID, secret: appSecret}, "invalid_instance"},
		"no authority":             {client{authority: "https://login.nowhere.test", tenant: azurefake.TenantID, id: appID, secret: appSecret, noDiscovery: true}, "404"},
	} {
		if token, err := tc.client.token(t, f); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %q, %v, want %s", name, token.Token, err, tc.want)
		}
	}
}

// TestFederatedToken follows a workload whose token file is replaced.
func TestFederatedToken(t *testing.T) {
	f := startEntra(t)
	name := tokenFile(t, f.FederatedToken(strings.ToUpper(appID)))
	workload := client{authority: "https://login.microsoftonline.com", tenant: azurefake.TenantID, id: appID, tokenFile: name}
	if _, err := workload.token(t, f); err != nil {
		t.Fatal(err)
	}
	next := f.FederatedToken(appID)
	if _, err := workload.token(t, f); err == nil || !strings.Contains(err.Error(), "AADSTS700024") {
		t.Errorf("superseded: %v", err)
	}
	if err := os.WriteFile(name, []byte(next), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := workload.token(t, f); err != nil {
		t.Error(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("there is a federated token for an app that trusts none")
		}
	}()
	f.FederatedToken(govID)
}

// TestSetApp replaces an app's secret.
func TestSetApp(t *testing.T) {
	f := startEntra(t)
	if err := f.SetApp(azurefake.App{ClientID: strings.ToUpper(appID), Secret: "new"}); err != nil {
		t.Fatal(err)
	}
	for secret, works := range map[string]bool{"new": true, appSecret: false} {
		_, err := client{authority: "https://login.microsoftonline.com", tenant: azurefake.TenantID, id: appID, secret: secret}.token(t, f)
		if (err == nil) != works {
			t.Errorf("%s: %v", secret, err)
		}
	}
	for name, a := range map[string]azurefake.App{
		"no client id":      {Secret: "x"},
		"unknown authority": {ClientID: "x", Authority: "login.nowhere.test"},
		"no certificate":    {ClientID: "x", CertPEM: []byte("no PEM")},
		"damaged":           {ClientID: "x", CertPEM: []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")},
	} {
		if err := f.SetApp(a); err == nil {
			t.Errorf("%s: no error", name)
		}
		if f, err := azurefake.Start(azurefake.Options{Apps: []azurefake.App{a}}); err == nil {
			f.Close()
			t.Errorf("%s: no error from Start", name)
		}
	}
}

func TestAuthorities(t *testing.T) {
	for name, o := range map[string]azurefake.Options{
		"URL":     {Authorities: []string{"https://login.airgap.test"}},
		"port":    {Authorities: []string{"login.airgap.test:443"}},
		"empty":   {Authorities: []string{""}},
		"storage": {Authorities: []string{host}, Hosts: []string{host}},
	} {
		if f, err := azurefake.Start(o); err == nil {
			f.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

// TestEntraHang: a client that gives up is not kept, nor is Close.
func TestEntraHang(t *testing.T) {
	f := startEntra(t)
	f.Order(azurefake.Order{Target: azurefake.TargetEntra, Hang: true})
	credential, err := client{authority: "https://login.microsoftonline.com", tenant: azurefake.TenantID, id: appID, secret: appSecret}.credential(f)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}})
		done <- err
	}()
	if err := f.WaitRequests(t.Context(), azurefake.TargetEntra, 2); err != nil { // the configuration and the token
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("there is a token")
	}
}
