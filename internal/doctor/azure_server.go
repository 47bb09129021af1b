package doctor

import (
	"context"
	"fmt"
	"strings"
)

func serverSideCheck() Check {
	return Check{
		ID: "server-side", Group: Exchange, Title: "refusals by the server", Severity: Tells, PerEndpoint: true,
		Proves: "The kernel's messages tell of no login that the server refused.",
		Why:    "The server can refuse a ticket that it has issued itself: by the role, the settings for SMB or the clock.",
		Run:    checkServerSide,
	}
}

// refusals are what the kernel says of a login that reached the server, in lower case
// (fs/smb/client/sess.c and smb2maperror.c).
var refusals = []string{"status_logon_failure", "status_access_denied", "setup = -13", "kerberos: -13", "status_more_processing_required", "setup = -5"}

func checkServerSide(_ context.Context, s *Subject) Result {
	lines, err := s.Kernel.Log()
	if err != nil {
		return s.CannotSee("/dev/kmsg", err)
	}
	e := s.Target.Endpoint
	for i := len(lines) - 1; i >= 0; i-- {
		line := strings.ToLower(lines[i].Text)
		if !strings.Contains(line, e.Host()) || !containsAny(line, refusals) {
			continue
		}
		return Known("the kernel said: %s", shorten(lines[i].Text, 300)).
			And("role, which has to be \"Storage File Data SMB MI Admin\": az role assignment list --scope $(az storage account show -n %s --query id -o tsv) --query \"[].[principalId,roleDefinitionName]\"", e.Account()).
			And("SMB with OAuth: az storage account show -n %s --query azureFilesIdentityBasedAuthentication.smbOAuthSettings.isSmbOAuthEnabled", e.Account()).
			And("%s", s.encryptionHint(e.Account()))
	}
	return Good("none")
}

// encryptionHint is about accounts that allow AES-256-GCM alone, which the kernel does not offer unasked.
func (s *Subject) encryptionHint(account string) string {
	hint := fmt.Sprintf("encryption: az storage account file-service-properties show -n %s -g <resource-group> --query protocolSettings.smb.channelEncryption", account)
	if text, err := s.ReadFile("/sys/module/cifs/parameters/require_gcm_256"); err == nil && strings.TrimSpace(string(text)) == "N" {
		hint += "; with AES-256-GCM alone: echo 1 > /sys/module/cifs/parameters/require_gcm_256"
	}
	return hint
}

func containsAny(text string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}
