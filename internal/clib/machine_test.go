package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

const (
	account = "acct.file.core.windows.net"
	uri     = "https://" + account
	other   = "https://other.file.core.windows.net"
)

var hosts = []string{account, "other.file.core.windows.net", "third.file.core.windows.net", "fourth.file.core.windows.net"}

// installation is where make has installed the library, and a program that is linked with it.
type installation struct {
	root    string // of its file system
	library string
	caller  string
	problem string // why there is none
}

// installed makes the installation once for all tests, in the folder that TestMain removes.
var installed = sync.OnceValue(func() (in installation) {
	dir, err := os.MkdirTemp("", "clib")
	if err != nil {
		in.problem = err.Error()
		return in
	}
	in.root = dir
	// What is looked at here counts for "go test" when it decides whether an earlier result still
	// holds. It does not know what make reads.
	for _, pattern := range []string{"*", "../*/*.go", "../../Makefile", "../../go.mod"} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			_, _ = os.Stat(name)
		}
	}
	in.library, in.caller = dir+"/usr/lib/libazfilesauth.so.0", dir+"/caller"
	for _, command := range [][]string{
		{"make", "-C", "../..", "install-clib", "CLIB=" + dir + "/build/libazfilesauth.so.0", "DESTDIR=" + dir, "VERSION=2.3.4"},
		{
			"gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
			"-I" + dir + "/usr/include", "-o", in.caller, "testdata/caller.c", "-L" + dir + "/usr/lib", "-lazfilesauth", "-Wl,-rpath," + dir + "/usr/lib", "-pthread",
		},
	} {
		if _, err := exec.LookPath(command[0]); err != nil {
			in.problem = err.Error() + ": install make, gcc and libc6-dev"
			return in
		}
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Env = append(os.Environ(), "MAKEFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			in.problem = strings.Join(command, " ") + ": " + err.Error() + "\n" + string(out)
			return in
		}
	}
	return in
})

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "clib")
	if err != nil {
		panic(err)
	}
	_ = os.Setenv("TMPDIR", dir)
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func install(t *testing.T) installation {
	t.Helper()
	in := installed()
	if in.problem != "" {
		t.Fatal(in.problem)
	}
	return in
}

// machine is one with the library installed and an Azure of its own: the library has no seams, so a
// mount and a network namespace give it another /etc, /run and storage account.
type machine struct {
	*testing.T
	installation
	fake   *azurefake.Fake
	ccache string
	log    string
	token  string
}

// newMachine moves the test's goroutine into the machine, and with it every program that it starts.
// The thread is never unlocked, so it ends with the test.
func newMachine(t *testing.T) *machine {
	t.Helper()
	needs.Root(t)
	needs.Capability(t, "CAP_SYS_ADMIN", "CAP_NET_ADMIN")
	in, dir := install(t), t.TempDir()
	fake, err := azurefake.Start(azurefake.Options{Hosts: hosts}) // outside, where other goroutines are
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS | unix.CLONE_NEWNET); err != nil {
		t.Fatalf("unshare: %v", err)
	}
	m := &machine{
		T: t, installation: in, fake: fake, ccache: filepath.Join(dir, "cc", "krb5cc"), log: filepath.Join(dir, "log"),
		token: fake.MintToken(azurefake.MintOptions{}),
	}
	layers := filepath.Join(dir, "etc")
	m.must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	m.must(unix.Mount("tmpfs", "/run", "tmpfs", 0, ""))
	m.must(os.Mkdir(layers, 0o755))
	m.must(unix.Mount("tmpfs", layers, "tmpfs", 0, ""))
	m.must(os.Mkdir(layers+"/upper", 0o755))
	m.must(os.Mkdir(layers+"/work", 0o755))
	m.must(unix.Mount("overlay", "/etc", "overlay", 0, "lowerdir=/etc,upperdir="+layers+"/upper,workdir="+layers+"/work"))
	t.Cleanup(func() { // or the folder cannot be removed
		_ = unix.Unmount("/etc", unix.MNT_DETACH)
		_ = unix.Unmount(layers, unix.MNT_DETACH)
	})
	m.must(os.Mkdir(filepath.Dir(m.ccache), 0o755))
	m.loopbackUp()
	m.azure()
	m.configure("")
	return m
}

func (m *machine) must(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

func (m *machine) loopbackUp() {
	m.Helper()
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	m.must(err)
	defer func() { _ = unix.Close(s) }()
	lo, err := unix.NewIfreq("lo")
	m.must(err)
	lo.SetUint16(unix.IFF_UP)
	m.must(unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo))
}

