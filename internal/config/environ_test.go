package config

import (
	"os"
	"regexp"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/fault"
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

// TestNoFixNamesWhatIsIgnored reads the fixes for a machine and for a pod. A key of the configuration is no variable.
func TestNoFixNamesWhatIsIgnored(t *testing.T) {
	names := regexp.MustCompile(`[A-Z][A-Z0-9]*_[A-Z0-9_]+`)
	defer func() { fault.InPod = nil }()
	for _, in := range []bool{false, true} {
		fault.InPod = func() bool { return in }
		for _, kind := range fault.Table() {
			for _, name := range names.FindAllString(kind.Blank().Fix(), -1) {
				if isTransportVariable(name) && name != "KRB5_CC_NAME" {
					t.Errorf("%s names %s: %s", kind, name, kind.Blank().Fix())
				}
			}
		}
	}
}
