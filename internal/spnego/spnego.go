// Package spnego turns a service ticket into the answer to the kernel's request for a cifs.spnego
// key: a Kerberos AP-REQ in its GSS-API framing, in a SPNEGO NegTokenInit, behind the session key
// in the message that the kernel's SMB client reads.
//
// The answer is what cifs.upcall sends: no mutual authentication, because the kernel reads no
// reply token, and a subkey of our own, which is therefore the session key of both sides.
//
// Invariants: the lengths that a payload states are those of what follows them, since the kernel
// does not check them; a ticket's bytes pass through untouched; no input makes the package panic.
// It reaches neither files nor the network, and must not bring net/http into the upcall.
package spnego

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// ticketTag is [APPLICATION 1], constructed: a Ticket (RFC 4120, 5.3).
const ticketTag = classApplication | constructed | 1

// Mechanism is the Kerberos mechanism that the server advertised: sec= of the key's description.
type Mechanism int

// The mechanisms of the Linux kernel's fs/smb/client/cifs_spnego.c that a service ticket answers.
const (
	Krb5   Mechanism = iota // 1.2.840.113554.1.2.2 (RFC 1964, 1)
	MSKrb5                  // 1.2.840.48018.1.2.2, the same with an old mistake of Windows (MS-SPNG)
)

// ParseMechanism reads the value of sec= in the description of a cifs.spnego key. Any other value
// than krb5 and mskrb5, iakerb among them, is an error of the kind fault.Mechanism.
func ParseMechanism(sec string) (Mechanism, error) {
	switch sec {
	case "krb5":
		return Krb5, nil
	case "mskrb5":
		return MSKrb5, nil
	}
	return 0, fault.Mechanism.New(sec)
}

// Payload builds the answer to a cifs.spnego key from the service ticket cred: the kernel's struct
// cifs_spnego_msg with a fresh session key. now goes into the login, so the server compares it
// with its own clock.
//
// Errors are of the kinds fault.TicketEtype, TicketExpired, TicketDamaged, TicketTooLarge and, for
// what cannot be encoded, Internal.
func Payload(cred ccache.Credential, mech Mechanism, now time.Time) (secret.Value, error) {
	if err := check(cred, now); err != nil {
		return secret.Value{}, err
	}
	subkey := make([]byte, cred.Key.Value.Len())
	defer clear(subkey)
	_, _ = rand.Read(subkey) // never fails: it ends the program instead
	token, err := negTokenInit(cred, subkey, mech, now)
	if err != nil {
		return secret.Value{}, fault.Internal.New().Because(err)
	}
	payload, err := message(subkey, token)
	if err != nil {
		return secret.Value{}, fault.TicketTooLarge.New(host(cred)).Because(err)
	}
	return secret.New(payload), nil
}

// check refuses a ticket that cannot become a login.
func check(cred ccache.Credential, now time.Time) error {
	size, known := ccache.KeySize(cred.Key.Etype)
	if !known || cred.Key.Etype == ccache.RC4 {
		return etypeFault(cred, nil)
	}
	if n := cred.Key.Value.Len(); n != size {
		return etypeFault(cred, fmt.Errorf("its session key is of %d bytes, not %d", n, size))
	}
	if !now.Before(cred.EndTime) {
		return fault.TicketExpired.New(host(cred), cred.EndTime.UTC().Format(time.RFC3339))
	}
	if problem := damage(cred); problem != "" {
		return fault.TicketDamaged.New(host(cred), problem)
	}
	return nil
}

// damage says what is wrong with the parts of cred that go into the login as they are. What is
// inside the ticket is the server's affair.
func damage(cred ccache.Credential) string {
	rest := cryptobyte.String(cred.Ticket.Reveal())
	var ticket cryptobyte.String
	if !rest.ReadASN1Element(&ticket, ticketTag) {
		return "its bytes are not a ticket"
	}
	if !rest.Empty() {
		return fmt.Sprintf("%d bytes follow the ticket", len(rest))
	}
	if cred.Client.Realm == "" || len(cred.Client.Components) == 0 {
		return "it does not say whose it is"
	}
	return ""
}

func etypeFault(cred ccache.Credential, cause error) error {
	account, _, _ := strings.Cut(host(cred), ".")
	return fault.TicketEtype.New(host(cred), strconv.Itoa(int(cred.Key.Etype)), account).Because(cause)
}

// host is the server that the ticket is for, as an error text names it.
func host(cred ccache.Credential) string {
	if c := cred.Server.Components; len(c) > 1 {
		return c[1]
	}
	return cred.Server.String()
}
