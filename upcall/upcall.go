// Package upcall is the face of azfiles.upcall, the program that the kernel's SMB client has started
// by request-key(8) for each login by Kerberos: at a mount, for each further channel, at each
// reconnect and whenever a ticket has ended.
//
// It takes the serial of a key of type cifs.spnego, reads from the key's description for whom the
// login is, and answers with a login made of the service ticket in our credential cache. If the
// ticket is too old it fetches another one first, so that a mount heals itself even when nobody
// refreshes tickets. A ticket that is good enough answers at once, before anything else is made ready, and whoever
// obtained it; the deadline bounds only what waits for others.
//
// Our rule is matched by every login, so requests for other servers are passed on to the rule that
// would win without ours: its program takes the place of this process, as if it had been started by
// request-key itself. A host in the domains of Azure is known without any file. For another one the
// configuration is looked at, since it can name further hosts; a configuration that cannot be read
// names none, so that what is wrong with it never stops another server's mount. Nothing else is
// touched for another server: no credential cache, no lock, no network. Where a login at an
// endpoint may be one with a ticket of a user's own, that program is tried first, as a child (tickets.MayBeOthers).
//
// Invariants: the description is hostile (on some kernels any user can make one up), so it chooses
// no file, no namespace and no identity that root has not named; its pid is a label. (To another rule's
// program, which gets it as request-key would give it, it may be more.) The kernel
// waits for our end without a limit and keeps the answer of a process that dies without one for a
// minute. So every way out answers the key, panics too, and a watchdog
// rejects the key and ends the process when it takes too long; what remains is SIGKILL. A rejection
// is ENOKEY for a few seconds: the only error that the kernel remembers, and so the only throttle.
package upcall

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/confine"
	machine "github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/keyring"
	"github.com/azfilesauth/azfilesauth/internal/requestkey"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

const program = "azfiles.upcall"

// handler is azfiles.upcall with its surroundings.
type handler struct {
	machine.Host

	keyType string // of the keys that are answered
	rules   requestkey.Files
	helper  string   // the cifs.upcall of cifs-utils
	syslog  string   // the socket of the system's log
	kmsg    string   // where to log without one
	env     []string // for the program of another rule

	tickets.Access

	deadline time.Duration // of all that waits for nobody
	grace    time.Duration // after a deadline, in which a request may still come to its own end, which tells more
	begin    func()        // is called before a request is looked at
}

// system is the handler on this machine.
func system(env []string) *handler {
	return &handler{
		Host:     machine.Real(),
		keyType:  "cifs.spnego",
		rules:    requestkey.System(),
		helper:   "/usr/sbin/cifs.upcall",
		syslog:   "/dev/log",
		kmsg:     "/dev/kmsg",
		env:      env,
		Access:   tickets.Access{OpenRing: keyring.OpenRing},
		deadline: 30 * time.Second, // something hangs: a login takes milliseconds
		grace:    500 * time.Millisecond,
		begin:    func() {},
	}
}

// Main is azfiles.upcall. It takes os.Args and gives the exit status, which nobody looks at: what
// counts is the state of the key.
func Main(args []string, version string) int {
	env := os.Environ()
	confine.Isolate()
	if len(args) == 2 && (args[1] == "-V" || args[1] == "--version") {
		fmt.Printf("%s from azfilesauth %s\n", program, version)
		return 0
	}
	key, ok := serial(args[1:])
	if !ok {
		fmt.Fprintf(os.Stderr, "usage: %s KEY | -V | --version\nIt is called by request-key(8), by way of /etc/request-key.d/azfiles.conf.\n", program)
		return 1
	}
	return surroundings(env).serve(key)
}

// serial reads the only argument, a key's number in decimal.
func serial(args []string) (keyring.Serial, bool) {
	if len(args) != 1 {
		return 0, false
	}
	n, err := strconv.ParseInt(args[0], 10, 32)
	return keyring.Serial(n), err == nil && n > 0
}

// serve answers or rejects the key and gives the exit status.
func (h *handler) serve(key keyring.Serial) int {
	r := &request{handler: h, key: key, asked: time.Now()}
	r.known.Store(&known{deadline: h.deadline})
	r.dog = time.AfterFunc(h.deadline+h.grace, r.giveUp)
	defer r.dog.Stop()
	if err := r.attempt(); err != nil {
		r.refuse(err)
		return 1
	}
	return 0
}
