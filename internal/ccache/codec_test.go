package ccache_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

var whole = []string{"ccalias", "ccempty", "ccexp", "ccupper", "full", "svconly"}

func TestMITFilesRoundTripByteForByte(t *testing.T) {
	for _, name := range whole {
		data := vector(t, name)
		if got := parse(t, data).Marshal(); !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes became %d other ones", name, len(data), len(got))
		}
	}
}

func TestParseReadsWhatMITWrote(t *testing.T) {
	c := parse(t, vector(t, "svconly"))
	if got := c.Principal.String(); got != "alice@"+realm || len(c.Credentials) != 1 {
		t.Fatalf("client %s, %d credentials", got, len(c.Credentials))
	}
	cred := c.Credentials[0]
	for what, pair := range map[string][2]any{
		"server":    {cred.Server.String(), spn + "@" + realm},
		"name type": {cred.Server.NameType, uint32(1)},
		"client":    {cred.Client.Equal(c.Principal), true},
		"etype":     {cred.Key.Etype, uint16(18)},
		"key":       {fmt.Sprintf("%x", cred.Key.Value.Reveal()[:4]), "99dde1be"},
		"key size":  {cred.Key.Value.Len(), 32},
		"auth":      {cred.AuthTime, issuedAt},
		"start":     {cred.StartTime, issuedAt},
		"end":       {cred.EndTime, issuedAt.Add(10 * time.Hour)},
		"renew":     {cred.RenewTill, time.Time{}},
		"is skey":   {cred.IsSKey, false},
		"flags":     {cred.Flags, uint32(0x00080000 | 0x00010000)},
		"ticket":    {fmt.Sprintf("%x", cred.Ticket.Reveal()[:4]), "618201e9"},
		"second":    {cred.SecondTicket.Len(), 0},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %v, want %v", what, pair[0], pair[1])
		}
	}
	full := parse(t, vector(t, "full"))
	if conf := full.Credentials[0]; len(full.Credentials) != 3 || conf.Server.Realm != "X-CACHECONF:" ||
		conf.Ticket.RevealString() != "yes" || !conf.EndTime.IsZero() {
		t.Errorf("the configuration entry of a cache of kinit: %v", conf.Server)
	}
}

// A cache may end after any entry, since it has no count. Anywhere else it is damaged.
func TestTruncation(t *testing.T) {
	for _, name := range whole {
		data := vector(t, name)
		boundaries := map[int]int{}
		c := parse(t, data)
		all := c.Credentials
		for n := range len(all) + 1 {
			c.Credentials = all[:n]
			boundaries[len(c.Marshal())] = n
		}
		for cut := range data {
			got, err := ccache.Parse(slices.Clone(data[:cut]))
			var damage *ccache.DamageError
			if n, whole := boundaries[cut]; whole {
				if err != nil || len(got.Credentials) != n {
					t.Errorf("%s cut at entry %d: %v", name, n, err)
				}
			} else if !errors.As(err, &damage) || got != nil {
				t.Errorf("%s cut at byte %d: got %v, %v", name, cut, got, err)
			} else if damage.Offset > cut || !strings.Contains(err.Error(), fmt.Sprintf("byte %d", damage.Offset)) {
				t.Errorf("%s cut at byte %d: the error says: %v", name, cut, err)
			}
		}
	}
	if _, err := ccache.Parse(vector(t, "cctrunc")); err == nil {
		t.Error("cctrunc is accepted")
	}
}

func TestDamage(t *testing.T) {
	v4 := vector(t, "ccalias") // without header fields
	for name, data := range map[string][]byte{
		"nothing":                    {},
		"text":                       []byte("hello, world"),
		"version 1":                  append([]byte{5, 1}, v4[2:]...),
		"version 5":                  append([]byte{5, 5}, v4[2:]...),
		"header field beyond header": slices.Concat([]byte{5, 4, 0, 6, 0, 9, 0, 3, 1, 2}, v4[4:]),
		"half a header field":        slices.Concat([]byte{5, 4, 0, 3, 0, 9, 0}, v4[4:]),
		"header beyond file":         {5, 4, 0xff, 0xff, 0},
	} {
		var damage *ccache.DamageError
		if c, err := ccache.Parse(data); c != nil || !errors.As(err, &damage) {
			t.Errorf("%s: got %v, %v", name, c, err)
		}
	}
}

