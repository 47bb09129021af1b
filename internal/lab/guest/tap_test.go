package main

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/secret"
	"github.com/azfilesauth/azfilesauth/internal/spnego"
)

// wire gives a tap what a kernel and a server send each other.
type wire struct {
	tap  *tap
	next map[flow]uint32
}

func (w *wire) send(f flow, flags byte, data []byte) {
	p := make([]byte, 40, 40+len(data))
	p[0], p[9], p[32], p[33] = 0x45, 6, 0x50, flags
	binary.BigEndian.PutUint16(p[2:], uint16(40+len(data)))
	copy(p[12:], f.from[:])
	copy(p[16:], f.to[:])
	binary.BigEndian.PutUint16(p[20:], f.fromPort)
	binary.BigEndian.PutUint16(p[22:], f.toPort)
	binary.BigEndian.PutUint32(p[24:], w.next[f])
	w.tap.packet(append(p, data...))
}

// connect opens a connection from a port.
func (w *wire) connect(port uint16) flow {
	f := flow{[4]byte{10, 99, 0, 200}, [4]byte{10, 99, 0, 1}, port, tapPort}
	for _, f := range []flow{f, f.back()} {
		w.next[f] = 0xfffffff0 // it runs over
		w.send(f, 2, nil)
		w.next[f]++
	}
	return f
}

// message sends one in two segments, the first of them twice.
func (w *wire) message(f flow, command uint16, response bool, id, session uint64, body []byte) {
	m := make([]byte, 4+smbHeader, 4+smbHeader+len(body))
	binary.BigEndian.PutUint32(m, uint32(smbHeader+len(body)))
	copy(m[4:], "\xfeSMB")
	binary.LittleEndian.PutUint16(m[16:], command)
	if response {
		m[20] = smbIsResponse
	}
	binary.LittleEndian.PutUint64(m[28:], id)
	binary.LittleEndian.PutUint64(m[44:], session)
	m = append(m, body...)
	w.send(f, 0x10, m[:50])
	w.send(f, 0x10, m[:50])
	w.next[f] += 50
	w.send(f, 0x18, m[50:])
	w.next[f] += uint32(len(m) - 50)
}

// login logs a session in: with a ticket, in the place of a former session, or for a further channel of it.
func (w *wire) login(f flow, id, session, former uint64, binding bool, ticket string) {
	blob := answer(ticket)
	body := make([]byte, 24, 24+len(blob))
	header := uint64(0)
	if binding {
		body[2], header = smbIsBinding, session
	}
	binary.LittleEndian.PutUint16(body[12:], smbHeader+24)
	binary.LittleEndian.PutUint16(body[14:], uint16(len(blob)))
	binary.LittleEndian.PutUint64(body[16:], former)
	w.message(f, smbSessionSetup, false, id, header, append(body, blob...))
	w.message(f.back(), smbSessionSetup, true, id, session, make([]byte, 8))
}

// answer is what our handler sends for a ticket: the payload that the kernel takes apart, its lengths and key first.
func answer(ticket string) []byte {
	now := time.Unix(1_700_000_000, 0)
	client := ccache.Principal{NameType: 1, Realm: "R", Components: []string{"c"}}
	server := ccache.Principal{NameType: 2, Realm: "R", Components: []string{"cifs", "h"}}
	payload, err := spnego.Payload(ccache.Credential{
		Client: client, Server: server, Key: ccache.Key{Etype: 18, Value: secret.FromString(strings.Repeat("k", 32))},
		AuthTime: now, StartTime: now, EndTime: now.Add(time.Hour), Ticket: secret.FromString(ticket),
	}, spnego.Krb5, now)
	if err != nil {
		panic(err)
	}
	b := payload.Reveal()
	flags := 16 // version, flags, sesskey_len, secblob_len: four of four bytes
	return b[flags+int(binary.LittleEndian.Uint32(b[8:])):]
}

func (w *wire) open(f flow, id, session uint64, path string) {
	name := utf16.Encode([]rune(path))
	body := make([]byte, 56, 56+2*len(name))
	binary.LittleEndian.PutUint16(body[44:], smbHeader+56)
	binary.LittleEndian.PutUint16(body[46:], uint16(2*len(name)))
	for _, u := range name {
		body = binary.LittleEndian.AppendUint16(body, u)
	}
	w.message(f, smbCreate, false, id, session, body)
}

func der(name string) string { return "\x61\x82\x02\x00" + name + strings.Repeat("x", 512-len(name)) }

func TestTapTellsWhoseLoginsAre(t *testing.T) {
	issued := map[string]azurefake.Request{}
	for ticket, who := range map[string]string{"a1": "alice", "a2": "alice", "b1": "bob"} {
		issued[azurefake.TicketID([]byte(der(ticket)))] = azurefake.Request{Host: "acct", Identity: who}
	}
	good := func(w *wire) (one, two flow) {
		one, two = w.connect(40001), w.connect(40002)
		w.login(one, 1, 101, 0, false, der("a1"))
		w.login(two, 1, 201, 0, false, der("b1"))
		w.open(one, 2, 101, `one\file`)
		w.open(two, 2, 201, `two\file`)
		w.login(w.connect(40003), 1, 101, 0, true, der("a1")) // a channel
		w.login(one, 3, 102, 101, false, der("a2"))
		w.login(one, 4, 103, 102, false, der("a2")) // of a session that ended before anything was opened
		w.open(one, 5, 103, "one")
		w.open(one, 6, 103, "")
		return one, two
	}
	for name, c := range map[string]struct {
		more func(w *wire, one, two flow)
		want string // a problem, "" for none
	}{
		"good":             {func(*wire, flow, flow) {}, ""},
		"as the other":     {func(w *wire, one, _ flow) { w.login(one, 7, 104, 103, false, der("b1")) }, "one logged in at"},
		"as the other too": {func(w *wire, one, _ flow) { w.login(one, 7, 103, 0, true, der("b1")) }, "as bob of acct, not as alice of acct"},
		"of nobody":        {func(w *wire, one, _ flow) { w.login(one, 7, 104, 103, false, der("c1")) }, "that nobody issued"},
		"in one session":   {func(w *wire, _, two flow) { w.open(two, 7, 103, `two\file`) }, "two was opened in a session of one"},
		"unseen":           {func(w *wire, one, _ flow) { w.next[one] += 9; w.open(one, 7, 103, "one") }, "9 bytes of a connection were not seen"},
		"no Kerberos": {func(w *wire, one, _ flow) {
			w.message(one, smbSessionSetup, false, 7, 0, make([]byte, 40))
		}, "no Kerberos ticket"},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{newTap(), map[flow]uint32{}}
			one, two := good(w)
			before := w.tap.loginsSoFar()
			c.more(w, one, two)
			if _, early := w.tap.judge("one", "acct", "alice", issued, before); strings.Contains(strings.Join(early, ""), "issued") {
				t.Errorf("a login after the list of tickets was judged by it: %q", early)
			}
			seen, problems := w.tap.judge("one", "acct", "alice", issued, w.tap.loginsSoFar())
			for _, err := range w.tap.problems {
				problems = append(problems, err.Error())
			}
			if said := strings.Join(problems, "\n"); (c.want == "") != (said == "") || !strings.Contains(said, c.want) {
				t.Errorf("%q", problems)
			}
			if c.want == "" && seen != (sight{sessions: 2, logins: 4, tickets: 2, channels: 1, opened: 2}) {
				t.Errorf("%+v", seen)
			}
		})
	}
}
