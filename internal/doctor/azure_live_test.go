package doctor

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

// azureMachine is a healthy machine with an Azure and a daemon of its own.
type azureMachine struct {
	fake *azurefake.Fake
	opts Options
}

// keeper is a daemon.
type keeper struct{ status control.Status }

func (k keeper) Status() control.Status { return k.status }
func (keeper) Refresh(context.Context, string) ([]control.Outcome, error) {
	return nil, nil
}
func (keeper) WriteMetrics(io.Writer) {}

func start(t testing.TB, files map[string]string, o azurefake.Options, status *control.Status) *azureMachine {
	t.Helper()
	o.Hosts = []string{acct, otherAcct}
	o.Now = func() time.Time { return noon }
	fake, err := azurefake.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	files["proc/self/mountinfo"] = files["proc/1/mountinfo"]
	root := build(t, files)
	if status != nil {
		serve(t, filepath.Join(root, control.DefaultPath), keeper{*status})
	}
	return &azureMachine{fake, Options{
		Host: machine(root), asLive: true, Lookup: usualNames(), Dial: accepting,
		Transport: fake.Transport(), IMDS: fake.Transport(), Kernel: silence{},
	}}
}

// serve runs a daemon until the test ends, and returns when it answers.
func serve(t testing.TB, path string, k keeper) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var failed error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		failed = control.Serve(ctx, host.Real().Trusting(os.Geteuid()), path, k)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		if failed != nil {
			t.Error(failed)
		}
	})
	for {
		if _, err := control.NewClient(path).Status(t.Context()); err == nil {
			return
		}
		select {
		case <-ended:
			t.FailNow() // the cleanup says why
		default:
		}
	}
}

func running() *control.Status {
	return &control.Status{PID: 7, Active: true, Started: noon.Add(-time.Hour), Endpoints: []control.Endpoint{{Host: acct, State: control.Fresh, TicketEnd: noon.Add(time.Hour)}}}
}

func TestHealthyLive(t *testing.T) {
	m := start(t, healthyFiles(), azurefake.Options{}, running())
	r := reported(t, m.opts)
	onlyFound(t, r)
	noSecrets(t, r)
	if r.Exit != Healthy || r.Skipped != 0 {
		t.Errorf("exit %d, skipped %d\n%s", r.Exit, r.Skipped, text(r))
	}
	said := strings.Join(checked(t, r, "identity", OK).Evidence, "\n")
	for _, want := range []string{"https://storage.azure.com", azurefake.SystemObjectID, azurefake.TenantID, "in 24h0m0s"} {
		if !strings.Contains(said, want) {
			t.Errorf("%s is not in %s", want, said)
		}
	}
	if said := strings.Join(checked(t, r, "exchange", OK).Evidence, "\n"); !strings.Contains(said, "cifs/"+acct) || !strings.Contains(said, "in 1h0m0s") {
		t.Errorf("exchange: %s", said)
	}
	before, _ := os.ReadFile(filepath.Join(m.opts.Root, cachePath))
	if want := aCache(noon.Add(time.Hour), 18, "identity=system"); string(before) != string(want) {
		t.Error("the credential cache was changed")
	}
	for _, q := range m.fake.Requests() {
		if q.Proxied {
			t.Errorf("by a proxy: %+v", q)
		}
	}
}