func TestLargeFilesAreNotParsed(t *testing.T) {
	c := parse(t, vector(t, "svconly"))
	c.Credentials[0].SecondTicket = secret.New(make([]byte, ccache.MaxSize-len(vector(t, "svconly"))))
	data := c.Marshal()
	parse(t, data)
	c.Credentials[0].SecondTicket = secret.New(make([]byte, c.Credentials[0].SecondTicket.Len()+1))
	if _, err := ccache.Parse(c.Marshal()); len(data) != ccache.MaxSize || err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("one byte more than %d: %v", len(data), err)
	}
}

func TestUnknownHeaderFieldsAreSkipped(t *testing.T) {
	v4 := vector(t, "ccalias")
	data := slices.Concat([]byte{5, 4, 0, 11, 0, 9, 0, 3, 1, 2, 3, 0, 8, 0, 0}, v4[4:])
	if c := parse(t, data); !bytes.Equal(c.Marshal(), v4) {
		t.Error("the entries behind an unknown header field are not read")
	}
}

// A count in the file must not decide how much memory is asked for.
func TestHostileCountsCostNothing(t *testing.T) {
	data := vector(t, "ccalias")
	principal := 4
	realmLen := principal + 8
	key := bytes.Index(data, []byte{0, 18, 0, 0, 0, 32})
	addresses := key + 2 + 4 + 32 + 4*4 + 1 + 4
	for name, at := range map[string]int{
		"components": principal + 4, "realm": realmLen, "key": key + 2, "addresses": addresses,
		"authdata": addresses + 4, "ticket": addresses + 8,
	} {
		for _, n := range []uint32{0x0fffffff, 0x7fffffff, 0x80000000, 0xffffffff} {
			evil := slices.Clone(data)
			binary.BigEndian.PutUint32(evil[at:], n)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := ccache.Parse(evil)
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; err == nil || used > 1<<20 {
				t.Errorf("%s = %#x: error %v, %d bytes allocated", name, n, err, used)
			}
		}
	}
}

// version3 rewrites a version 4 cache without header fields that has one etype-18 ticket per entry.
func version3(t testing.TB, v4 []byte) []byte {
	t.Helper()
	key := []byte{0, 18, 0, 0, 0, 32}
	body := bytes.ReplaceAll(v4[4:], key, append([]byte{0, 18}, key...))
	return append([]byte{5, 3}, body...)
}

func TestVersion3(t *testing.T) {
	v4 := vector(t, "ccalias")
	c := parse(t, version3(t, v4))
	if !bytes.Equal(c.Marshal(), v4) {
		t.Error("a version 3 cache is not the version 4 cache with the same content")
	}
}

func TestRemovedEntriesAreDropped(t *testing.T) {
	full := vector(t, "full")
	conf := bytes.Replace(full, []byte("X-CACHECONF:"), []byte("X-RMED-CONF:"), 1)
	if c := parse(t, conf); len(c.Credentials) != 2 || len(c.Marshal()) >= len(full) {
		t.Errorf("a removed configuration entry stays: %d credentials", len(c.Credentials))
	}
	removed := parse(t, full)
	for i := range removed.Credentials[1:] {
		removed.Credentials[i+1].AuthTime = time.Unix(0xffffffff, 0)
		removed.Credentials[i+1].EndTime = time.Time{}
	}
	if c := parse(t, removed.Marshal()); len(c.Credentials) != 1 {
		t.Errorf("removed tickets stay: %d credentials", len(c.Credentials))
	}
}

