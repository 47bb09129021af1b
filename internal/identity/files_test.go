package identity

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/lab/needs"
)

// TestFilesOfSecrets has files that are no good; nothing of what is in them may be told, and Entra is
// not asked.
func TestFilesOfSecrets(t *testing.T) {
	a := newApps(t, azurefake.Options{}, "")
	dir := t.TempDir()
	at := func(name, text string, mode os.FileMode) string {
		name = filepath.Join(dir, name)
		write(t, name, text, mode)
		return name
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	key, ec := string(pkcs8(t, rsaKey())), ecKey(t)
	cert, ecCert := string(a.cert), string(certificate(t, ec.Public(), ec, time.Now().Add(time.Hour)))
	for _, c := range []struct {
		file, part string
		mode       bool // its mode is at fault
	}{
		{at("group", secretText, 0o640), "mode 0640", true},
		{at("others", secretText, 0o604), "mode 0604", true},
		{at("writable", secretText, 0o620), "mode 0620", true},
		{at("empty", "", 0o600), "is empty", false},
		{at("blank", " \n", 0o600), "is empty", false},
		{at("long", strings.Repeat("x", 64<<10+1), 0o600), "longer than 65536", false},
		{filepath.Join(dir, "none"), "no such file", false},
		{fifo, "not a regular file", false},
		{dir, "not a regular file", false},
	} {
		for _, id := range []Identity{a.secret, a.certificate} {
			if id.SecretFile = c.file; id.CertificateFile != "" {
				id.SecretFile, id.CertificateFile = "", c.file
			}
			f := refuses(t, id, a.options, fault.SecretFile, c.part, c.file)
			if fix := "chown root:root " + c.file + " && chmod 600 " + c.file; strings.Contains(f.Fix(), fix) != c.mode || !c.mode && strings.Contains(f.Fix(), "chown") {
				t.Errorf("%s: the fix is %s", c.file, f.Fix())
			}
			noSecret(t, f, secretText)
		}
	}
	for _, c := range []struct{ file, part string }{
		{at("lines", "s3cr3t\ntwo", 0o600), "one word"},
		{at("json", `{"password":"s3cr3t"}`, 0o600), "JSON"},
		{at("quoted", `"s3cr3t"`, 0o600), "in quotation marks"},
		{at("single", "'s3cr3t'", 0o600), "in quotation marks"},
		{at("bom", "\ufeffs3cr3t", 0o600), "byte order mark"},
		{at("binary", "s3cr3t\x00", 0o600), "one word"},
	} {
		a.secret.SecretFile = c.file
		noSecret(t, refuses(t, a.secret, a.options, fault.SecretFile, c.part), "s3cr3t", "two")
	}
	block, _ := pem.Decode([]byte(key))
	for _, c := range []struct{ file, part string }{
		{at("text", secretText, 0o600), "no certificate and key"},
		{at("no-key", cert, 0o600), "found no private key"},
		{at("no-cert", key, 0o600), "found no certificate"},
		{at("two-keys", cert+key+key, 0o600), "multiple private keys"},
		{at("other-key", ecCert+key, 0o600), "none of its certificates"},
		{at("ec", ecCert+string(pkcs8(t, ec)), 0o600), "not an RSA key"},
		{at("encrypted", cert+strings.ReplaceAll(key, "PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), 0o600), "encrypted with a password"},
		{at("cut", cert+key[:len(key)/2], 0o600), "no certificate and key"},
		{at("cut-inside", cert+string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: block.Bytes[:200]})), 0o600), "no certificate and key"},
		{at("cut-cert", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes[:200]}))+key, 0o600), "no certificate and key"},
	} {
		a.certificate.CertificateFile = c.file
		noSecret(t, refuses(t, a.certificate, a.options, fault.SecretFile, c.part, c.file), secretText, key[40:60])
	}
	for _, c := range []struct{ text, part string }{
		{"", "is empty"},
		{"eyJsecret two", "one word"},
		{`{"token":"eyJsecret"}`, "JSON"},
		{strings.Repeat("x", 64<<10+1), "longer"},
	} {
		write(t, a.tokenFile, c.text, 0o600)
		noSecret(t, refuses(t, a.workload, a.options, fault.TokenFile, c.part, a.tokenFile), "eyJsecret")
	}
	if r := a.fake.Requests(); len(r) != 0 {
		t.Errorf("%+v", r)
	}
}

