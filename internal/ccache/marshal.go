package ccache

import (
	"encoding/binary"
	"math"
	"time"
)

// Marshal writes the cache as a FILE cache of version 4 (MIT's doc/formats/ccache_file_format).
// The result is secret: it holds session keys.
func (c *Cache) Marshal() []byte {
	w := append(make(writer, 0, c.size()), formatByte, version4)
	if len(c.kdcOffset) == kdcOffsetLen {
		w.u16(2 + 2 + kdcOffsetLen)
		w.u16(tagKDCOffset)
		w.u16(kdcOffsetLen)
		w = append(w, c.kdcOffset...)
	} else {
		w.u16(0)
	}
	w.principal(c.Principal)
	for i := range c.Credentials {
		w.credential(&c.Credentials[i])
	}
	return w
}

// size is about how long the result gets, rather more, so that it is not copied while it grows.
func (c *Cache) size() int {
	const fixed = 512 // names, times and lengths
	n := fixed
	for i := range c.Credentials {
		n += fixed + c.Credentials[i].Ticket.Len() + c.Credentials[i].SecondTicket.Len()
	}
	return n
}

type writer []byte

func (w *writer) u16(v uint16) { *w = binary.BigEndian.AppendUint16(*w, v) }
func (w *writer) u32(v uint32) { *w = binary.BigEndian.AppendUint32(*w, v) }

func (w *writer) counted(b []byte) {
	w.u32(uint32(len(b)))
	*w = append(*w, b...)
}

func (w *writer) text(s string) {
	w.u32(uint32(len(s)))
	*w = append(*w, s...)
}

func (w *writer) principal(p Principal) {
	w.u32(p.NameType)
	w.u32(uint32(len(p.Components)))
	w.text(p.Realm)
	for _, c := range p.Components {
		w.text(c)
	}
}

func (w *writer) credential(c *Credential) {
	w.principal(c.Client)
	w.principal(c.Server)
	w.u16(c.Key.Etype)
	w.counted(c.Key.Value.Reveal())
	for _, t := range []time.Time{c.AuthTime, c.StartTime, c.EndTime, c.RenewTill} {
		w.u32(seconds(t))
	}
	w.flag(c.IsSKey)
	w.u32(c.Flags)
	w.typedData(c.Addresses)
	w.typedData(c.AuthData)
	w.counted(c.Ticket.Reveal())
	w.counted(c.SecondTicket.Reveal())
}

func (w *writer) flag(set bool) {
	if set {
		*w = append(*w, 1)
	} else {
		*w = append(*w, 0)
	}
}

func (w *writer) typedData(list []TypedData) {
	w.u32(uint32(len(list)))
	for _, d := range list {
		w.u16(d.Type)
		w.counted(d.Data)
	}
}

// seconds is the inverse of instant; a time that the format cannot hold becomes the nearest that it can.
func seconds(t time.Time) uint32 {
	return uint32(min(max(t.Unix(), 0), math.MaxUint32))
}
