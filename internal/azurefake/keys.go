package azurefake

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/types"
)

// kvno is the version of every service key.
const kvno = 1

// etypes that tickets can have. Lengths of keys are in bytes; gokrb5 gives a wrong one for etype 20.
var etypes = []struct {
	id     int32
	length int
}{
	{17, 16}, // aes128-cts-hmac-sha1-96, RFC 3962
	{18, 32}, // aes256-cts-hmac-sha1-96, RFC 3962
	{19, 16}, // aes128-cts-hmac-sha256-128, RFC 8009
	{20, 32}, // aes256-cts-hmac-sha384-192, RFC 8009
	{23, 16}, // rc4-hmac, RFC 4757
}

// keyLength of an etype in bytes, 0 for one that tickets cannot have.
func keyLength(etype int32) int {
	for _, e := range etypes {
		if e.id == etype {
			return e.length
		}
	}
	return 0
}

// principal is a Kerberos name without its realm (RFC 4120 5.2.2).
type principal struct {
	nameType int64
	parts    []string
}

// The name types of RFC 4120 6.2.
const (
	ntPrincipal = 1
	ntSrvInst   = 2
)

// service is the principal of a service; cifs is the service of a bare host.
func service(name string) principal {
	if !strings.Contains(name, "/") {
		name = "cifs/" + name
	}
	return principal{ntSrvInst, strings.Split(name, "/")}
}

func (p principal) String() string { return strings.Join(p.parts, "/") }

// serviceKeys derives service keys from one secret by string-to-key (RFC 3961 3), with the usual
// salt of realm and principal (RFC 4120 5.2.7.4). Each derivation is deliberately slow, so they are
// made when they are needed and kept.
type serviceKeys struct {
	realm, secret string

	mu   sync.Mutex
	made map[string]types.EncryptionKey
}

func newServiceKeys(realm, secret string) *serviceKeys {
	return &serviceKeys{realm: realm, secret: secret, made: make(map[string]types.EncryptionKey)}
}

// key is the key of a service; a secret other than "" replaces the one of all services.
func (k *serviceKeys) key(p principal, etype int32, secret string) (types.EncryptionKey, error) {
	setDefault(&secret, k.secret)
	id := fmt.Sprintf("%d %s %s", etype, p, secret)
	k.mu.Lock()
	defer k.mu.Unlock()
	if key, ok := k.made[id]; ok {
		return key, nil
	}
	name := types.PrincipalName{NameType: int32(p.nameType), NameString: p.parts}
	key, _, err := crypto.GetKeyFromPassword(secret, name, k.realm, etype, nil)
	if err != nil {
		return types.EncryptionKey{}, fmt.Errorf("azurefake: key of %s: %w", p, err)
	}
	k.made[id] = key
	return key, nil
}

// keytab is a keytab file with the keys of the cifs services of the hosts.
func (k *serviceKeys) keytab(hosts []string) ([]byte, error) {
	kt := keytab.New()
	for _, host := range hosts {
		for _, e := range etypes {
			spn := service(strings.ToLower(host)).String()
			if err := kt.AddEntry(spn, k.realm, k.secret, time.Unix(0, 0), kvno, e.id); err != nil {
				return nil, fmt.Errorf("azurefake: keytab: %w", err)
			}
		}
	}
	var b bytes.Buffer
	if _, err := kt.Write(&b); err != nil {
		return nil, fmt.Errorf("azurefake: keytab: %w", err)
	}
	return slices.Clip(b.Bytes()), nil
}