// Each row breaks one thing outside of the machine. The named check is the first broken link, with the
// fault and its fix, and nothing else is called broken.
func TestLiveFindings(t *testing.T) {
	user := fstabHead + "_netdev,client_id=" + someClient + "\n"
	rows := map[string]struct {
		order  *azurefake.Order
		change func(*Options)
		files  map[string]string
		azure  azurefake.Options
		id     ID
		fault  fault.Named
		says   string
	}{
		"role missing": {
			order: &azurefake.Order{Target: azurefake.TargetStorage, Status: 403, Code: "AuthorizationPermissionMismatch"}, id: "exchange", fault: fault.RoleMissing,
			says: "az role assignment create --assignee " + azurefake.SystemObjectID + ` --role "Storage File Data SMB MI Admin" --scope $(az storage account show -n acct `,
		},
		"SMBOAuth off":       {order: &azurefake.Order{Target: azurefake.TargetStorage, Status: 403, Code: "FeatureNotEnabled", Message: "SMB OAuth is off"}, id: "exchange", fault: fault.SMBOAuthOff, says: "az storage account update -n acct"},
		"network rules":      {order: &azurefake.Order{Target: azurefake.TargetStorage, Status: 403, Code: "IpAuthorizationError"}, id: "exchange", fault: fault.NetworkRules},
		"no account":         {order: &azurefake.Order{Target: azurefake.TargetStorage, Status: 404, Code: "ResourceNotFound"}, id: "exchange", fault: fault.AccountNotFound},
		"RC4":                {order: &azurefake.Order{Target: azurefake.TargetStorage, Etype: 23}, id: "exchange", fault: fault.TicketEtype},
		"not assigned":       {files: map[string]string{"etc/fstab": user, "proc/1/mountinfo": ""}, id: "identity", fault: fault.IdentityNotAssigned, says: someClient},
		"clock ahead":        {order: &azurefake.Order{Target: azurefake.TargetStorage, Skew: -10 * time.Minute}, id: "clock", fault: fault.ClockSkew, says: "10m0s ahead of"},
		"clock behind":       {order: &azurefake.Order{Target: azurefake.TargetStorage, Skew: 10 * time.Minute}, id: "clock", fault: fault.ClockSkew, says: "behind"},
		"TLS untrusted":      {order: &azurefake.Order{Target: azurefake.TargetStorage, Untrusted: true}, id: "https", fault: fault.TLSUntrusted},
		"hang":               {order: &azurefake.Order{Target: azurefake.TargetStorage, Hang: true}, id: "https", fault: fault.EndpointTimeout},
		"dropped":            {order: &azurefake.Order{Target: azurefake.TargetStorage, Drop: true}, id: "https", fault: fault.AzureBusy},
		"no name":            {change: func(o *Options) { o.Lookup = names{} }, id: "dns", fault: fault.DNSFailed, says: "getent hosts " + acct},
		"port 445 closed":    {change: func(o *Options) { o.Dial = refusing }, id: "port-445", fault: fault.SMBUnreachable, says: "(10.0.0.4:445: connection refused)"},
		"port 445 dropped":   {change: func(o *Options) { o.Dial = silent }, id: "port-445", fault: fault.SMBUnreachable, says: "no answer"},
		"no IMDS":            {change: func(o *Options) { o.IMDS = broken{} }, id: "imds", fault: fault.IMDSUnreachable, says: "identity=arc"},
		"no IMDS, client id": {files: map[string]string{"etc/fstab": user, "proc/1/mountinfo": ""}, change: func(o *Options) { o.IMDS = broken{} }, id: "imds", fault: fault.IMDSUnreachable},
		"another client's cache": {
			files: map[string]string{cachePath[1:]: string(strangersCache()), "etc/azfilesauth/config.yaml": healthyFiles()["etc/azfilesauth/config.yaml"] + "default_identity: system\n", "proc/1/mountinfo": ""},
			id:    "exchange", fault: fault.CCachePrincipal, says: "OTHER.REALM",
		},
		"IMDS refuses": {order: &azurefake.Order{Target: azurefake.TargetIMDS, Status: 400, Message: "Identity not found"}, id: "identity", fault: fault.IdentityNotAssigned},
		"no system":    {azure: azurefake.Options{NoSystem: true}, id: "identity", fault: fault.IdentityNotAssigned},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			files := healthyFiles()
			maps.Copy(files, row.files)
			m := start(t, files, row.azure, running())
			if row.order != nil {
				m.fake.Order(*row.order)
			}
			if row.change != nil {
				row.change(&m.opts)
			}
			s, err := New(m.opts)
			if err != nil {
				t.Fatal(err)
			}
			r := Run(t.Context(), s, impatient(azureChecks()))
			f := checked(t, r, row.id, Problem)
			if said := strings.Join(f.Evidence, "\n") + "\n" + f.Fix; string(f.Fault) != row.fault.String() || !strings.Contains(said, row.says) {
				t.Errorf("%s: %s", f.Fault, said)
			}
			if r.Exit != Failing || r.First.ID != row.id || r.Problems != 1 {
				t.Errorf("exit %d, first %s, %d problems\n%s", r.Exit, r.First.ID, r.Problems, text(r))
			}
			onlyFound(t, r, row.id)
			noSecrets(t, r)
		})
	}
}

