package doctor

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

// latency is that of the network to Azure and to the name servers.
const latency = 50 * time.Millisecond

// far is a network with that latency: a request takes a round trip for the connection, one for TLS
// and one for itself.
type far struct {
	http.RoundTripper
	names
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f far) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := wait(r.Context(), 3*latency); err != nil {
		return nil, err
	}
	return f.RoundTripper.RoundTrip(r)
}

func (f far) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if err := wait(ctx, latency); err != nil {
		return nil, err
	}
	return f.names.LookupNetIP(ctx, network, host)
}

func (f far) LookupCNAME(ctx context.Context, host string) (string, error) {
	if err := wait(ctx, latency); err != nil {
		return "", err
	}
	return f.names.LookupCNAME(ctx, host)
}

func (f far) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if err := wait(ctx, latency); err != nil {
		return nil, err
	}
	return accepting(ctx, network, address)
}

// wholeMachine is a healthy machine with one endpoint, all of it, far from Azure.
func wholeMachine(t testing.TB) *azureMachine {
	t.Helper()
	files := healthyFiles()
	m := start(t, files, azurefake.Options{}, running())
	for _, text := range []string{ubuntuLike, product, runningKernel} {
		plant(t, m.opts.Root, text)
	}
	plant(t, m.opts.Root, "-- run/azfilesauth/ 711 --\n-- etc/azfilesauth/config.yaml 600 --\n"+files["etc/azfilesauth/config.yaml"]+
		"-- proc/1/mountinfo --\n"+files["proc/1/mountinfo"]+"-- proc/self/mountinfo --\n"+files["proc/1/mountinfo"])
	network := far{m.fake.Transport(), usualNames()}
	m.opts.Transport, m.opts.Lookup, m.opts.Dial = network, network, network.dial
	m.opts.Exec, m.opts.Kernel = hostPrograms().run, toldKernel{addKey: unix.EPERM}
	return m
}

// examine makes all checks.
func (m *azureMachine) examine(tb testing.TB) Report {
	tb.Helper()
	s, err := New(m.opts)
	must(tb, err)
	return Run(context.Background(), s, All())
}

// A healthy machine with one healthy endpoint yields nothing.
func TestWholeMachine(t *testing.T) {
	r := wholeMachine(t).examine(t)
	if r.Exit != Healthy || r.Skipped != 0 || lastLine(show(r)) != "No problems found." {
		t.Errorf("got %s", show(r))
	}
	noSecrets(t, r)
}

// What is wrong once is called broken once.
func TestWholeMachineBroken(t *testing.T) {
	for name, row := range map[string]struct {
		fstab, host string // in fstab, and as the share is mounted
		id          ID
		fix         string
	}{
		"unknown uid":             {fstabHead + "_netdev,cruid=4242 0 0\n", acct, "user-uid", "to a uid that getent passwd lists"},
		"mounted by another name": {"//" + privAcct + "/share /mnt/share azfiles _netdev,identity=system 0 0\n", privAcct, "host-form", "edit /etc/fstab:1: the host is " + acct},
	} {
		t.Run(name, func(t *testing.T) {
			m := wholeMachine(t)
			plant(t, m.opts.Root, "-- etc/fstab --\n"+row.fstab+
				"-- proc/1/mountinfo --\n"+strings.ReplaceAll(healthyFiles()["proc/1/mountinfo"], acct, row.host))
			r := m.examine(t)
			if r.First == nil || r.First.ID != row.id || !strings.Contains(r.First.Fix, row.fix) || r.Problems > 1 {
				t.Errorf("got %s", show(r))
			}
		})
	}
}

// BenchmarkWholeMachine is to take less than a second, at that latency.
func BenchmarkWholeMachine(b *testing.B) {
	m := wholeMachine(b)
	for b.Loop() {
		m.examine(b)
	}
}
