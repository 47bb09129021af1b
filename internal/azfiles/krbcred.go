package azfiles

import (
	"errors"
	"fmt"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/types"
	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"
)

const (
	// maxCred bounds a KRB-CRED, in bytes, and maxTickets what it holds; one ticket is expected.
	maxCred    = 256 << 10
	maxTickets = 64

	krbVersion  = 5  // RFC 4120, 5.4.1, pvno
	krbCredType = 22 // RFC 4120, 7.5.7, KRB-CRED

	// Application tags of RFC 4120, 5.10.
	appTicket         = tag.Tag(0x60 | 1)
	appKRBCred        = tag.Tag(0x60 | 22)
	appEncKrbCredPart = tag.Tag(0x60 | 29)
)

// grant is one ticket with what the client has to know about it.
type grant struct {
	raw    []byte // the Ticket as it came: the service must see the very bytes
	ticket ticket
	info   credInfo
}

// ticket is a Ticket (RFC 4120, 5.3). Like credInfo it is written here, because gokrb5's package of messages brings its
// client and encoding/gob into every start of the program.
type ticket struct {
	Version int                 `asn1:"explicit,tag:0"`
	Realm   string              `asn1:"generalstring,explicit,tag:1"`
	SName   types.PrincipalName `asn1:"explicit,tag:2"`
	EncPart types.EncryptedData `asn1:"explicit,tag:3"`
}

// credInfo is a KrbCredInfo (RFC 4120, 5.8.1).
type credInfo struct {
	Key       types.EncryptionKey `asn1:"explicit,tag:0"`
	PRealm    string              `asn1:"generalstring,optional,explicit,tag:1"`
	PName     types.PrincipalName `asn1:"optional,explicit,tag:2"`
	Flags     asn1.BitString      `asn1:"optional,explicit,tag:3"`
	AuthTime  time.Time           `asn1:"generalized,optional,explicit,tag:4"`
	StartTime time.Time           `asn1:"generalized,optional,explicit,tag:5"`
	EndTime   time.Time           `asn1:"generalized,optional,explicit,tag:6"`
	RenewTill time.Time           `asn1:"generalized,optional,explicit,tag:7"`
	SRealm    string              `asn1:"optional,explicit,ia5,tag:8"`
	SName     types.PrincipalName `asn1:"optional,explicit,tag:9"`
	CAddr     types.HostAddresses `asn1:"optional,explicit,tag:10"`
}

// errDamaged says no more, since the bytes at fault are secret.
var errDamaged = errors.New("the KRB-CRED is damaged")

// readKRBCred reads a KRB-CRED (RFC 4120, 5.8.1) whose EncKrbCredPart is in the clear. The frame is
// taken apart here, which bounds the number of its parts, keeps the tickets' bytes and refuses
// whatever stands behind; gokrb5's reader of ASN.1 decodes the parts.
func readKRBCred(b []byte) ([]grant, error) {
	if len(b) > maxCred {
		return nil, fmt.Errorf("the KRB-CRED is longer than %d bytes", maxCred)
	}
	frame := cryptobyte.String(b)
	body, ok := readWrapped(&frame, appKRBCred, tag.SEQUENCE)
	if !ok || !frame.Empty() {
		return nil, errDamaged
	}
	version, ok1 := number(&body, 0)
	kind, ok2 := number(&body, 1)
	tickets, ok3 := readWrapped(&body, member(2), tag.SEQUENCE)
	sealed, ok4 := readWrapped(&body, member(3), tag.SEQUENCE)
	if !ok1 || !ok2 || !ok3 || !ok4 || !body.Empty() || version != krbVersion || kind != krbCredType {
		return nil, errDamaged
	}
	infos, err := openInfos(sealed)
	if err != nil {
		return nil, err
	}
	return pair(tickets, infos)
}

// openInfos takes the descriptions of the tickets out of the EncryptedData (RFC 4120, 5.2.9).
func openInfos(sealed cryptobyte.String) (infos cryptobyte.String, err error) {
	etype, ok := number(&sealed, 0)
	if ok && etype != 0 {
		return nil, fmt.Errorf("the KRB-CRED is encrypted (type %d)", etype)
	}
	ok1 := sealed.SkipOptionalASN1(member(1)) // the key version
	cipher, ok2 := readWrapped(&sealed, member(2), tag.OCTET_STRING)
	part, ok3 := readWrapped(&cipher, appEncKrbCredPart, tag.SEQUENCE)
	infos, ok4 := readWrapped(&part, member(0), tag.SEQUENCE)
	if !ok || !ok1 || !ok2 || !ok3 || !ok4 || !cipher.Empty() {
		return nil, errDamaged
	}
	return infos, nil
}

// pair decodes the tickets and their descriptions, which stand in the same order.
func pair(tickets, infos cryptobyte.String) (grants []grant, err error) {
	for !tickets.Empty() || !infos.Empty() {
		var raw, info cryptobyte.String
		if len(grants) == maxTickets || !tickets.ReadASN1Element(&raw, appTicket) || !infos.ReadASN1Element(&info, tag.SEQUENCE) {
			return nil, errDamaged
		}
		g := grant{raw: raw}
		if err := g.decode(info); err != nil {
			return nil, err
		}
		grants = append(grants, g)
	}
	return grants, nil
}

// decode lets gokrb5's reader of ASN.1 take the parts. A panic there is an error like any other.
func (g *grant) decode(info []byte) (err error) {
	defer func() {
		if recover() != nil {
			err = errDamaged
		}
	}()
	if _, err := asn1.UnmarshalWithParams(g.raw, &g.ticket, "application,explicit,tag:1"); err != nil {
		return errDamaged
	}
	if rest, err := asn1.Unmarshal(info, &g.info); err != nil || len(rest) > 0 {
		return errDamaged
	}
	return nil
}

// member is the tag [n] of a member of a SEQUENCE.
func member(n uint8) tag.Tag { return tag.Tag(n).ContextSpecific().Constructed() }

// readWrapped reads an element that holds nothing but another one and returns the content of that.
func readWrapped(s *cryptobyte.String, outer, inner tag.Tag) (content cryptobyte.String, ok bool) {
	var wrapped cryptobyte.String
	ok = s.ReadASN1(&wrapped, outer) && wrapped.ReadASN1(&content, inner) && wrapped.Empty()
	return content, ok
}

// number reads the member [n], a small INTEGER.
func number(s *cryptobyte.String, n uint8) (v int32, ok bool) {
	var wrapped cryptobyte.String
	ok = s.ReadASN1(&wrapped, member(n)) && wrapped.ReadASN1Integer(&v) && wrapped.Empty()
	return v, ok
}
