package ccache

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
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
		return nil, tooLarge()
	}
	r := reader{data: data, texts: make(map[string]string, maxTexts)}
	c := r.cache(len(data)/typicalEntry, nil)
	if r.err != nil {
		return nil, r.err
	}
	return c, nil
}

// Outline reads a cache of about size bytes for who shows tickets and logs in with none. Its Tickets and AllTickets are
// those of what Parse gives, without keys, addresses and authorization data, and with a digest in place of each ticket,
// by which aliases are known. It has no records. Of the input only a part is in memory at a time. Its errors are
// *DamageError and those of in.
func Outline(in io.Reader, size int) (*Cache, error) {
	r := reader{in: io.LimitReader(in, MaxSize+1), data: make([]byte, 0, window), texts: make(map[string]string, maxTexts)}
	tickets := min(size, MaxSize) / typicalEntry / 2 // the other half are records
	seed, recorded := maphash.MakeSeed(), make(map[string]bool, tickets)
	c := r.cache(tickets, func(cred *Credential) (keep bool) {
		if place := recordPlace(cred); place != "" {
			recorded[place] = true
			return false
		}
		cred.outline(seed)
		return true
	})
	if r.failed != nil {
		return nil, r.failed
	} else if r.base+len(r.data) > MaxSize {
		return nil, tooLarge()
	} else if r.err != nil {
		return nil, r.err
	}
	c.kdcOffset, c.recorded = nil, recorded
	return c, nil
}

func tooLarge() *DamageError {
	return &DamageError{MaxSize, fmt.Sprintf("it is larger than %d bytes", MaxSize)}
}

// outline drops what Outline leaves out. What stays is no part of what was read.
func (c *Credential) outline(seed maphash.Seed) {
	digest := make([]byte, 12)
	binary.BigEndian.PutUint64(digest, maphash.Bytes(seed, c.Ticket.Reveal()))
	binary.BigEndian.PutUint32(digest[8:], uint32(c.Ticket.Len()))
	c.Ticket, c.SecondTicket, c.Key.Value = secret.New(digest), secret.Value{}, secret.Value{}
	c.Addresses, c.AuthData = nil, nil
}

// reader takes fields from the front of data. After the first error it gives zeroes, so that only
// loops have to look at err. No length in the input is believed before the bytes are seen to be
// there, and no count sizes anything.
type reader struct {
	data []byte
	off  int
	v3   bool
	err  *DamageError

	// Behind data may be more, which takes its place: what was read before is gone then.
	in     io.Reader // nil when data is all there is, or nothing is left
	base   int       // where data begins in the file
	short  bool      // err is that data ends inside a field
	failed error     // of in

	// The last client and its bytes: almost always that of the next credential too.
	client      Principal
	clientBytes []byte

	texts map[string]string // the first few names, which are those that come again and again
}

// maxTexts is how many names are shared.
const maxTexts = 16

// window is how much of a cache is read at a time, in bytes.
const window = 64 << 10

// cache reads a whole cache of about so many entries. Each one is given to edit, if there is one, before the next is read,
// and stays if that keeps it.
func (r *reader) cache(entries int, edit func(*Credential) (keep bool)) *Cache {
	c := &Cache{kdcOffset: r.header()}
	c.Principal = r.principal()
	for r.again(0) {
		c.kdcOffset, c.Principal = r.header(), r.principal()
	}
	c.Credentials = make([]Credential, 0, entries)
	for n := 0; r.err == nil && (r.off < len(r.data) || r.refill(r.off)); n++ {
		if n == MaxEntries {
			r.fail(fmt.Sprintf("it has more than %d entries", MaxEntries))
			break
		}
		cred, removed := r.entry()
		if r.err != nil || removed {
			continue
		}
		c.Credentials = append(c.Credentials, cred)
		if last := len(c.Credentials) - 1; edit != nil && !edit(&c.Credentials[last]) {
			c.Credentials = c.Credentials[:last]
		}
	}
	return c
}

// entry reads a credential, however much of it is at hand.
func (r *reader) entry() (c Credential, removed bool) {
	start := r.off
	c, removed = r.credential()
	for r.again(start) {
		start = 0
		c, removed = r.credential()
	}
	return c, removed
}

// again reports whether what begins at start, of which a piece was at hand, is to be read once more, from the front of data.
func (r *reader) again(start int) bool {
	if !r.short || !r.refill(start) {
		return false
	}
	r.err, r.short = nil, false
	return true
}

// refill puts as much of the input as there is room for behind what begins at start, which becomes the front of data and
// is what is read next. It reports whether there was more.
func (r *reader) refill(start int) bool {
	if r.in == nil {
		return false
	}
	r.base += start
	rest := copy(r.data[:cap(r.data)], r.data[start:])
	r.data, r.off = r.data[:rest], 0
	if rest == cap(r.data) {
		r.data = slices.Grow(r.data, rest) // twice of what was there, whatever a length in it says
	}
	n, err := io.ReadFull(r.in, r.data[rest:cap(r.data)])
	r.data = r.data[:rest+n]
	if err != nil {
		r.in = nil
	}
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		r.failed = err
	}
	return n > 0
}

func (r *reader) fail(problem string) {
	if r.err == nil {
		r.err = &DamageError{r.base + r.off, problem}
	}
}

func (r *reader) bytes(n uint32) []byte {
	if r.err == nil && uint64(n) > uint64(len(r.data)-r.off) {
		r.fail("it ends inside a field")
		r.short = true
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
		r.client, r.clientBytes = p, bytes.Clone(r.data[start:r.off])
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