// impatient makes the checks give up soon, but not before a busy machine has shaken hands.
func impatient(checks []Check) []Check {
	for i := range checks {
		checks[i].Timeout = 4 * time.Second
	}
	return checks
}

func refusing(_ context.Context, network, _ string) (net.Conn, error) {
	return nil, &net.OpError{Op: "dial", Net: network, Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 4), Port: 445}, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

// silent dials a peer that drops everything.
func silent(ctx context.Context, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// broken is a transport that reaches nobody.
type broken struct{}

func (broken) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)}
}

func TestLiveWarnings(t *testing.T) {
	failing := running()
	failing.Endpoints[0].State, failing.Endpoints[0].Failures = control.Failing, 3
	failing.Endpoints[0].LastFault = &control.Fault{ID: string(fault.RoleMissing.ID), What: "no role", Fix: "az role assignment create", At: noon}
	expired := running()
	expired.Endpoints[0].State = control.Expired
	rows := map[string]struct {
		daemon *control.Status
		order  *azurefake.Order
		change func(*Options)
		id     ID
		status Status
		says   string
		action string
	}{
		"daemon stopped": {id: "daemon", status: Warning, says: "systemctl enable --now azfilesrefresh", action: "unit"},
		"daemon fails":   {daemon: failing, id: "daemon", status: Warning, says: "3 times"},
		"daemon is late": {daemon: expired, id: "daemon", status: Warning, says: "azfilesauth refresh"},
		"second daemon":  {daemon: &control.Status{PID: 8, HolderPID: 9}, id: "daemon", status: Info, says: "process 9"},
		"foreign": {
			daemon: &control.Status{PID: 8, Active: true, Endpoints: []control.Endpoint{{Host: acct, State: control.Foreign, Why: "who knows"}}},
			id:     "daemon", status: Info, says: "who knows",
		},
		"clock 2 min off": {daemon: running(), order: &azurefake.Order{Target: azurefake.TargetStorage, Skew: 2 * time.Minute}, id: "clock", status: Warning, says: "2m"},
		"proxied IMDS":    {daemon: running(), change: func(o *Options) { o.IMDS = marking{o.IMDS} }, id: "imds", status: Warning, says: "squid"},
		"other identity":  {daemon: running(), change: func(o *Options) { o.IMDS = userAssignedOnly{} }, id: "identity", status: Warning, says: "client_id=" + oneClient},
		"public address": {daemon: running(), change: func(o *Options) {
			o.Lookup = names{map[string]string{acct: "20.60.1.2"}, privAcct}
		}, id: "dns", status: Info, says: "private endpoint"},
		"server refused": {daemon: running(), change: func(o *Options) {
			o.Kernel = silence{[]LogLine{{Text: `CIFS: VFS: \\` + acct + ` Send error in SessSetup = -13`}}}
		}, id: "kernel-log", status: Info, says: "smbOAuthSettings.isSmbOAuthEnabled"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			m := start(t, healthyFiles(), azurefake.Options{}, row.daemon)
			if row.order != nil {
				m.fake.Order(*row.order)
			}
			if row.change != nil {
				row.change(&m.opts)
			}
			r := reported(t, m.opts)
			f := checked(t, r, row.id, row.status)
			if said := strings.Join(f.Evidence, "\n") + "\n" + f.Fix; !strings.Contains(said, row.says) || f.Action != row.action {
				t.Errorf("%s by %q", said, f.Action)
			}
			if row.id == "identity" { // the stand-in's token is none that the account knows
				onlyFound(t, r, row.id, "exchange")
			} else {
				onlyFound(t, r, row.id)
			}
			noSecrets(t, r)
		})
	}
}

