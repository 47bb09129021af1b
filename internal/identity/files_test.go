package identity

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/fault"
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
	foreign := at("foreign", secretText, 0o600)
	if err := os.Chown(foreign, 1, 0); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	key, ec := string(pkcs8(t, rsaKey())), ecKey(t)
	cert, ecCert := string(a.cert), string(certificate(t, ec.Public(), ec, time.Now().Add(time.Hour)))
	for _, c := range []struct{ file, part string }{
		{foreign, "does not belong to root"},
		{at("group", secretText, 0o640), "mode 0640"},
		{at("others", secretText, 0o604), "mode 0604"},
		{at("writable", secretText, 0o620), "mode 0620"},
		{at("empty", "", 0o600), "is empty"},
		{at("blank", " \n", 0o600), "is empty"},
		{at("long", strings.Repeat("x", 64<<10+1), 0o600), "longer than 65536"},
		{filepath.Join(dir, "none"), "no such file"},
		{fifo, "no regular file"},
		{dir, "no regular file"},
	} {
		for _, id := range []Identity{a.secret, a.certificate} {
			if id.SecretFile = c.file; id.CertificateFile != "" {
				id.SecretFile, id.CertificateFile = "", c.file
			}
			f := refuses(t, id, a.options, fault.SecretFile, c.part, c.file, "chmod 600 '"+c.file+"'")
			noSecret(t, f, secretText)
		}
	}
	for _, c := range []struct{ file, part string }{
		{at("lines", "s3cr3t\ntwo", 0o600), "one word"},
		{at("json", `{"password":"s3cr3t"}`, 0o600), "JSON"},
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
		{at("ec", ecCert+string(pkcs8(t, ec)), 0o600), "no RSA key"},
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
	old := p12("-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1")
	for name, text := range map[string][]byte{
		"key first": append(pkcs8(t, rsaKey()), a.cert...),
		"PKCS #1":   append(bytes.Clone(a.cert), pkcs1...),
		"remarks":   append(append([]byte("Bag Attributes\n    friendlyName: app\n"), a.cert...), pkcs1...),
		"PKCS #12":  old,
	} {
		file := filepath.Join(t.TempDir(), "app")
		write(t, file, string(text), 0o600)
		a.certificate.CertificateFile = file
		if _, err := a.certificate.Token(t.Context(), a.options); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	file := filepath.Join(t.TempDir(), "app.p12")
	write(t, file, string(p12("-keypbe", "AES-256-CBC", "-certpbe", "AES-256-CBC")), 0o600)
	a.certificate.CertificateFile = file
	refuses(t, a.certificate, a.options, fault.SecretFile, "nor in PKCS #12 without a password")
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
