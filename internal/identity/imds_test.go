package identity

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

var machine = Identity{Kind: System}

// bench is a machine with a metadata service. The waits between tries are next to nothing.
func bench(t *testing.T, o azurefake.Options) (*azurefake.Fake, Options) {
	t.Helper()
	fake, err := azurefake.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	return fake, Options{Host: mine(), Cloud: endpoint.Public, Transport: fake.Transport(), IMDS: fake.Transport(), retryDelay: time.Microsecond}
}

func TestManagedIdentities(t *testing.T) {
	const object = "11111111-0000-4000-8000-000000000000"
	fake, o := bench(t, azurefake.Options{Identities: []azurefake.ManagedIdentity{{ClientID: guid, ObjectID: object, ResourceID: resourceID}}})
	for _, c := range []struct {
		id       Identity
		name     string
		object   string
		resource string
	}{
		{machine, "system", azurefake.SystemObjectID, "https://storage.azure.com"},
		{Identity{Kind: UserAssigned, ClientID: guid}, guid, object, "https://storage.azure.com"},
		{Identity{Kind: UserAssigned, ObjectID: object}, guid, object, "https://storage.azure.com"},
		{Identity{Kind: UserAssigned, ResourceID: resourceID, Resource: "https://storage.example"}, guid, object, "https://storage.example"},
		{Identity{Kind: System, Resource: "https://storage.example"}, "system", azurefake.SystemObjectID, "https://storage.example"},
	} {
		fake.ResetRequests()
		token, err := c.id.Token(t.Context(), o)
		if err != nil {
			t.Errorf("%s: %v", c.id, err)
			continue
		}
		claims, ok := ClaimsOf(token.Value)
		if !ok || claims.ObjectID != c.object || claims.Audience != c.resource || claims.TenantID != azurefake.TenantID ||
			claims.AppID == "" || !claims.Expiry.Equal(token.ExpiresOn) || time.Until(token.ExpiresOn) < time.Hour {
			t.Errorf("%s: claims %+v, ends %v", c.id, claims, token.ExpiresOn)
		}
		r := fake.Requests()
		if len(r) != 1 || r[0].Identity != c.name || r[0].Query.Get("resource") != c.resource || r[0].Proxied {
			t.Errorf("%s: %+v", c.id, r)
		}
	}
}

