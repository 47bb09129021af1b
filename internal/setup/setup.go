// Package setup brings a machine into the state in which a share can be mounted, and back.
//
// An Action knows one thing that a machine needs. Asked for its plan, it looks at the machine and
// gives the changes that are missing: none when all is as it should be, so that everything may be
// run any number of times. A change is shown, with a unified diff where it is one of a file, before
// any is made; it is made only while the machine is still as it was shown; and it is written into a
// journal first, by which Undo takes it back.
//
// Invariants: no file of another package is edited, but for the accounts of our own user and, when
// asked for by name, krb5.conf. Every file is replaced whole, by a rename, with its owner and mode.
// The journal holds only the bytes that a change removed and added, so no password hash and no ticket
// gets into it. Undo gives back bytes, owner and mode exactly, and leaves alone what anybody else
// changed since. What systemd knows how to do, users and links of units, its own tools do to copies, and
// the result is planned like any other change.
package setup

import (
	"cmp"
	"os"
	"slices"

	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
)

// Host is the machine that actions change.
type Host struct {
	host.Host
	Booted bool      // systemd runs on it and can be asked to start services
	Tools  host.Host // the machine whose tools of systemd work on copies; this one

	// Forget makes the kernel forget its failed requests for tickets, so that a mount succeeds at
	// once after a change; nil does not.
	Forget func() (bool, error)
}

// At is the machine whose files are beneath root, such as an image that is being built: nothing is
// started there. The root "" or "/" is this machine.
func At(root string) Host {
	h := Host{Host: host.Beneath(cmp.Or(root, "/")), Tools: host.Real()}
	if h.Live() {
		h.Forget = keyring.ForgetFailures
		_, err := os.Stat("/run/systemd/system") // sd_booted(3)
		h.Booted = err == nil
	}
	return h
}

// Action is one thing that a machine needs.
type Action struct {
	ID    string // stable, such as "request-key-rule"
	asked bool   // only on request, see Default
	plan  func(*planner) error
}

// The actions' ids, and what each sees to.
const (
	Directories  = "folders"          // the directories of tickets and configuration
	Config       = "config"           // a configuration, where there is none
	Rule         = "request-key-rule" // the rule by which the kernel's requests reach azfiles.upcall
	Links        = "links"            // the program's other names
	User         = "user"             // the system user of a configuration without USER_UID
	Unit         = "unit"             // the service that renews tickets
	CCache       = "ccache"           // a credential cache that is damaged or belongs to another user, out of the way
	UserGroups   = "user-groups"      // the system user out of the groups that may become root
	KRB5Conf     = "krb5-conf"        // a default_realm in krb5.conf
	StockHandler = "stock-handler"    // the realm of Azure Files for cifs.upcall
)

// Actions are all actions, in the order in which they are run.
func Actions() []Action {
	return []Action{
		{ID: Directories, plan: planDirectories},
		{ID: Config, plan: planConfig},
		{ID: Links, plan: planLinks},
		{ID: Rule, plan: planRule},
		{ID: User, plan: planUser},
		{ID: Unit, plan: planUnit},
		{ID: CCache, plan: planCCache},
		{ID: UserGroups, asked: true, plan: planGroups},
		{ID: KRB5Conf, asked: true, plan: planKRB5},
		{ID: StockHandler, asked: true, plan: planDomainRealm},
	}
}

// Default are the actions that need not be asked for one by one.
func Default() []Action {
	return slices.DeleteFunc(Actions(), func(a Action) bool { return a.asked })
}

// ByID finds an action.
func ByID(id string) (Action, bool) {
	all := Actions()
	i := slices.IndexFunc(all, func(a Action) bool { return a.ID == id })
	if i < 0 {
		return Action{}, false
	}
	return all[i], true
}
