package doctor

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"
)

func keyForgeryCheck() Check {
	return Check{
		ID: "key-forgery", Group: Machine, Title: "forged requests (CVE-2026-46243)", Severity: Latent,
		Proves: "The kernel lets nobody but its SMB client ask for the keys of Kerberos logins.",
		Why:    "Otherwise any user can have the handlers of such requests, which run as root, work on a description of his own. azfiles.upcall trusts none; cifs.upcall does.",
		Run:    checkKeyForgery,
	}
}

func checkKeyForgery(_ context.Context, s *Subject) Result {
	switch err := s.Kernel.AddKey("cifs.spnego", "azfilesauth-probe"); {
	case err == nil:
		return Warned("install the newest kernel of your distribution and reboot", "any user can add keys of the type cifs.spnego")
	case errors.Is(err, unix.EPERM):
		return Good("the kernel refuses them")
	case errors.Is(err, unix.ENODEV):
		return NotChecked("the module cifs is not loaded")
	default:
		return NotChecked("the kernel cannot be asked: %v", err)
	}
}
