package azurefake

import (
	"fmt"
	"time"

	"github.com/jcmturner/gokrb5/v8/types"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// krbCred is a KRB-CRED of the grants (RFC 4120 5.8.1). Its encrypted part is not encrypted but in
// the clear with etype 0, as MIT's krb5_mk_1cred writes it without a key and as the storage service does.
func krbCred(grants []grant, withTimes bool) ([]byte, error) {
	clear, err := application(29, func(b *builder) { // EncKrbCredPart
		addSequence(b, 0, func(b *builder) {
			for _, g := range grants {
				b.AddASN1(asn1.SEQUENCE, func(b *builder) { g.credInfo(b, withTimes) })
			}
		})
	})
	if err != nil {
		return nil, err
	}
	return application(22, func(b *builder) {
		addInt(b, 0, pvno)
		addInt(b, 1, 22) // msg-type
		addSequence(b, 2, func(b *builder) {
			for _, g := range grants {
				b.AddBytes(g.ticket)
			}
		})
		addEncrypted(b, 3, types.EncryptedData{Cipher: clear})
	})
}

// issued is what a storage account answers with.
type issued struct {
	expiry     time.Time // with a fraction of a second, as the service tells it
	sessionKey []byte
	cred       []byte // KRB-CRED
	ticket     []byte // the Ticket in it
}

// issue makes the tickets for a canonical host, as an order wants them.
func (f *Fake) issue(host string, o Order, now time.Time) (issued, error) {
	count := 1
	if o.Tickets != nil {
		count = *o.Tickets
	}
	var grants []grant
	for i := 1; i < count; i++ {
		g, err := f.grant(fmt.Sprintf("decoy%d.%s", i, host), o, now)
		if err != nil {
			return issued{}, err
		}
		grants = append(grants, g)
	}
	right, err := f.grant(host, o, now)
	if err != nil {
		return issued{}, err
	}
	if count > 0 {
		grants = append(grants, right)
	}
	cred, err := krbCred(grants, !o.NoTimes)
	if err != nil {
		return issued{}, err
	}
	answer := issued{expiry: right.end.Add(fraction(now)), sessionKey: right.key.KeyValue, cred: cred, ticket: right.ticket}
	if o.SessionKeyMismatch {
		answer.sessionKey = newKey(0, len(answer.sessionKey)).KeyValue
	}
	return answer, nil
}

// fraction is now's part of a second.
func fraction(now time.Time) time.Duration { return now.Sub(now.Truncate(time.Second)) }

// grant makes one ticket for the cifs service of a host.
func (f *Fake) grant(host string, o Order, now time.Time) (grant, error) {
	setDefault(&o.Lifetime, f.opt.Lifetime)
	setDefault(&o.Etype, f.opt.Etype)
	setDefault(&o.WrongServer, host)
	sealType := o.Etype
	if keyLength(sealType) == 0 {
		sealType = f.opt.Etype
	}
	setDefault(&o.KeyLen, keyLength(sealType))
	g := grant{
		realm:  f.opt.Realm,
		client: principal{ntPrincipal, []string{f.opt.Client}},
		server: service(o.WrongServer),
		key:    newKey(o.Etype, o.KeyLen),
	}
	g.start, g.end = validity(now, o.Lifetime)
	key, err := f.keys.key(g.server, sealType, o.Secret)
	if err != nil {
		return grant{}, err
	}
	return g, g.seal(key)
}
