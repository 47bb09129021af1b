package doctor

import (
	"context"
	"strings"
)

func gcm256Check() Check {
	return Check{
		ID: "aes-256-gcm", Group: Machine, Title: "AES-256-GCM", Severity: Latent, Offline: true,
		Proves: "The SMB client offers AES-256-GCM to the server.",
		Why:    "A storage account that allows nothing else for the channel refuses the mount with error 13, although the login is right.",
		Run:    checkGCM256,
	}
}

func checkGCM256(_ context.Context, s *Subject) Result {
	const folder = "/sys/module/cifs/parameters/"
	parameter := func(name string) string {
		content, _ := s.ReadFile(folder + name)
		return strings.TrimSpace(string(content))
	}
	switch {
	case parameter("require_gcm_256") == "Y":
		return Good("required")
	case parameter("enable_gcm_256") == "N":
		return Warned("echo Y > "+folder+"enable_gcm_256, and remove enable_gcm_256 from /etc/modprobe.d", "the module cifs has enable_gcm_256=N")
	case parameter("enable_gcm_256") == "Y":
		return Good("offered")
	}
	return NotChecked("the module cifs is not loaded")
}
