package spnego

import (
	"fmt"
	"time"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
)

// Numbers of RFC 4120: 5.5.1 and 5.10 (application tags and message type), 7.5.1 (key usage).
const (
	pvno               = 5
	msgTypeAPReq       = 14
	tagAuthenticator   = 2
	tagAPReq           = 14
	usageAuthenticator = 11
)

// The checksum field of a GSS-API login (RFC 4121, 4.1.1): the length of the channel bindings in
// little-endian order, the bindings, and the flags. We bind to no channel and set no flag: with
// GSS_C_MUTUAL_FLAG the server would choose a key of its own, which the kernel never sees.
const (
	checksumGSSAPI   = 0x8003
	checksumBindings = 16
	checksumSize     = 4 + checksumBindings + 4
)

// apReq is an AP-REQ (RFC 4120, 5.5.1) without options, around the ticket as it is in the cache.
func apReq(cred ccache.Credential, subkey []byte, now time.Time) (item, error) {
	plain, err := build(authenticator(cred, subkey, now))
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	cipher, err := encrypt(cred.Key, plain)
	if err != nil {
		return nil, err
	}
	return application(tagAPReq, sequence(
		field(0, integer(pvno)),
		field(1, integer(msgTypeAPReq)),
		field(2, noOptions()),
		field(3, raw(cred.Ticket.Reveal())),
		field(4, sequence(
			field(0, integer(int64(cred.Key.Etype))),
			field(2, octets(cipher)),
		)),
	)), nil
}

// authenticator is an Authenticator (RFC 4120, 5.5.1) with checksum and subkey, without sequence
// number and authorization data.
func authenticator(cred ccache.Credential, subkey []byte, now time.Time) item {
	checksum := make([]byte, checksumSize)
	checksum[0] = checksumBindings
	return application(tagAuthenticator, sequence(
		field(0, integer(pvno)),
		field(1, generalString(cred.Client.Realm)),
		field(2, principalName(cred.Client)),
		field(3, sequence(
			field(0, integer(checksumGSSAPI)),
			field(1, octets(checksum)),
		)),
		field(4, integer(int64(now.Nanosecond()/int(time.Microsecond)))),
		field(5, generalizedTime(now)),
		field(6, sequence(
			field(0, integer(int64(cred.Key.Etype))),
			field(1, octets(subkey)),
		)),
	))
}

// principalName is a PrincipalName (RFC 4120, 5.2.2). The cache keeps its type as the bits of a
// signed number.
func principalName(p ccache.Principal) item {
	components := make([]item, len(p.Components))
	for i, c := range p.Components {
		components[i] = generalString(c)
	}
	return sequence(
		field(0, integer(int64(int32(p.NameType)))),
		field(1, sequence(components...)),
	)
}

// encrypt seals an authenticator with the ticket's session key (RFC 3961, 3). The library panics
// on some input that it does not expect.
func encrypt(key ccache.Key, plain []byte) (cipher []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			cipher, err = nil, fmt.Errorf("encryption type %d: %v", key.Etype, r)
		}
	}()
	k := types.EncryptionKey{KeyType: int32(key.Etype), KeyValue: key.Value.Reveal()}
	sealed, err := crypto.GetEncryptedData(plain, k, usageAuthenticator, 0)
	if err != nil {
		return nil, fmt.Errorf("encryption type %d: %w", key.Etype, err)
	}
	return sealed.Cipher, nil
}
