package azurefake

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/types"
)

// pvno is the protocol version of Kerberos in every message (RFC 4120 5.4.1).
const pvno = 5

// ticketFlags are initial (bit 9) and pre-authent (bit 10), RFC 4120 5.3.
var ticketFlags = []byte{0, 0x60, 0, 0}

// grant is one ticket with what its client has to know about it.
type grant struct {
	realm          string
	client, server principal
	key            types.EncryptionKey // the session key
	start, end     time.Time           // whole seconds
	ticket         []byte              // RFC 4120 5.3, sealed with the service key
}

// newKey makes a random session key.
func newKey(etype int32, length int) types.EncryptionKey {
	value := make([]byte, length)
	_, _ = rand.Read(value) // cannot fail
	return types.EncryptionKey{KeyType: etype, KeyValue: value}
}

// seal makes the grant's ticket, encrypted with the service key.
func (g *grant) seal(key types.EncryptionKey) error {
	plain, err := g.encTicketPart()
	if err != nil {
		return err
	}
	sealed, err := crypto.GetEncryptedData(plain, key, keyusage.KDC_REP_TICKET, kvno)
	if err != nil {
		return fmt.Errorf("azurefake: ticket: %w", err)
	}
	g.ticket, err = application(1, func(b *builder) {
		addInt(b, 0, pvno)
		addString(b, 1, g.realm)
		addName(b, 2, g.server)
		addEncrypted(b, 3, sealed)
	})
	return err
}

// encTicketPart is what the service reads in the ticket (RFC 4120 5.3). There is no authorization
// data: a stand-alone Samba refuses tickets with a PAC.
func (g *grant) encTicketPart() ([]byte, error) {
	return application(3, func(b *builder) {
		addFlags(b, 0, ticketFlags)
		addKey(b, 1, g.key)
		addString(b, 2, g.realm)
		addName(b, 3, g.client)
		addSequence(b, 4, func(b *builder) { // TransitedEncoding: no realm between
			addInt(b, 0, 1)
			addOctets(b, 1, nil)
		})
		addTime(b, 5, g.start)
		addTime(b, 6, g.start)
		addTime(b, 7, g.end)
	})
}

// credInfo is the KrbCredInfo of the grant (RFC 4120 5.8.1), an element of a SEQUENCE.
func (g *grant) credInfo(b *builder, withTimes bool) {
	addKey(b, 0, g.key)
	addString(b, 1, g.realm)
	addName(b, 2, g.client)
	addFlags(b, 3, ticketFlags)
	if withTimes {
		addTime(b, 4, g.start)
		addTime(b, 5, g.start)
		addTime(b, 6, g.end)
	}
	addString(b, 8, g.realm)
	addName(b, 9, g.server)
}
