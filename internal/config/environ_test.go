package config

import (
	"os"
	"testing"
)

func TestIgnoreEnvironment(t *testing.T) {
	gone := []string{
		"AZURE_CLIENT_ID", "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "MSI_ENDPOINT", "IMDS_ENDPOINT",
		"HTTP_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
		"KRB5CCNAME", "KRB5_CONFIG",
	}
	kept := []string{"SUDO_UID", "AZFILES_TEST_TERM", "NOTIFY_SOCKET"}
	for _, name := range append(gone, kept...) {
		t.Setenv(name, "x")
	}
	ignored := IgnoreEnvironment()
	for _, name := range gone {
		if ignored[name] != "x" {
			t.Errorf("%s is not among what was ignored", name)
		}
		if v, ok := os.LookupEnv(name); ok {
			t.Errorf("%s=%s is still there", name, v)
		}
	}
	for _, name := range kept {
		if os.Getenv(name) != "x" {
			t.Errorf("%s is gone", name)
		}
	}
}
