package ccache_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

func FuzzParse(f *testing.F) {
	cred := ticket(host, realm, 1)
	f.Fuzz(func(t *testing.T, data []byte) {
		sameOutline(t, data)
		c, err := ccache.Parse(slices.Clone(data))
		if err != nil {
			return
		}
		again, err := ccache.Parse(c.Marshal())
		if err != nil || !reflect.DeepEqual(c, again) {
			t.Fatalf("parsed again: %v\n%+v\n%+v", err, c, again)
		}
		for _, tk := range c.Tickets() {
			name := "cifs/" + tk.Server.Components[1]
			if got, ok := c.Ticket(name); !ok || got.EndTime.Before(tk.EndTime) {
				t.Fatalf("%s is listed and not found", tk.Server)
			}
			c.Record(name)
		}
		cred.Client = c.Principal
		c.Put(cred, withAliases(private))
		c.Put(cred, record)
		for _, name := range []string{host, private} {
			if _, ok := c.Ticket("cifs/" + name); !ok {
				t.Fatalf("%s is not found after Put", name)
			}
		}
		if rec, ok := c.Record(spn); !ok || !slices.Contains(rec.Aliases, private) {
			t.Fatalf("the record after Put: %+v, %v", rec, ok)
		}
		c.DropExpired(time.Unix(1<<32, 0), nil)
		if left := c.Tickets(); len(left) != 0 {
			t.Fatalf("%s outlives time", left[0].Server)
		}
	})
}

func BenchmarkParse1000(b *testing.B) {
	data := thousand().Marshal()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ccache.Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMarshal1000(b *testing.B) {
	c := thousand()
	b.ReportAllocs()
	for b.Loop() {
		c.Marshal()
	}
}

func BenchmarkPutInto1000(b *testing.B) {
	c := thousand()
	cred := ticket("h500.test", realm, 1)
	b.ReportAllocs()
	for b.Loop() {
		c.Put(cred, record)
	}
}

func BenchmarkUpdateOf1000(b *testing.B) {
	s := open(b, folder(b)+"/cc")
	must(b, s.Update(b.Context(), func(c *ccache.Cache) error { *c = *thousand(); return nil }))
	for n := uint64(0); b.Loop(); n++ {
		put(b, s, ticket("h500.test", realm, n))
	}
}

func thousand() *ccache.Cache {
	var c ccache.Cache
	proto := ticket(host, realm, 1)
	for n := range 1000 {
		cred := ticket(fmt.Sprintf("h%d.test", n), realm, 1)
		cred.Client = proto.Client
		one := ccache.Cache{}
		one.Put(cred, record)
		c.Principal = one.Principal
		c.Credentials = append(c.Credentials, one.Credentials...)
	}
	return &c
}

// FuzzRecord holds that what a record says is one line without control characters, and is written as it was read.
func FuzzRecord(f *testing.F) {
	for _, text := range []string{
		"v1;obtained=2026-11-23T15:48:24Z;refreshable=yes;identity=system", "v1;obtained=2026-11-23T15:48:24+01:00;refreshable=no;identity=a;b=c",
		"v2;obtained=2026-11-23T15:48:24Z;refreshable=yes;identity=system", "v1;obtained=;refreshable=;identity=\n", "v1;;;",
		"v1;obtained=2026-11-23T15:48:24Z;refreshable=yes;x;proxy=http://p;noproxy=a;identity=system",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var c ccache.Cache
		c.Put(ticket(host, realm, 1), record)
		entry := &c.Credentials[len(c.Credentials)-1]
		entry.Ticket = secret.FromString(text)
		rec, ok := c.Record(spn)
		if all := c.Records(); ok != (len(all) == 1) {
			t.Fatalf("%v alone, %v of all", ok, all)
		}
		if !ok {
			return
		}
		if rec.Identity == "" || strings.ContainsFunc(rec.Identity, unicode.IsControl) {
			t.Fatalf("%q", rec.Identity)
		}
		var again ccache.Cache
		again.Put(ticket(host, realm, 1), rec)
		if got, ok := again.Record(spn); !ok || !reflect.DeepEqual(got, rec) {
			t.Fatalf("%+v, %v became %+v", rec, ok, got)
		}
	})
}