// TestFormsOfCertificates has the forms that real tools write.
func TestFormsOfCertificates(t *testing.T) {
	a := newApps(t, azurefake.Options{}, "")
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey())})
	p12 := func(args ...string) []byte {
		out, err := exec.Command("openssl", append([]string{"pkcs12", "-export", "-in", a.pemFile, "-passout", "pass:"}, args...)...).Output()
		if err != nil {
			t.Fatalf("openssl pkcs12 (package openssl): %v", err)
		}
		return out
	}
	base64Of := func(der []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(der) + "\n") }
	for name, text := range map[string][]byte{
		"key first":         append(pkcs8(t, rsaKey()), a.cert...),
		"PKCS #1":           append(bytes.Clone(a.cert), pkcs1...),
		"remarks":           append(append([]byte("Bag Attributes\n    friendlyName: app\n"), a.cert...), pkcs1...),
		"chain, any order":  bytes.Join([][]byte{[]byte(otherCertificate(t)), pkcs1, a.cert}, nil),
		"PKCS #12, 3DES":    p12("-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1"),
		"PKCS #12":          p12(),
		"PKCS #12, AES-128": p12("-keypbe", "AES-128-CBC", "-certpbe", "AES-128-CBC", "-macalg", "sha512", "-iter", "10000"),
		"PKCS #12, plain":   p12("-keypbe", "NONE", "-certpbe", "NONE"),
		"PKCS #12, no MAC":  p12("-nomac"),
		"Key Vault's text":  base64Of(p12()),
	} {
		file := filepath.Join(t.TempDir(), "app")
		write(t, file, string(text), 0o600)
		a.certificate.CertificateFile = file
		if _, err := a.certificate.Token(t.Context(), a.options); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// otherCertificate is one that comes with the application's in a chain.
func otherCertificate(t *testing.T) string {
	t.Helper()
	block, _ := pem.Decode(fixture(t, "chain-first.pem"))
	return string(pem.EncodeToMemory(block))
}

func fixture(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata/certificates", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// TestCertificatesOfTools has files that OpenSSL and keytool wrote, in DER and as text.
func TestCertificatesOfTools(t *testing.T) {
	for name, certificates := range map[string]int{"openssl3.p12.base64": 2, "keytool17.p12.base64": 1, "chain-first.pem": 2} {
		text := fixture(t, name)
		forms := [][]byte{text}
		if der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(text), "\n", "")); err == nil {
			forms = append(forms, der)
		}
		for _, form := range forms {
			certs, key, err := parseCertificate(form)
			if err != nil || len(certs) != certificates || key == nil {
				t.Errorf("%s: %d certificates, %v", name, len(certs), err)
			}
		}
	}
	if _, _, err := parseCertificate(fixture(t, "password.p12.base64")); !errors.Is(err, errEncryptedStore) {
		t.Error(err)
	}
}