func TestResourceOfTheCloud(t *testing.T) {
	fake, o := bench(t, azurefake.Options{})
	for _, cloud := range []endpoint.Cloud{{}, {Resource: "https://storage.airgap.test"}} {
		fake.ResetRequests()
		o.Cloud = cloud
		if _, err := machine.Token(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		want := cloud.Resource
		if want == "" {
			want = "https://storage.azure.com"
		}
		if got := fake.Requests()[0].Query.Get("resource"); got != want {
			t.Errorf("asked for %s, want %s", got, want)
		}
	}
}

// TestNothingIsKept has two machines in one process, and asks each twice.
func TestNothingIsKept(t *testing.T) {
	seen := make(map[string]bool)
	for range 2 {
		fake, o := bench(t, azurefake.Options{})
		for range 2 {
			token, err := machine.Token(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			seen[token.Value.RevealString()] = true
		}
		if n := len(fake.Requests()); n != 2 {
			t.Errorf("%d requests", n)
		}
	}
	if len(seen) != 4 {
		t.Errorf("%d different tokens out of 4", len(seen))
	}
}

func TestIMDSRefusals(t *testing.T) {
	user := Identity{Kind: UserAssigned, ClientID: guid}
	for name, c := range map[string]struct {
		id       Identity
		order    azurefake.Order
		want     fault.Named
		requests int
		parts    []string // of the fault's text
	}{
		"no system identity": {
			machine,
			azurefake.Order{},
			fault.IdentityNotAssigned, 1,
			[]string{"identity system ", "400 invalid_request: Identity not found", "az vm identity assign -g <resource-group> -n <vm> --identities '[system]'"},
		},
		"not assigned": {
			user,
			azurefake.Order{},
			fault.IdentityNotAssigned, 1,
			[]string{guid, "Identity not found", `--identities $(az identity list --query "[?clientId=='` + guid + `'].id" -o tsv)`},
		},
		"no such object": {
			Identity{Kind: UserAssigned, ObjectID: guid},
			azurefake.Order{},
			fault.IdentityNotAssigned, 1,
			[]string{"object_id=" + guid, `[?principalId=='` + guid + `'].id`},
		},
		"no such resource": {
			Identity{Kind: UserAssigned, ResourceID: resourceID},
			azurefake.Order{},
			fault.IdentityNotAssigned, 1,
			[]string{"--identities '" + resourceID + "'"},
		},
		"several": {
			machine,
			azurefake.Order{Status: 400, Code: "invalid_request", Message: "Multiple user assigned identities exist, please specify the clientId"},
			fault.IdentitySeveral, 1,
			[]string{"400 invalid_request: Multiple user assigned identities exist", "no system-assigned one", "client_id=", "default_identity:", "az vm identity show -g <resource-group> -n <vm>"},
		},
		// As AzureAD/microsoft-authentication-library-for-dotnet issue 3979 quotes IMDS.
		"no such resource in the tenant": {
			machine,
			azurefake.Order{Status: 400, Code: "invalid_resource", Message: "AADSTS500011: The resource principal named https://storage.example was not found in the tenant named Contoso."},
			fault.EntraResource, 1,
			[]string{"IMDS answered 400 invalid_resource: AADSTS500011", "has no resource https://storage.azure.com", "leave resource= out"},
		},
		"resource by name":  {user, azurefake.Order{Status: 400, Code: "invalid_resource", Message: "No."}, fault.EntraResource, 1, nil},
		"other code":        {user, azurefake.Order{Status: 400, Code: "invalid_client", Message: "AADSTS700016: Application not found."}, fault.IMDSRefused, 1, []string{"AADSTS700016"}},
		"Entra is busy":     {machine, azurefake.Order{Status: 400, Code: "temporarily_unavailable", Message: "AADSTS90033: A transient error has occurred."}, fault.IMDSBusy, 7, nil},
		"forbidden":         {user, azurefake.Order{Status: 403, Code: "forbidden", Message: "Not from here"}, fault.IMDSRefused, 1, []string{"403 forbidden: Not from here"}},
		"not JSON":          {user, azurefake.Order{Status: 403, Body: new("Blocked\nby a proxy")}, fault.IMDSForeign, 1, []string{"403 Forbidden, it says: Blocked by a proxy"}},
		"unauthorized":      {machine, azurefake.Order{Status: 401}, fault.IMDSRefused, 1, []string{"401"}},
		"redirect":          {machine, azurefake.Order{Redirect: "http://169.254.169.254/elsewhere"}, fault.IMDSForeign, 1, []string{"302"}},
		"seen: several":     {machine, azurefake.Order{Answer: "imds-several"}, fault.IdentitySeveral, 1, []string{"client_id="}},
		"seen: updating":    {machine, azurefake.Order{Answer: "imds-updating"}, fault.IMDSBusy, 7, []string{"404"}},
		"seen: gone":        {machine, azurefake.Order{Answer: "imds-gone"}, fault.IMDSBusy, 7, []string{"410"}},
		"seen: NMI":         {user, azurefake.Order{Answer: "imds-pod-identity"}, fault.IMDSForeign, 1, []string{"404 Not Found, it says: no azure identity found for request clientID", "workload identity"}},
		"seen: other cloud": {machine, azurefake.Order{Answer: "imds-other-cloud"}, fault.IMDSForeign, 1, []string{"404 Not Found, Server: EC2ws, it says: 404 - Not Found"}},
		"seen: blocked":     {machine, azurefake.Order{Answer: "imds-blocked"}, fault.IMDSForeign, 1, []string{"403 Forbidden, Server: envoy, it says: RBAC: access denied", "network policy"}},
		"seen: proxy":       {machine, azurefake.Order{Answer: "proxy-unavailable"}, fault.IMDSForeign, 3, []string{"503 Service Unavailable, Server: squid/5.7"}},
		"seen: block page":  {machine, azurefake.Order{Answer: "proxy-blockpage"}, fault.IMDSForeign, 1, nil},
		"seen: portal":      {machine, azurefake.Order{Answer: "captive-portal"}, fault.IMDSForeign, 1, []string{"200 OK, Server: nginx, it says: Welcome"}},
		"404 for ever":      {machine, azurefake.Order{Status: 404}, fault.IMDSBusy, 7, []string{"404"}},
		"410 for ever":      {machine, azurefake.Order{Status: 410}, fault.IMDSBusy, 7, []string{"410"}},
		"429 for ever":      {machine, azurefake.Order{Status: 429, Message: "Too many requests"}, fault.IMDSBusy, 7, []string{"429", "Too many requests"}},
		"500 for ever":      {machine, azurefake.Order{Status: 500, Message: "Oops"}, fault.IMDSBusy, 7, []string{"500", "Oops"}},
		"503 for ever":      {user, azurefake.Order{Status: 503}, fault.IMDSBusy, 7, []string{"503"}},
		"drop for ever":     {machine, azurefake.Order{Drop: true}, fault.IMDSUnreachable, 3, []string{"EOF"}},
		"json":              {machine, azurefake.Order{Garbage: azurefake.GarbageJSON}, fault.TokenInvalid, 1, []string{"IMDS"}},
		"empty":             {machine, azurefake.Order{Garbage: azurefake.GarbageEmpty}, fault.TokenInvalid, 1, nil},
		"truncated":         {machine, azurefake.Order{Garbage: azurefake.GarbageTruncatedJSON}, fault.TokenInvalid, 1, nil},
		"huge":              {machine, azurefake.Order{Garbage: azurefake.GarbageHuge}, fault.TokenInvalid, 1, nil},
		"no token":          {machine, azurefake.Order{Body: new(`{"expires_on":"99999999999"}`)}, fault.TokenInvalid, 1, nil},
		"empty token":       {machine, azurefake.Order{Body: new(`{"access_token":"","expires_on":"99999999999"}`)}, fault.TokenInvalid, 1, nil},
		"evil token":        {machine, azurefake.Order{Body: new(`{"access_token":"a\r\nb","expires_on":"99999999999"}`)}, fault.TokenInvalid, 1, nil},
	} {
		none := c.order == azurefake.Order{}
		fake, o := bench(t, azurefake.Options{NoSystem: none})
		if !none {
			c.order.Target = "imds"
			fake.Order(c.order)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		token, err := c.id.Token(t.Context(), o)
		runtime.ReadMemStats(&after)
		if !fault.Is(err, c.want) || !token.Value.Empty() {
			t.Errorf("%s: %v, want %s", name, err, c.want)
			continue
		}
		if n := len(fake.Requests()); n != c.requests {
			t.Errorf("%s: %d requests, want %d", name, n, c.requests)
		}
		for _, part := range c.parts {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v lacks %q", name, err, part)
			}
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
			t.Errorf("%s: %d bytes allocated", name, used)
		}
	}
}

func TestIMDSRecovers(t *testing.T) {
	for _, status := range []int{404, 410, 429, 500, 502, 503} {
		fake, o := bench(t, azurefake.Options{})
		fake.Order(azurefake.Order{Target: "imds", Status: status, Times: 2})
		if _, err := machine.Token(t.Context(), o); err != nil || len(fake.Requests()) != 3 {
			t.Errorf("%d: %v after %d requests", status, err, len(fake.Requests()))
		}
	}
	fake, o := bench(t, azurefake.Options{})
	fake.Order(azurefake.Order{Target: "imds", Drop: true, Times: 2})
	fake.Order(azurefake.Order{Target: "imds", Spaces: true})
	if _, err := machine.Token(t.Context(), o); err != nil || len(fake.Requests()) != 3 {
		t.Errorf("dropped: %v after %d requests", err, len(fake.Requests()))
	}
}

func TestIMDSRetryAfter(t *testing.T) {
	fake, o := bench(t, azurefake.Options{})
	fake.Order(azurefake.Order{Target: "imds", Status: 429, RetryAfter: "1", Times: 1})
	start := time.Now()
	if _, err := machine.Token(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d < time.Second {
		t.Errorf("asked again after %v", d)
	}

	for header, limit := range map[string]time.Duration{"40": 30 * time.Second, "3600": 0} {
		fake, o := bench(t, azurefake.Options{})
		fake.Order(azurefake.Order{Target: "imds", Status: 429, RetryAfter: header})
		ctx, cancel := context.WithCancel(t.Context())
		if limit > 0 {
			ctx, cancel = context.WithTimeout(t.Context(), limit)
		}
		defer cancel()
		start := time.Now()
		_, err := machine.Token(ctx, o)
		f := fault.From(err)
		if f.ID() != fault.IMDSBusy.ID || !f.Retryable() || fmt.Sprint(f.RetryAfter.Seconds()) != header || len(fake.Requests()) != 1 {
			t.Errorf("%s: %v, retry after %v", header, err, f.RetryAfter)
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%s: waited %v", header, d)
		}
	}
}

func TestIMDSHangs(t *testing.T) {
	fake, o := bench(t, azurefake.Options{})
	fake.Order(azurefake.Order{Target: "imds", Hang: true})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // in which a busy machine gets its request through
	defer cancel()
	if _, err := machine.Token(ctx, o); !fault.Is(err, fault.IMDSUnreachable) || len(fake.Requests()) != 1 {
		t.Errorf("%v after %d requests", err, len(fake.Requests()))
	}
	if _, err := machine.Token(ctx, o); !fault.Is(err, fault.IMDSUnreachable) { // ctx has ended before
		t.Error(err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	go func() {
		_ = fake.WaitRequests(t.Context(), azurefake.TargetIMDS, 2)
		cancel()
	}()
	if _, err := machine.Token(ctx, o); !fault.Is(err, fault.Interrupted) {
		t.Error(err)
	}
}

func TestNoIMDS(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	tries := 0
	o := Options{retryDelay: time.Microsecond, IMDS: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr != "169.254.169.254:80" {
			t.Errorf("connects to %s", addr)
		}
		tries++
		var d net.Dialer
		return d.DialContext(ctx, network, l.Addr().String())
	}}}
	_, err = machine.Token(t.Context(), o)
	if !fault.Is(err, fault.IMDSUnreachable) || !strings.Contains(err.Error(), syscall.ECONNREFUSED.Error()) || tries != 3 {
		t.Errorf("%v after %d tries", err, tries)
	}
	if _, err := machine.Token(t.Context(), Options{}); !fault.Is(err, fault.Internal) {
		t.Errorf("without a transport: %v", err)
	}
}

func TestAttemptsBoundTheTries(t *testing.T) {
	for _, attempts := range []int{1, 3} {
		fake, o := bench(t, azurefake.Options{})
		fake.Order(azurefake.Order{Target: azurefake.TargetIMDS, Status: http.StatusServiceUnavailable})
		o.Attempts = attempts
		if _, err := machine.Token(t.Context(), o); err == nil {
			t.Errorf("%d: no error", attempts)
		}
		if n := len(fake.Requests()); n != attempts {
			t.Errorf("%d requests, at most %d are allowed", n, attempts)
		}
	}
}

// TestMachineOfTheFix: a node of a scale set has its identities from the set, and a name that no shell takes is
// left out.
func TestMachineOfTheFix(t *testing.T) {
	for instance, want := range map[string]string{
		"": "az vm identity assign -g <resource-group> -n <vm> --identities '[system]'",
		`{"resourceGroupName":"rg","name":"web-1","vmScaleSetName":""}`:                            "az vm identity assign -g rg -n web-1 --identities '[system]'",
		`{"resourceGroupName":"MC_rg(1)","name":"aks-np_3","vmScaleSetName":"aks-nodepool1-vmss"}`: "az vmss identity assign -g 'MC_rg(1)' -n aks-nodepool1-vmss --identities '[system]'",
		`{"resourceGroupName":"a;reboot","name":"$(reboot)","vmScaleSetName":""}`:                  "az vm identity assign -g <resource-group> -n <vm> --identities '[system]'",
		`no JSON`: "az vm identity assign -g <resource-group> -n <vm>",
	} {
		fake, o := bench(t, azurefake.Options{NoSystem: true, Instance: instance})
		f := refuses(t, machine, o, fault.IdentityNotAssigned, want)
		if len(fake.Requests()) != 1 {
			t.Errorf("%s: %v after %d requests", instance, f, len(fake.Requests()))
		}
	}
}

// A wait until a moment is measured by the machine's clock where the answer has none.
func TestRetryAfterByOurClock(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	h := mine()
	h.Now = func() time.Time { return now }
	busy := roundTrip(func(*http.Request) (*http.Response, error) {
		a := answer(http.StatusTooManyRequests, "")
		a.Header.Set("Retry-After", now.Add(40*time.Second).Format(http.TimeFormat))
		return a, nil
	})
	_, err := Identity{Kind: System}.Token(t.Context(), Options{Host: h, IMDS: busy, Attempts: 1, arc: arcPlaces{program: filepath.Join(t.TempDir(), "none")}})
	if f := fault.From(err); f.RetryAfter != 40*time.Second {
		t.Errorf("%v: after %s", f, f.RetryAfter)
	}
}
