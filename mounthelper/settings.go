package mounthelper

import (
	"strconv"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// defaultTimeout bounds the way to the ticket when azfiles_timeout= does not say otherwise.
const defaultTimeout = 30 * time.Second

// settings are the mount options, sorted: our own, and those that go to mount.cifs.
type settings struct {
	choice   config.Choice // of the identity
	username string
	cruid    string        // a number, a name or ""
	sec      string        // krb5, krb5i or ""
	timeout  time.Duration // positive
	remount  bool
	rest     []option // for mount.cifs, as they came and in their order
}

// sortOptions decides what becomes of every option; of two with the same name the last one wins.
// Names are compared in lower case: parts of the kernel's parser do so as well, and PASSWORD= must
// not slip through.
func sortOptions(options []option) (settings, error) {
	s := settings{timeout: defaultTimeout}
	for _, o := range options {
		if err := s.add(o); err != nil {
			return settings{}, err
		}
	}
	return s, nil
}

func (s *settings) add(o option) error {
	name := strings.ToLower(o.name)
	if own := s.own(name); own != nil {
		if o.value == "" {
			return invalid(o.name, "it needs a value")
		}
		*own = o.value
		return nil
	}
	switch {
	case dropped(name, o.valued):
		return nil
	case name == "sec":
		return s.setSec(o)
	case name == "user" || name == "username":
		s.username = o.value
		return nil
	case name == "azfiles_timeout":
		return s.setTimeout(o)
	}
	if problem := refusal(name, o.value); problem != "" {
		return refused(o.name, problem)
	}
	// mount.cifs knows no quotes and would take the part behind the comma for another option;
	// only a security label comes back in one piece from there.
	if strings.Contains(o.value, ",") && !strings.HasSuffix(name, "context") {
		return invalid(o.name, "mount.cifs would split its value at the comma")
	}
	s.remount = s.remount || name == "remount"
	s.rest = append(s.rest, o)
	return nil
}

// own finds the place for the value of an option that is ours alone.
func (s *settings) own(name string) *string {
	return map[string]*string{
		"identity":       &s.choice.Name,
		"client_id":      &s.choice.ClientID,
		"object_id":      &s.choice.ObjectID,
		"resource_id":    &s.choice.ResourceID,
		"tenant_id":      &s.choice.TenantID,
		"token_file":     &s.choice.TokenFile,
		"authority_host": &s.choice.Authority,
		"resource":       &s.choice.Resource,
		"cruid":          &s.cruid,
	}[name]
}

// dropped reports whether mount(8) or systemd are the ones who act on an option. mount(8) takes
// some of them out itself, but nobody does when the helper is run directly, and the kernel refuses
// a mount for each. nofail must not reach mount.cifs: it would report success without a mount.
func dropped(name string, valued bool) bool {
	switch name {
	case "_netdev", "nofail", "auto", "noauto", "defaults", "comment", "helper", "uhelper",
		"users", "nousers", "nouser", "owner", "noowner", "group", "nogroup",
		"loop", "offset", "sizelimit", "encryption",
		"private", "shared", "slave", "unbindable", "rprivate", "rshared", "rslave", "runbindable":
		return true
	case "user":
		return !valued
	}
	return strings.HasPrefix(name, "x-")
}

// refusal says why an option cannot be had together with a login by Kerberos, or "".
func refusal(name, value string) string {
	switch {
	case hasPrefix(name, "pass", "cred"):
		return "the login is by Kerberos, there is no password"
	case name == "guest":
		return "Azure Files has no guests"
	case hasPrefix(name, "dom", "workg"):
		return "the ticket says who the client is, there is no domain"
	case name == "unc" || name == "target" || name == "path" || name == "source" || hasPrefix(name, "prefixpath", "prepath"):
		return "the share and its directory belong into the source: //<host>/<share>/<directory>"
	case hasPrefix(name, "netbiosname", "servern"):
		return "Azure Files has no NetBIOS names"
	case name == "multiuser":
		return "every user would need a ticket of their own; use uid=, gid=, file_mode= and dir_mode= to share the mount"
	case name == "vers" && hasPrefix(value, "1", "2"):
		return "Azure Files wants SMB 3; leave it out, or use vers=3.1.1"
	}
	return ""
}

func hasPrefix(s string, prefixes ...string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

func (s *settings) setSec(o option) error {
	switch o.value {
	case "krb5", "krb5i":
		s.sec = o.value
		return nil
	case "krb5p":
		return refused("sec=krb5p", "the kernel does not know it; for encryption use sec=krb5 and seal")
	}
	return refused("sec="+o.value, "the login is by Kerberos: krb5, or krb5i to sign every message")
}

// setTimeout accepts a Go duration or a number of seconds.
func (s *settings) setTimeout(o option) error {
	d, err := time.ParseDuration(o.value)
	if n, numErr := strconv.Atoi(o.value); numErr == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d <= 0 || d > time.Hour {
		return invalid(o.name, "it must be a time between 0 and 1h, such as 30s or 30")
	}
	s.timeout = d
	return nil
}

func refused(name, problem string) error {
	return fault.OptionRefused.New(name, problem)
}
