package mounts

import (
	"strconv"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// Fate is what becomes of an option of a line of type azfiles.
type Fate int

// The fates of an option.
const (
	Passed  Fate = iota // it goes to mount.cifs as it is
	Own                 // it is for mount.azfiles
	Dropped             // mount(8) or systemd act on it
	Refused             // it cannot be had together with a login by Kerberos
)

// Rule is a row of the table of options.
type Rule struct {
	Name  string // in lower case; with a * at its end it stands for all names that begin so
	Fate  Fate
	Value string // of an own option, as help shows it
	Text  string // of an own option what it is for, "" when another row tells; else why it is refused

	take func(*Login, Option) error // of an own option: puts it into the Login, or says why not
	when func(value string) bool    // of a refused one: nil is always
}

// refuses reports whether the option cannot be had as it is written.
func (r Rule) refuses(o Option) bool {
	return r.Fate == Refused && (r.when == nil || r.when(o.Text()))
}

// Rules gives the table of options, the own ones first. What is not in it is Passed.
func Rules() []Rule { return rules }

// rules is the one place that knows the options of azfiles. Of two rows for a name the first one counts.
//
// The dropped ones: mount(8) takes some of them out itself, but nobody does when the helper is run
// directly, and the kernel refuses a mount for each. nofail must not reach mount.cifs: it would report
// success without a mount.
var rules = append([]Rule{
	{"identity", Own, "NAME", "system, arc, workload, cli, token, or an entry of identities: in the configuration", text(func(l *Login) *string { return &l.Choice.Name }), nil},
	{"client_id", Own, "GUID", "a user-assigned managed identity, also as username=GUID or user=GUID", text(func(l *Login) *string { return &l.Choice.ClientID }), nil},
	{"object_id", Own, "GUID", "the same by the id of its principal, or by resource_id=ID", text(func(l *Login) *string { return &l.Choice.ObjectID }), nil},
	{"resource_id", Own, "ID", "", text(func(l *Login) *string { return &l.Choice.ResourceID }), nil},
	{"tenant_id", Own, "TENANT", "of a workload identity, which also needs client_id= and token_file=", text(func(l *Login) *string { return &l.Choice.TenantID }), nil},
	{"token_file", Own, "PATH", "a file with its token, or alone with an access token (identity=token)", text(func(l *Login) *string { return &l.Choice.TokenFile }), nil},
	{"authority_host", Own, "URL", "where Entra issues tokens for a workload identity", text(func(l *Login) *string { return &l.Choice.Authority }), nil},
	{"resource", Own, "URL", "what tokens are for", text(func(l *Login) *string { return &l.Choice.Resource }), nil},
	{"cruid", Own, "UID", "whose credential cache holds the ticket", text(func(l *Login) *string { return &l.CRUID }), nil},
	{"sec", Own, "krb5|krb5i", "how the kernel logs in", takeSec, nil},
	{"azfiles_timeout", Own, "30s", "bound on getting the ticket", takeTimeout, nil},
	{noDefaults, Own, "none", "without the options that mounts get by default", takeDefaults, nil},
	{"username", Own, "GUID", "", text(func(l *Login) *string { return &l.username }), nil},
	{"user", Own, "GUID", "", takeUser, nil},

	{Name: "x-*", Fate: Dropped},

	{Name: "pass*", Fate: Refused, Text: noPassword},
	{Name: "cred*", Fate: Refused, Text: noPassword},
	{Name: "guest", Fate: Refused, Text: "Azure Files has no guests"},
	{Name: "dom*", Fate: Refused, Text: noDomain},
	{Name: "workg*", Fate: Refused, Text: noDomain},
	{Name: "unc", Fate: Refused, Text: inSource},
	{Name: "target", Fate: Refused, Text: inSource},
	{Name: "path", Fate: Refused, Text: inSource},
	{Name: "source", Fate: Refused, Text: inSource},
	{Name: "prefixpath*", Fate: Refused, Text: inSource},
	{Name: "prepath*", Fate: Refused, Text: inSource},
	{Name: "netbiosname*", Fate: Refused, Text: noNetBIOS},
	{Name: "servern*", Fate: Refused, Text: noNetBIOS},
	{Name: "multiuser", Fate: Refused, Text: "every user would need a ticket of their own; use uid=, gid=, file_mode= and dir_mode= to share the mount"},
	{Name: "vers", Fate: Refused, Text: "Azure Files wants SMB 3; leave it out, or use vers=3.1.1", when: isOldSMB},
}, dropped()...)

// Why an option is refused.
const (
	noPassword = "the login is by Kerberos, there is no password" //nolint:gosec // a sentence
	noDomain   = "the ticket says who the client is, there is no domain"
	inSource   = "the share and its directory belong into the source: //<host>/<share>/<directory>"
	noNetBIOS  = "Azure Files has no NetBIOS names"
)

func dropped() []Rule {
	var all []Rule
	for name := range strings.FieldsSeq(`_netdev nofail auto noauto defaults comment helper uhelper
		users nousers nouser owner noowner group nogroup loop offset sizelimit encryption
		private shared slave unbindable rprivate rshared rslave runbindable`) {
		all = append(all, Rule{Name: name, Fate: Dropped})
	}
	return all
}

// Names gives the names of the options with a fate, in the order of the table.
func Names(fate Fate) []string {
	var all []string
	for _, r := range rules {
		if r.Fate == fate {
			all = append(all, r.Name)
		}
	}
	return all
}

// ruleOf finds the row for an option; without one, the option is passed on.
func ruleOf(o Option) (rule Rule, found bool) {
	name := strings.ToLower(o.Name)
	for _, r := range rules {
		prefix, many := strings.CutSuffix(r.Name, "*")
		if r.Name == name || many && strings.HasPrefix(name, prefix) {
			return r, true
		}
	}
	return Rule{Name: name}, false
}

// text makes a rule's take for an option whose value is kept as it is.
func text(place func(*Login) *string) func(*Login, Option) error {
	return func(l *Login, o Option) error {
		if o.Text() == "" {
			return invalid(o.Name, "it needs a value")
		}
		*place(l) = o.Text()
		return nil
	}
}

// takeUser reads user=, another name of username=. Without a value it is mount(8)'s: who may mount.
func takeUser(l *Login, o Option) error {
	if !o.Valued {
		return nil
	}
	return text(func(l *Login) *string { return &l.username })(l, o)
}

func takeSec(l *Login, o Option) error {
	switch sec := o.Text(); sec {
	case "krb5", "krb5i":
		l.Sec = sec
		return nil
	case "krb5p":
		return refused("sec=krb5p", "the kernel does not know it; for encryption use sec=krb5 and seal")
	default:
		return refused("sec="+sec, "the login is by Kerberos: krb5, or krb5i to sign every message")
	}
}

// takeTimeout accepts a Go duration or a number of seconds.
func takeTimeout(l *Login, o Option) error {
	d, err := time.ParseDuration(o.Text())
	if n, numErr := strconv.Atoi(o.Text()); numErr == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d <= 0 || d > time.Hour {
		return invalid(o.Name, "it must be more than 0 and at most 1h, such as 30s or 30")
	}
	l.Timeout = d
	return nil
}

func isOldSMB(version string) bool {
	return strings.HasPrefix(version, "1") || strings.HasPrefix(version, "2")
}

func invalid(name, problem string) error {
	return fault.OptionInvalid.New(name, problem)
}

func refused(name, problem string) error {
	return fault.OptionRefused.New(name, problem)
}
