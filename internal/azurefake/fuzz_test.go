package azurefake

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"
)

// FuzzAssertion: nobody gets in with an assertion that neither the fake nor the app's key made.
func FuzzAssertion(f *testing.F) {
	const client = "a9900000-0000-4000-8000-000000000001"
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		f.Fatal(err)
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		f.Fatal(err)
	}
	fake, err := Start(Options{Apps: []App{{
		ClientID: client, Federated: true, CertPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
	}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(fake.Close)
	f.Fuzz(func(t *testing.T, text string) {
		app, ok := fake.apps.find(publicClouds[0][0], TenantID, client)
		if !ok {
			t.Fatal("there is no app")
		}
		form := url.Values{"client_assertion": {text}, "client_assertion_type": {assertionType}}
		if fake.credentialProblem(app, form, []string{"x"}, time.Now()) == nil {
			t.Errorf("%q is taken", text)
		}
	})
}

// FuzzAz: arguments are either understood or complained about.
func FuzzAz(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		args := strings.Split(text, "\n")
		asked, usage := parseAz(args)
		if usage == "" && (len(args)%2 != 0 || asked.Get("output") != "" && asked.Get("output") != "json") {
			t.Errorf("%q is taken as %v", args, asked)
		}
	})
}