func TestTimes(t *testing.T) {
	for _, test := range []struct{ in, want time.Time }{
		{time.Time{}, time.Time{}},
		{time.Unix(1, 999), time.Unix(1, 0)},
		{time.Unix(1<<31, 0), time.Unix(1<<31, 0)},
		{time.Unix(1<<32-1, 0), time.Unix(1<<32-1, 0)},
		{time.Unix(1<<33, 0), time.Unix(1<<32-1, 0)},
		{time.Unix(-5, 0), time.Time{}},
	} {
		c := ccache.Cache{Credentials: []ccache.Credential{{EndTime: test.in}}}
		if got := parse(t, c.Marshal()).Credentials[0].EndTime; !got.Equal(test.want) {
			t.Errorf("%v became %v", test.in, got)
		}
	}
}

func TestEveryFieldRoundTrips(t *testing.T) {
	p := func(names ...string) ccache.Principal {
		return ccache.Principal{NameType: 7, Realm: "R\x00\xff", Components: names}
	}
	c := &ccache.Cache{Principal: p("a", "", "b"), Credentials: []ccache.Credential{{
		Client: p("x"), Server: p("y", "z"), Key: ccache.Key{Etype: 20, Value: secret.FromString("key")},
		AuthTime: time.Unix(1, 0).UTC(), StartTime: time.Unix(2, 0).UTC(), EndTime: time.Unix(3, 0).UTC(), RenewTill: time.Unix(4, 0).UTC(),
		IsSKey: true, Flags: 0x80000001,
		Addresses: []ccache.TypedData{{Type: 2, Data: []byte{127, 0, 0, 1}}, {Type: 24, Data: []byte{1}}},
		AuthData:  []ccache.TypedData{{Type: 128, Data: []byte("pac")}},
		Ticket:    secret.FromString("t1"), SecondTicket: secret.FromString("t2"),
	}}}
	if got := parse(t, c.Marshal()); !reflect.DeepEqual(got, c) {
		t.Errorf("got  %+v\nwant %+v", got, c)
	}
}

func TestPrincipal(t *testing.T) {
	a := ccache.Principal{NameType: 1, Realm: "R", Components: []string{"cifs", "h"}}
	b := ccache.Principal{NameType: 2, Realm: "R", Components: []string{"cifs", "h"}}
	if !a.Equal(b) {
		t.Error("the name type counts")
	}
	b.Realm = "r"
	if a.Equal(b) || a.Equal(ccache.Principal{Realm: "R", Components: []string{"cifs"}}) {
		t.Error("different principals are equal")
	}
	for _, test := range oddPrincipals {
		if got := test.principal.String(); got != test.text {
			t.Errorf("got %s, want %s", got, test.text)
		}
	}
}

// oddPrincipals have names that need escapes. TestMITUnparsesAlike checks the texts with klist.
var oddPrincipals = []struct {
	principal ccache.Principal
	text      string
}{
	{ccache.Principal{NameType: 1, Realm: "R", Components: []string{"cifs", "host"}}, `cifs/host@R`},
	{ccache.Principal{NameType: 1, Realm: "A/B@C\\", Components: []string{"a/b", "c@d", `e\f`}}, `a\/b/c\@d/e\\f@A\/B\@C\\`},
	{ccache.Principal{NameType: 1, Realm: "R", Components: []string{"\t\n\b\x00 ", "ü"}}, `\t\n\b\0 /ü@R`},
	{ccache.Principal{NameType: 1, Realm: "R", Components: []string{"", ""}}, `/@R`},
	{ccache.Principal{NameType: 1, Realm: "R", Components: nil}, `@R`},
}

func TestKeySize(t *testing.T) {
	want := map[uint16]int{17: 16, 18: 32, 19: 16, 20: 32, 23: 16}
	for etype := range uint16(100) {
		size, known := ccache.KeySize(etype)
		if n, ok := want[etype]; ok != known || n != size {
			t.Errorf("etype %d: %d, %v", etype, size, known)
		}
	}
}

func TestNoFormattingShowsKeys(t *testing.T) {
	c := parse(t, vector(t, "svconly"))
	key := c.Credentials[0].Key.Value.Reveal()
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		text := fmt.Sprintf(format, c.Credentials)
		if strings.Contains(text, string(key)) || strings.Contains(text, fmt.Sprintf("%x", key)) ||
			strings.Contains(text, fmt.Sprintf("%d", key)) {
			t.Errorf("%s shows the session key", format)
		}
	}
}