// azure puts the fake's storage accounts where the machine's name service and certificates say they are.
func (m *machine) azure() {
	m.Helper()
	certificate := m.front(m.fake.Transport())
	m.etc("hosts", "127.0.0.1 localhost "+strings.Join(hosts, " ")+"\n")
	m.etc("nsswitch.conf", "hosts: files\n")
	m.etc("ssl/certs/ca-certificates.crt", certificate)
}

// front keeps connections open, as Azure does and the fake does not. It gives its certificate in PEM.
func (m *machine) front(behind http.RoundTripper) string {
	m.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	m.must(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: hosts, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	m.must(err)
	listener, err := tls.Listen("tcp", "127.0.0.1:443", &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12,
	})
	m.must(err)
	quiet := log.New(io.Discard, "", 0)
	server := &http.Server{
		ErrorLog: quiet,
		Handler: &httputil.ReverseProxy{
			ErrorLog: quiet, Transport: behind,
			Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "https", Host: r.In.Host}) },
		},
	}
	go func() { _ = server.Serve(listener) }()
	m.Cleanup(func() { _ = server.Close() })
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// etc writes a file of /etc.
func (m *machine) etc(name, content string) {
	m.Helper()
	path := filepath.Join("/etc", name)
	m.must(os.MkdirAll(filepath.Dir(path), 0o755))
	_ = os.Remove(path) // it may be a link out of /etc
	m.must(os.WriteFile(path, []byte(content), 0o644))
}

// configure writes the configuration, with more behind the cache and the log.
func (m *machine) configure(more string) {
	m.Helper()
	m.etc("azfilesauth/config.yaml", "KRB5_CC_NAME: "+m.ccache+"\nLOG_DESTINATION: file\nLOG_FILE_PATH: "+m.log+"\n"+more)
}

// result is how a program ended.
type result struct {
	code     int // -1 for a signal
	signal   syscall.Signal
	out, err string
}

// call runs the C program on the machine, and holds that it shows no token and logs none.
func (m *machine) call(args ...string) result {
	m.Helper()
	return m.start(exec.Command(m.caller, args...))
}

func (m *machine) start(cmd *exec.Cmd) result {
	m.Helper()
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "TZ=UTC", "HTTPS_PROXY=http://127.0.0.1:1", "https_proxy=http://127.0.0.1:1", "SSL_CERT_FILE=/nowhere",
		"SSL_CERT_DIR=/nowhere", "AZURE_AUTHORITY_HOST=https://nowhere", "KRB5CCNAME=FILE:/nowhere",
	}
	late := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() }) // rather than hang
	defer late.Stop()
	if e := cmd.Run(); e != nil && cmd.ProcessState == nil {
		m.Fatal(e)
	}
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	r := result{code: status.ExitStatus(), out: out.String(), err: err.String()}
	if status.Signaled() {
		r.signal = status.Signal()
	}
	if strings.Contains(r.out+r.err+m.logged(), "eyJ") { // the tokens of the fake are JWTs
		m.Error("a token is in the output or in the log")
	}
	return r
}

// calls is call for what must print out and nothing on standard error.
func (m *machine) calls(want string, args ...string) {
	m.Helper()
	if r := m.call(args...); r.code != 0 || r.out != want || r.err != "" {
		m.Fatalf("%.60q: %d %s\n%s\nwant %s", args, r.code, r.out, r.err, want)
	}
}

// logged is what is in the log.
func (m *machine) logged() string {
	b, _ := os.ReadFile(m.log)
	return string(b)
}

// holds fails the test unless the tickets are those for the hosts.
func (m *machine) holds(hosts ...string) {
	m.Helper()
	b, err := os.ReadFile(m.ccache)
	m.must(err)
	c, err := ccache.Parse(b)
	m.must(err)
	if n := len(c.Tickets()); n != len(hosts) {
		m.Errorf("%d tickets, want %d", n, len(hosts))
	}
	for _, h := range hosts {
		if _, ok := c.Ticket("cifs/" + h); !ok {
			m.Errorf("there is no ticket for %s", h)
		}
	}
}

// syslog listens where the machine's programs look for syslog. What comes is in the channel.
func (m *machine) syslog() <-chan string {
	m.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: "/run/syslog", Net: "unixgram"})
	m.must(err)
	m.Cleanup(func() { _ = conn.Close() })
	lines := make(chan string, 16)
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			lines <- string(b[:n])
		}
	}()
	return lines
}