// A refusal of another server is no concern of the endpoint's.
func TestOtherServersRefusal(t *testing.T) {
	m := start(t, healthyFiles(), azurefake.Options{}, running())
	m.opts.Kernel = silence{[]LogLine{{Text: `CIFS: VFS: \\server.example.com Send error in SessSetup = -13`}}}
	checked(t, reported(t, m.opts), "kernel-log", Info)
}

// strangersCache holds a ticket of another account for a client of another realm.
func strangersCache() []byte {
	cred := aTicket(otherAcct, noon.Add(time.Hour), 18)
	cred.Client.Realm = "OTHER.REALM"
	var c ccache.Cache
	c.Put(cred, ccache.Record{Identity: "system", ObtainedAt: noon})
	return c.Marshal()
}

// marking is a proxy before the identity service.
type marking struct{ http.RoundTripper }

func (m marking) RoundTrip(q *http.Request) (*http.Response, error) {
	resp, err := m.RoundTripper.RoundTrip(q)
	if err == nil {
		resp.Header.Set("Via", "1.1 squid")
	}
	return resp, err
}

// userAssignedOnly is the identity service of a machine that has one user-assigned identity and no
// system-assigned one, which it gives to whoever names none.
type userAssignedOnly struct{}

func (userAssignedOnly) RoundTrip(q *http.Request) (*http.Response, error) {
	claims := fmt.Sprintf(`{"aud":"https://storage.azure.com","oid":"o","appid":%q,"tid":"t","exp":%d,"xms_mirid":"/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/backup"}`,
		oneClient, noon.Add(time.Hour).Unix())
	part := base64.RawURLEncoding.EncodeToString
	token := part([]byte(`{"alg":"none"}`)) + "." + part([]byte(claims)) + ".c2ln"
	body := fmt.Sprintf(`{"access_token":%q,"expires_in":"3600","expires_on":"%d","resource":"https://storage.azure.com","token_type":"Bearer"}`, token, noon.Add(time.Hour).Unix())
	return &http.Response{StatusCode: 200, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: q}, nil
}

// Several endpoints of one identity ask for one token.
func TestTokenIsAskedForOnce(t *testing.T) {
	files := healthyFiles()
	files["etc/fstab"] += "//" + otherAcct + "/share /mnt/other azfiles _netdev,identity=system\n"
	m := start(t, files, azurefake.Options{}, running())
	r := reported(t, m.opts)
	onlyFound(t, r)
	n := 0
	for _, q := range m.fake.Requests() {
		if q.Target == azurefake.TargetIMDS && q.TokenID != "" {
			n++
		}
	}
	if n != 1 || len(r.Endpoints) != 2 {
		t.Errorf("%d tokens for %v", n, r.Endpoints)
	}
}

// What only root may read is said, and not taken for a fault.
func TestOrdinaryUser(t *testing.T) {
	files := healthyFiles()
	files["etc/fstab"] = fstabHead + "_netdev,tenant_id=" + azurefake.TenantID + ",client_id=" + someClient + ",token_file=/nonexistent/token\n"
	files["proc/1/mountinfo"] = ""
	m := start(t, files, azurefake.Options{}, running())
	m.opts.EUID = 1000
	r := reported(t, m.opts)
	onlyFound(t, r)
	if f := checked(t, r, "identity", Skipped); !strings.Contains(f.Evidence[0], "sudo") {
		t.Errorf("%q", f.Evidence)
	}
	checked(t, r, "exchange", Skipped)
}

// A token that was handed over once cannot be had again, which is nobody's fault.
func TestTokenHandedOver(t *testing.T) {
	files := healthyFiles()
	files[cachePath[1:]] = string(aCache(noon.Add(time.Hour), 18, "token"))
	files["etc/fstab"] = ""
	m := start(t, files, azurefake.Options{}, running())
	r := reported(t, m.opts)
	onlyFound(t, r)
	checked(t, r, "identity", Skipped)
}

