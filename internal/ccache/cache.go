// Package ccache reads and writes the MIT credential cache of type FILE in which service tickets
// live, and beside each ticket the record of who obtained it. The cache is the single source of
// truth: there is no other state.
//
// It has two halves. Cache is the content: a bounded codec (Parse, Outline, Marshal) and the operations on
// tickets, all in memory. Store is the file: where it may be, whom it may belong to, its lock and
// its atomic replacement.
//
// Invariants: no input makes Parse panic or allocate more than a small multiple of the input's
// size; what Parse accepts, Marshal writes so that Parse gives the same again; an entry that
// libkrb5 has removed is never kept, so a cache does not grow; a Store never follows a link to a
// cache, never reads or writes a cache that others can change, and leaves either the old file or
// the new one, whole.
package ccache

import (
	"time"

	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// MaxSize bounds a cache, in bytes: some thousands of tickets. A larger file counts as damaged, and
// Update never writes one.
const MaxSize = 8 << 20

// MaxEntries bounds the entries of a cache, removed ones too: of tiny ones MaxSize would hold a hundred thousand. A
// file with more counts as damaged.
const MaxEntries = 4096

// Key is a session key.
type Key struct {
	Etype uint16 // RFC 3961, 8, and the IANA registry "Kerberos Encryption Type Numbers"
	Value secret.Value
}

// TypedData is an address or an element of authorization data (RFC 4120, 5.2.5 and 5.2.6).
type TypedData struct {
	Type uint16
	Data []byte
}

// Credential is one entry of a cache, in the terms of "Credential format" in MIT's
// doc/formats/ccache_file_format. Times are whole seconds in UTC; the zero time is 0 in the file.
type Credential struct {
	Client, Server                          Principal
	Key                                     Key
	AuthTime, StartTime, EndTime, RenewTill time.Time
	IsSKey                                  bool   // encrypted in another ticket's session key; libkrb5 never picks such an entry for us
	Flags                                   uint32 // ticket flags, the first bit is the most significant (RFC 4120, 5.3)
	Addresses, AuthData                     []TypedData
	Ticket, SecondTicket                    secret.Value // DER of a Ticket; the value, in a configuration entry
}

// ValidFrom is when the ticket begins to be valid: without a start, when the login was (RFC 4120, 5.3).
func (c Credential) ValidFrom() time.Time {
	if c.StartTime.IsZero() {
		return c.AuthTime
	}
	return c.StartTime
}

// Cache is the content of a credential cache. The zero Cache is empty and ready to use.
type Cache struct {
	// Principal is the default principal. libkrb5 finds no ticket of another client.
	Principal Principal

	// Credentials are the entries in the order of the file, configuration entries included.
	Credentials []Credential

	// kdcOffset is the clock offset that libkrb5 noted in the header: 8 bytes that belong to it.
	kdcOffset []byte

	// records are those of byPlace, see Indexed; nil when they are looked for one by one.
	records map[string]Record

	// recorded are the places of the records that an Outline leaves out, nil in any other Cache.
	recorded map[string]bool

	// refused is why a Put was not carried out, for Update to report.
	refused error
}

// RC4 is the encryption type rc4-hmac (RFC 4757), which is weak and which Microsoft is removing: we log in with no such key.
const RC4 = 23

// KeySize is the length in bytes of a key of the encryption type etype, and whether we know it:
// aes128 and aes256 with SHA-1 (17, 18; RFC 3962) and with SHA-2 (19, 20; RFC 8009), and RC4.
func KeySize(etype uint16) (int, bool) {
	switch etype {
	case 17, 19, RC4:
		return 16, true
	case 18, 20:
		return 32, true
	}
	return 0, false
}
