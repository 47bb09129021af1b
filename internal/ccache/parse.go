package ccache

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// The first two bytes of a file, and the one header field that we know; MIT's
// doc/formats/ccache_file_format.
const (
	formatByte   = 5
	version3     = 3
	version4     = 4
	tagKDCOffset = 1
	kdcOffsetLen = 8
)

// removedAuthTime, with an end time of 0, marks an entry that libkrb5 has removed in place; a
// removed configuration entry has the realm removedRealm instead (MIT's cc_file.c).
const (
	removedAuthTime = 0xffffffff
	removedRealm    = "X-RMED-CONF:"
)

// DamageError says why bytes are no credential cache.
type DamageError struct {
	Offset  int    // in bytes, where reading stopped
	Problem string // half a sentence
}

func (e *DamageError) Error() string { return fmt.Sprintf("at byte %d: %s", e.Offset, e.Problem) }

// typicalEntry is the size of a ticket and its record, in bytes and halved: a guess that saves copying.
const typicalEntry = 600

// Parse reads a FILE cache of version 3 or 4. The Cache keeps parts of data, which the caller must
// not change afterwards. A file that ends inside an entry is damaged: libkrb5 would silently stop
// there. Its errors are of type *DamageError.
func Parse(data []byte) (*Cache, error) {
	if len(data) > MaxSize {
		return nil, &DamageError{MaxSize, fmt.Sprintf("it is larger than %d bytes", MaxSize)}
	}
	r := reader{data: data, texts: make(map[string]string, maxTexts)}
	c := &Cache{kdcOffset: r.header()}
	c.Principal = r.principal()
	c.Credentials = make([]Credential, 0, len(data)/typicalEntry)
	for n := 0; r.err == nil && r.off < len(r.data); n++ {
		if n == MaxEntries {
			r.fail(fmt.Sprintf("it has more than %d entries", MaxEntries))
			break
		}
		cred, removed := r.credential()
		if r.err == nil && !removed {
			c.Credentials = append(c.Credentials, cred)
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	return c, nil
}

// reader takes fields from the front of data. After the first error it gives zeroes, so that only
// loops have to look at err. No length in the input is believed before the bytes are seen to be
// there, and no count sizes anything.
type reader struct {
	data []byte
	off  int
	v3   bool
	err  *DamageError

	// The last client and its bytes: almost always that of the next credential too.
	client      Principal
	clientBytes []byte

	texts map[string]string // the first few names, which are those that come again and again
}

// maxTexts is how many names are shared.
const maxTexts = 16

func (r *reader) fail(problem string) {
	if r.err == nil {
		r.err = &DamageError{r.off, problem}
	}
}

func (r *reader) bytes(n uint32) []byte {
	if r.err == nil && uint64(n) > uint64(len(r.data)-r.off) {
		r.fail("it ends inside a field")
	}
	if r.err != nil {
		return nil
	}
	end := r.off + int(n)
	b := r.data[r.off:end:end]
	r.off = end
	return b
}

func (r *reader) u8() (v uint8) {
	if b := r.bytes(1); b != nil {
		v = b[0]
	}
	return v
}

func (r *reader) u16() (v uint16) {
	if b := r.bytes(2); b != nil {
		v = binary.BigEndian.Uint16(b)
	}
	return v
}

func (r *reader) u32() (v uint32) {
	if b := r.bytes(4); b != nil {
		v = binary.BigEndian.Uint32(b)
	}
	return v
}

func (r *reader) counted() []byte { return r.bytes(r.u32()) }

// header reads the version and gives the clock offset, if there is one. Other header fields are
// skipped, as libkrb5 does.
func (r *reader) header() (kdcOffset []byte) {
	format, version := r.u8(), r.u8()
	if r.err != nil {
		return nil
	}
	if format != formatByte || version < version3 || version > version4 {
		r.off = 0
		r.fail(fmt.Sprintf("it begins with %02x %02x, not with 05 04 or 05 03", format, version))
		return nil
	}
	if version == version3 {
		r.v3 = true
		return nil
	}
	fields := reader{data: r.bytes(uint32(r.u16()))}
	start := r.off - len(fields.data)
	for r.err == nil && fields.off < len(fields.data) {
		tag, value := fields.u16(), fields.bytes(uint32(fields.u16()))
		if fields.err != nil {
			r.err = &DamageError{start + fields.err.Offset, "a header field is longer than the header"}
		} else if tag == tagKDCOffset && len(value) == kdcOffsetLen {
			kdcOffset = value
		}
	}
	return kdcOffset
}

func (r *reader) principal() Principal {
	const usual = 3 // components
	p := Principal{NameType: r.u32()}
	n := r.u32()
	p.Realm = r.name()
	if n > 0 {
		p.Components = make([]string, 0, min(n, usual))
	}
	for ; n > 0 && r.err == nil; n-- {
		p.Components = append(p.Components, r.name())
	}
	return p
}

// name is a text. Thousands of principals share their realm and their service.
func (r *reader) name() string {
	b := r.counted()
	if known, ok := r.texts[string(b)]; ok {
		return known
	}
	text := string(b)
	if len(r.texts) < maxTexts {
		r.texts[text] = text
	}
	return text
}

// sameClient reads the client of a credential. Equal bytes are the same principal, which is shared.
func (r *reader) sameClient() Principal {
	start := r.off
	if n := len(r.clientBytes); n > 0 && r.err == nil && bytes.HasPrefix(r.data[start:], r.clientBytes) {
		r.off += n
		return r.client
	}
	p := r.principal()
	if r.err == nil {
		r.client, r.clientBytes = p, r.data[start:r.off]
	}
	return p
}

func (r *reader) credential() (c Credential, removed bool) {
	c.Client, c.Server = r.sameClient(), r.principal()
	c.Key.Etype = r.u16()
	if r.v3 {
		r.u16() // version 3 has the encryption type twice
	}
	c.Key.Value = secret.New(r.counted())
	auth, start, end, renew := r.u32(), r.u32(), r.u32(), r.u32()
	c.AuthTime, c.StartTime, c.EndTime, c.RenewTill = instant(auth), instant(start), instant(end), instant(renew)
	c.IsSKey = r.u8() != 0
	c.Flags = r.u32()
	c.Addresses, c.AuthData = r.typedData(), r.typedData()
	c.Ticket, c.SecondTicket = secret.New(r.counted()), secret.New(r.counted())
	return c, c.Server.Realm == removedRealm || end == 0 && auth == removedAuthTime
}

func (r *reader) typedData() (list []TypedData) {
	for n := r.u32(); n > 0 && r.err == nil; n-- {
		list = append(list, TypedData{Type: r.u16(), Data: r.counted()})
	}
	return list
}

// instant reads a time as libkrb5 does since 1.16: unsigned, so that it lasts until 2106.
func instant(v uint32) time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.Unix(int64(v), 0).UTC()
}