// TestExceptionsOfTheProxy: the doctor reaches an account as those do whom it speaks for.
func TestExceptionsOfTheProxy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte("proxy: http://proxy.test:3128\nno_proxy: ["+acct+"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := host.Real().Trusting(os.Geteuid())
	h.Config = path
	cfg, err := config.Read(h)
	if err != nil {
		t.Fatal(err)
	}
	w := (&Subject{Config: cfg, memo: new(memo)}).ways(resolved(t, acct))
	if w.err != nil {
		t.Fatal(w.err)
	}
	for host, want := range map[string]bool{acct: false, otherAcct: true} {
		r := httptest.NewRequest(http.MethodGet, "https://"+host+"/", http.NoBody)
		if u, err := w.azure.(*transport.Route).Proxy(r); err != nil || (u != nil) != want {
			t.Errorf("%s by way of %v, %v", host, u, err)
		}
	}
	if w.imds.(*http.Transport).Proxy != nil {
		t.Error("the identity service is asked through a proxy")
	}
}

// A token file of the credential uid's own does for a mount, and so for the doctor.
func TestTokenFileOfTheCredentialUID(t *testing.T) {
	needs.Root(t) // to give a file away
	files := healthyFiles()
	files["etc/fstab"] = fstabHead + "_netdev,identity=token,token_file=/home/app/token,cruid=1000\n"
	files["proc/1/mountinfo"] = ""
	files["home/app/token"] = "opaque"
	m := start(t, files, azurefake.Options{}, running())
	for _, name := range []string{"home/app", "home/app/token"} {
		if err := os.Chown(filepath.Join(m.opts.Root, name), 1000, 1000); err != nil {
			t.Fatal(err)
		}
	}
	if f := checked(t, reported(t, m.opts), "identity", OK); !strings.Contains(f.Evidence[0], "does not say whose") {
		t.Errorf("%q", f.Evidence)
	}
}

// TestProxyOfTheRecord: the doctor reaches an account through the proxy that its ticket was obtained through, unless the
// configuration names one, and says of a variable of its own environment that it does not count.
func TestProxyOfTheRecord(t *testing.T) {
	dir := t.TempDir()
	h := host.Real().Trusting(os.Geteuid())
	h.Config, h.Run, h.Ignored = filepath.Join(dir, "config.yaml"), filepath.Join(dir, "run"), map[string]string{"https_proxy": "http://me:hunter2@ignored.test:1"}
	var c ccache.Cache
	c.Put(aTicket(acct, noon, 18), ccache.Record{Identity: "system", ObtainedAt: noon, Proxy: "http://recorded.test:3128", NoProxy: otherAcct})
	if err := os.WriteFile(filepath.Join(dir, "cc"), c.Marshal(), 0o600); err != nil {
		t.Fatal(err)
	}
	for more, want := range map[string]string{"": "recorded.test:3128", "proxy: http://configured.test:1\n": "configured.test:1"} {
		if err := os.WriteFile(h.Config, []byte("KRB5_CC_NAME: "+dir+"/cc\n"+more), 0o600); err != nil {
			t.Fatal(err)
		}
		s := &Subject{Options: Options{Host: h}, memo: new(memo)}
		if s.Config, s.ConfigErr = config.Read(h); s.ConfigErr != nil {
			t.Fatal(s.ConfigErr)
		}
		w := s.ways(resolved(t, acct))
		if w.err != nil {
			t.Fatal(w.err)
		}
		u, err := w.azure.(*transport.Route).Proxy(httptest.NewRequest(http.MethodGet, "https://"+acct+"/", http.NoBody))
		if err != nil || u == nil || u.Host != want {
			t.Errorf("%q: %v, %v", more, u, err)
		}
		if direct := s.ways(resolved(t, otherAcct)).azure.(*transport.Route).Proxy == nil; direct != (more == "") {
			t.Errorf("%q: another account directly: %v", more, direct)
		}
		r := checkConfig(t.Context(), s)
		said := strings.Join(r.Evidence, "\n")
		if told := strings.Contains(said, "https_proxy in the environment is ignored, write proxy: URL into /etc/azfilesauth/config.d/"); told != (more == "") || strings.Contains(said, "hunter2") {
			t.Errorf("%q: %s %s", more, r.Status, said)
		}
	}
}

func resolved(t *testing.T, host string) endpoint.Endpoint {
	t.Helper()
	e, err := endpoint.Resolver{}.Resolve(host)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
