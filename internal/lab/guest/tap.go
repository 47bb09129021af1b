package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
)

// The tap stands between the kernel and Samba and reads what goes over the wire: which ticket each session logs in
// with, and what is opened in it. It takes nobody's word for it.

const (
	tapDevice = "cli0"
	tapPort   = 445
	tapBuffer = 32 << 20
)

// login is one SESSION_SETUP request with a ticket.
type login struct {
	at      time.Time
	ticket  string // azurefake.TicketID
	session uint64 // that it gave, or the one that it takes the place of when it gave none
	binding bool
	granted bool
}

// tap reads packets until it is closed.
type tap struct {
	fd    int
	ended chan struct{}

	mu       sync.Mutex
	streams  map[flow]*stream
	asked    map[flow]map[uint64]*login // SESSION_SETUP requests without an answer, by message id
	logins   []*login
	opened   map[uint64]map[string]int // by session: how often what was opened in which directory of the share
	replaces map[uint64]uint64         // sessions by those that took their place
	problems []error
}

// flow is one direction of a connection.
type flow struct {
	from, to         [4]byte
	fromPort, toPort uint16
}

func (f flow) back() flow { return flow{f.to, f.from, f.toPort, f.fromPort} }

// stream is what has come of a flow.
type stream struct {
	next    uint32 // the sequence number that follows
	pending []byte // less than a frame
}

// startTap begins to read. Packets that leave are shown to those alone who read every protocol (packet(7)).
func startTap() (*tap, error) {
	device, err := net.InterfaceByName(tapDevice)
	if err != nil {
		return nil, err
	}
	const every = unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8 // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, every)
	if err != nil {
		return nil, fmt.Errorf("tap: %w", err)
	}
	// A time limit, so that the reader sees that it is to end.
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, tapBuffer),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: every, Ifindex: device.Index}))
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("tap: %w", err)
	}
	t := newTap()
	t.fd, t.ended = fd, make(chan struct{})
	stop := t.ended
	go t.read(stop)
	return t, nil
}

func newTap() *tap {
	return &tap{
		streams: map[flow]*stream{}, asked: map[flow]map[uint64]*login{},
		opened: map[uint64]map[string]int{}, replaces: map[uint64]uint64{},
	}
}

func (t *tap) read(stop <-chan struct{}) {
	defer func() { _ = unix.Close(t.fd) }()
	packet := make([]byte, 1<<17)
	for {
		n, _, err := unix.Recvfrom(t.fd, packet, 0)
		select {
		case <-stop:
			return
		default:
		}
		if err == nil {
			t.packet(packet[:n])
		} else if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			t.mu.Lock()
			t.problems = append(t.problems, err)
			t.mu.Unlock()
			return
		}
	}
}

// packet takes an IPv4 packet (RFC 791) with a segment of TCP (RFC 9293) from or to the server.
func (t *tap) packet(p []byte) {
	if len(p) < 20 || p[0]>>4 != 4 || p[9] != unix.IPPROTO_TCP {
		return
	}
	if length := int(binary.BigEndian.Uint16(p[2:])); length >= 20 && length < len(p) {
		p = p[:length] // what follows fills a short frame up
	}
	var f flow
	copy(f.from[:], p[12:16])
	copy(f.to[:], p[16:20])
	segment := p[min(int(p[0]&15)*4, len(p)):]
	if len(segment) < 20 {
		return
	}
	f.fromPort, f.toPort = binary.BigEndian.Uint16(segment), binary.BigEndian.Uint16(segment[2:])
	if f.fromPort != tapPort && f.toPort != tapPort {
		return
	}
	sequence, flags := binary.BigEndian.Uint32(segment[4:]), segment[13]
	t.mu.Lock()
	defer t.mu.Unlock()
	if flags&2 != 0 { // SYN
		t.streams[f] = &stream{next: sequence + 1}
		return
	}
	t.segment(f, sequence, segment[min(int(segment[12]>>4)*4, len(segment)):])
}

// segment needs the lock.
func (t *tap) segment(f flow, sequence uint32, data []byte) {
	s := t.streams[f]
	if s == nil || len(data) == 0 {
		return // of a connection that was there before, such as another story's
	}
	if seen := s.next - sequence; seen != 0 {
		if int32(seen) < 0 {
			t.problems = append(t.problems, fmt.Errorf("%d bytes of a connection were not seen", -int32(seen)))
			delete(t.streams, f)
			return
		}
		data = data[min(uint32(len(data)), seen):] // sent again
	}
	s.next += uint32(len(data))
	s.pending = append(s.pending, data...)
	for {
		frame, rest, ok := nextFrame(s.pending)
		if !ok {
			return
		}
		for _, m := range smbMessages(frame) {
			if err := t.message(f, m); err != nil {
				t.problems = append(t.problems, err)
			}
		}
		s.pending = rest
	}
}

// message needs the lock.
func (t *tap) message(f flow, m smbMessage) error {
	switch {
	case m.command == smbSessionSetup && m.response:
		l := t.asked[f.back()][m.id]
		if l == nil {
			return nil
		}
		delete(t.asked[f.back()], m.id)
		if l.granted = m.status == 0; l.granted {
			if l.session != m.session && !l.binding && l.session != 0 {
				t.replaces[l.session] = m.session
			}
			l.session = m.session
		}
	case m.command == smbSessionSetup:
		s, err := m.setup()
		if err != nil {
			return err
		}
		l := &login{at: time.Now(), ticket: azurefake.TicketID(s.ticket), session: s.previous, binding: s.binding}
		if s.binding {
			l.session = m.session
		}
		t.logins = append(t.logins, l)
		if t.asked[f] == nil {
			t.asked[f] = map[uint64]*login{}
		}
		t.asked[f][m.id] = l
	case m.command == smbCreate && !m.response:
		path, err := m.created()
		if err != nil {
			return err
		}
		if t.opened[m.session] == nil {
			t.opened[m.session] = map[string]int{}
		}
		dir, _, _ := strings.Cut(path, "/")
		t.opened[m.session][dir]++
	}
	return nil
}

// close ends the reading.
func (t *tap) close() { close(t.ended) }

// whole tells what the tap may have missed.
func (t *tap) whole() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	count, err := unix.GetsockoptTpacketStats(t.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS) // since it was asked last
	if err != nil || count.Drops > 0 {
		t.problems = append(t.problems, fmt.Errorf("packets were dropped: %+v, %w", count, err))
	}
	var missed []string
	for _, err := range t.problems {
		missed = append(missed, "the tap: "+err.Error())
	}
	return missed
}
