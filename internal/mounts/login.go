package mounts

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/identity"
)

// defaultTimeout bounds the way to the ticket when azfiles_timeout= does not say otherwise.
const defaultTimeout = 30 * time.Second

// Login is what the options of a line of type azfiles ask for.
type Login struct {
	Choice  config.Choice // of the identity, with the client id that username= names
	CRUID   string        // a number, a name, or "" for the configuration's
	Sec     string        // krb5, krb5i, or "" for krb5
	Timeout time.Duration // positive
	Remount bool
	Plain   bool    // without the options that mounts get by default
	Rest    Options // for mount.cifs, as written and in their order

	Notes []string // of options that nobody knows here: sentences

	// Problems are what cannot be had, in the order of the options: faults of the kinds OptionInvalid and
	// OptionRefused. A line with any cannot be mounted.
	Problems []error

	username string
	off      Options // negations of defaults that nobody else knows
}

// Login reads the options of a line of type azfiles by the table of Rules. Of two options with the same
// name the last one wins.
func (all Options) Login() Login {
	l := Login{Timeout: defaultTimeout}
	if name, problem := all.problem(); problem != "" {
		l.Problems = []error{invalid(name, problem)}
		return l
	}
	for _, o := range all {
		l.addProblem(l.add(o))
	}
	if !l.Remount { // which keeps the login that the mount has
		l.addProblem(l.readUsername())
	}
	return l
}

func (l *Login) addProblem(problem error) {
	if problem != nil {
		l.Problems = append(l.Problems, problem)
	}
}

func (l *Login) add(o Option) error {
	rule, ruled := ruleOf(o)
	if strings.ContainsAny(o.Name, `",`) || !ruled {
		note, problem := spell(o)
		if problem != nil {
			return problem
		}
		if note != "" {
			l.Notes = append(l.Notes, note)
		}
	}
	if rule.Fate == Own {
		return rule.take(l, o)
	}
	if rule.Fate == Dropped {
		return nil
	}
	if rule.refuses(o) {
		return refused(o.Name, rule.Text)
	}
	// mount.cifs knows no quotes and would take the part behind the comma for another option;
	// only a security label comes back in one piece from there.
	if strings.Contains(o.Value, ",") && !strings.HasSuffix(rule.Name, "context") {
		return invalid(o.Name, "mount.cifs would split its value at the comma")
	}
	if switchesOff(o) {
		l.Rest = slices.DeleteFunc(l.Rest, func(other Option) bool { return subjectOf(other) == subjectOf(o) })
		l.off = append(l.off, o)
		return nil
	}
	l.Remount = l.Remount || rule.Name == "remount"
	l.Rest = append(l.Rest, o)
	return nil
}

// readUsername accepts the client id of a managed identity, which is how tables written for
// mount.cifs name one. mount(8) makes user=bob of the option that lets bob mount.
func (l *Login) readUsername() error {
	if l.username == "" {
		return nil
	}
	id := identity.ClientID(l.username)
	if id == "" {
		return refused("username", "identity= or client_id= say who logs in, and a user name can only be a client id")
	}
	if l.Choice.ClientID == "" {
		l.Choice.ClientID = id
	}
	if !strings.EqualFold(l.Choice.ClientID, id) {
		return invalid("username", "it names another client id than client_id=")
	}
	return nil
}

// Err is the first problem, which is what mount.azfiles answers; nil when there is none.
func (l Login) Err() error {
	if len(l.Problems) == 0 {
		return nil
	}
	return l.Problems[0]
}

// Resolve finds who logs in at an endpoint and whose credential cache serves, for every face that
// reads a line of type azfiles: what the options say, else what the configuration says, with the users of the machine h. What mount.cifs gets as username= is the identity's Username.
//
// The errors are faults: the first of Problems, else of the kinds OptionInvalid, IdentityInvalid,
// ConfigInvalid and UIDUnknown.
func (l Login) Resolve(cfg *config.Config, e endpoint.Endpoint, h host.Host) (id identity.Identity, cruid int, err error) {
	if err := l.Err(); err != nil {
		return id, 0, err
	}
	id, err = cfg.Choose(e.Host(), l.Choice)
	if unfit, ok := errors.AsType[*config.ChoiceError](err); ok {
		err = invalid(unfit.Key, unfit.Problem)
	}
	if fault.Is(err, fault.IdentityInvalid) && l.Choice.Name == string(identity.ServicePrincipal) {
		err = fault.IdentityInvalid.New("mount options cannot name the secret of a service-principal", "write it as an entry under identities: in /etc/azfilesauth/config.d/90-local.yaml and set identity= to the name of the entry")
	}
	if err == nil && id.Kind == identity.Token && id.TokenFile == "" {
		err = invalid("identity", "the access token has to come from somewhere: give its file with token_file=")
	}
	if err != nil {
		return id, 0, err
	}
	cruid, err = cfg.CRUID(l.CRUID, h)
	return id, cruid, err
}

// MountCIFS is the login of a line that mount.cifs reads itself: the credential uid, a number or a name,
// and the user name that the kernel's request will show. Left out, they are those of root, who mounts.
func (all Options) MountCIFS() (cruid, username string) {
	cruid, username = "0", "root"
	for _, o := range all {
		if o.Value == "" {
			continue
		}
		if o.Is("cruid") {
			cruid = o.Value // mount.cifs knows no quotes
		}
		if o.Is("user") || o.Is("username") {
			username = o.Value
		}
	}
	return cruid, username
}

// LeavesUserName reports whether a line for mount.cifs leaves its user name to whoever mounts it: with its set-user-id bit
// mount.cifs mounts for users, and takes a name that the line does not have from their variable USER (mount.cifs.c, main).
func (all Options) LeavesUserName() bool {
	forUsers, named := false, false
	for _, o := range all {
		forUsers = forUsers || o.Value == "" && (o.Is("user") || o.Is("users"))
		named = named || o.Value != "" && (o.Is("user") || o.Is("username"))
	}
	return forUsers && !named
}