// FuzzParseCertificate: no file makes the parsers panic or last.
func FuzzParseCertificate(f *testing.F) {
	for _, name := range []string{"openssl3.p12.base64", "chain-first.pem"} {
		content, err := os.ReadFile(filepath.Join("testdata/certificates", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Fuzz(func(_ *testing.T, text []byte) { _, _, _ = parseCertificate(text) })
}

// TestEncryptedStore does what the fix says, as a person who knows the password.
func TestEncryptedStore(t *testing.T) {
	a := newApps(t, azurefake.Options{}, "")
	store, err := exec.Command("openssl", "pkcs12", "-export", "-in", a.pemFile, "-passout", "pass:open sesame").Output()
	if err != nil {
		t.Fatalf("openssl (package openssl): %v", err)
	}
	a.certificate.CertificateFile = filepath.Join(t.TempDir(), "the app's.p12")
	write(t, a.certificate.CertificateFile, string(store), 0o600)
	f := refuses(t, a.certificate, a.options, fault.SecretFile, "PKCS #12 file with a password", "openssl pkcs12 -nodes -in ")
	if strings.Contains(f.Fix(), "chown") || strings.Contains(f.Fix(), "chmod") {
		t.Error(f.Fix())
	}
	applies(t, f, "wrong one", false)
	refuses(t, a.certificate, a.options, fault.SecretFile, "with a password")
	applies(t, f, "open sesame", true)
	if _, err := a.certificate.Token(t.Context(), a.options); err != nil {
		t.Error(err)
	}
}

// applies runs a fix that asks for a password.
func applies(t *testing.T, f *fault.Fault, password string, works bool) {
	t.Helper()
	fix := exec.Command("sh", "-c", f.Fix())
	fix.Stdin, fix.SysProcAttr = strings.NewReader(password+"\n"), &syscall.SysProcAttr{Setsid: true} // no terminal to ask on
	if out, err := fix.CombinedOutput(); (err == nil) != works {
		t.Errorf("%s with %q: %v: %s", f.Fix(), password, err, out)
	}
}

// TestEncryptedKey does what the fix says, as a person who knows the password.
func TestEncryptedKey(t *testing.T) {
	a := newApps(t, azurefake.Options{}, "")
	for form, args := range map[string][]string{"PKCS #8": {"pkcs8", "-topk8"}, "PKCS #1": {"rsa", "-traditional", "-aes128"}} {
		encrypted, err := exec.Command("openssl", append(args, "-in", a.pemFile, "-passout", "pass:open sesame")...).Output()
		if err != nil || !bytes.Contains(encrypted, []byte("ENCRYPTED")) {
			t.Fatalf("%s: openssl (package openssl): %v", form, err)
		}
		a.certificate.CertificateFile = filepath.Join(t.TempDir(), "the app's.pem")
		write(t, a.certificate.CertificateFile, string(a.cert)+string(encrypted), 0o600)
		f := refuses(t, a.certificate, a.options, fault.SecretFile, "encrypted with a password", "openssl pkey -in ")
		if strings.Contains(f.Fix(), "chown") {
			t.Errorf("%s: %s", form, f.Fix())
		}
		for _, password := range []string{"wrong one", "open sesame"} {
			works := password == "open sesame"
			applies(t, f, password, works)
			if !works {
				refuses(t, a.certificate, a.options, fault.SecretFile, "encrypted with a password")
			}
		}
		if _, err := a.certificate.Token(t.Context(), a.options); err != nil {
			t.Errorf("%s: %v", form, err)
		}
	}
}

// TestProjectedFiles: Kubernetes projects secrets as links, which are followed.
func TestProjectedFiles(t *testing.T) {
	a := newApps(t, azurefake.Options{}, "")
	link := filepath.Join(t.TempDir(), "secret")
	if err := os.Symlink(a.secretFile, link); err != nil {
		t.Fatal(err)
	}
	a.secret.SecretFile = link
	if _, err := a.secret.Token(t.Context(), a.options); err != nil {
		t.Error(err)
	}
}

// TestNobodyElseChoosesTheFile has the ways by which a user could have root hand over a file of root's, or what
// the user wrote; each is refused, and its fix changes nothing of the file that the user chose.
func TestNobodyElseChoosesTheFile(t *testing.T) {
	needs.Root(t)
	const user = 4711
	root := t.TempDir()
	in := func(path string) string { return filepath.Join(root, path) }
	must := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(in("etc/open"), 0o755), os.Chmod(in("etc/open"), 0o775), os.MkdirAll(in("etc/azfilesauth"), 0o755), os.MkdirAll(in("home/u"), 0o755), os.Mkdir(in("tmp"), 0o755), os.Chmod(in("tmp"), 0o777|os.ModeSticky))
	for name, mode := range map[string]os.FileMode{"etc/shadow": 0o600, "etc/foreign": 0o600, "etc/azfilesauth/foreign": 0o600, "etc/open/file": 0o600, "home/u/own": 0o600, "home/u/roots": 0o600} {
		write(t, in(name), secretText, mode)
	}
	must(os.Symlink("/etc/shadow", in("home/u/link")), os.Symlink("shadow", in("etc/link")), os.Symlink("/home/u/roots", in("etc/roots")),
		os.Symlink("/etc/shadow", in("tmp/link")), os.Link(in("etc/shadow"), in("tmp/hard")), os.Link(in("etc/shadow"), in("home/u/hard")),
		os.Symlink("/etc", in("home/u/etc")))
	for _, name := range []string{"home/u", "home/u/own", "home/u/link", "home/u/etc", "etc/link", "etc/foreign", "etc/azfilesauth/foreign"} {
		must(os.Lchown(in(name), user, user))
	}
	write(t, in("home/u/moved"), secretText, 0o600)
	must(os.Rename(in("home/u/moved"), in("tmp/moved"))) // what root once wrote to a directory of the user
	const keep = "namei -l %s; keep it in a directory that only root can write to, such as /etc/azfilesauth"
	for _, c := range []struct {
		file  string
		owner int
		part  string
		fix   string
	}{
		{"/home/u/link", 0, "/home/u belongs to uid 4711", keep},
		{"/home/u/roots", 0, "/home/u belongs to uid 4711", keep},
		{"/home/u/own", 0, "/home/u belongs to uid 4711", keep},
		{"/home/u/etc/shadow", 0, "/home/u belongs to uid 4711", keep},
		{"/etc/roots", 0, "/home/u belongs to uid 4711", keep},
		{"/etc/link", 0, "/etc/link is a link that others than root", "namei -l %s; name the file itself and not the link /etc/link"},
		{"/etc/foreign", 0, "does not belong to root", "namei -l %s; keep it in a file of its own"},
		{"/etc/azfilesauth/foreign", 0, "does not belong to root", "chown root:root %s && chmod "},
		{"/etc/open/file", 0, "others than root can write to /etc/open", keep},
		{"/tmp/link", 0, "/tmp/link is a link that others than root", "namei -l %s; name the file itself"},
		{"/tmp/hard", 0, "others than root can put files into /tmp", keep},
		{"/tmp/moved", 0, "others than root can put files into /tmp", keep},
		{"/home/u/link", user, "/home/u belongs to uid 4711", keep},
		{"/home/u/hard", user, "/home/u belongs to uid 4711", keep},
		{"/home/u/etc/shadow", user, "/home/u belongs to uid 4711", keep},
		{"/home/u/own", user + 1, "/home/u belongs to uid 4711", keep},
	} {
		o := Options{Host: host.Beneath(root), Owner: c.owner}
		_, secretErr := o.readSecret(c.file)
		_, _, tokenErr := o.readToken(c.file)
		for err, want := range map[error]fault.Named{secretErr: fault.SecretFile, tokenErr: fault.TokenFile} {
			if !fault.Is(err, want) || !strings.Contains(err.Error(), c.part) || !strings.Contains(err.Error(), strings.ReplaceAll(c.fix, "%s", c.file)) {
				t.Errorf("%s for uid %d: %v", c.file, c.owner, err)
			}
			noSecret(t, err, secretText)
		}
	}
	for file, owner := range map[string]int{"/etc/shadow": 0, "/home/u/own": user} {
		if _, err := (Options{Host: host.Beneath(root), Owner: owner}).readSecret(file); err != nil {
			t.Errorf("%s for uid %d: %v", file, owner, err)
		}
	}
}

// TestForeignFilesOfSecrets: an owner who is not trusted is told with the command that changes it.
func TestForeignFilesOfSecrets(t *testing.T) {
	needs.Root(t)
	a := newApps(t, azurefake.Options{}, "")
	if err := os.Chown(a.secretFile, 1, 0); err != nil {
		t.Fatal(err)
	}
	refuses(t, a.secret, a.options, fault.SecretFile, "does not belong to root", "chown root:root "+a.secretFile+" && chmod 600 "+a.secretFile)
}
