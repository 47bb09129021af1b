package main

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"time"
)

// A relay stands before Samba where a network of its own latency is wanted: the guest's has none, and with none it does
// not show whether requests go out one after the other or together. (Debian's netem would do it in the kernel, with one
// more package in every guest.)
const (
	relayed    = "4455" // where Samba listens behind the relay
	relayedHex = "1167"
	// oneWay is half a round trip: of 2 ms, which is usual between a virtual machine and a share of its region.
	oneWay = time.Millisecond
)

// startRelay moves Samba behind a relay, until the guest ends.
func (s *server) startRelay(lines ...string) error {
	serverPort = relayedHex
	if err := s.add(append(lines, "smb ports = "+relayed)); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	relay := exec.Command("ip", "netns", "exec", "srv", self, "relay")
	relay.Stdout, relay.Stderr = os.Stdout, os.Stderr
	if err := relay.Start(); err != nil {
		return err
	}
	go func() { _ = relay.Wait() }()
	return until("the relay to listen", func() bool { return listensOn(smbHex) })
}

// runRelay is the relay, in the server's namespace.
func runRelay() error {
	l, err := net.Listen("tcp4", ":445")
	if err != nil {
		return err
	}
	for {
		near, err := l.Accept()
		if err != nil {
			return err
		}
		far, err := net.Dial("tcp4", "127.0.0.1:"+relayed)
		if err != nil {
			_ = near.Close()
			continue
		}
		go late(far, near)
		go late(near, far)
	}
}

// piece is what came at once, and when it may go on.
type piece struct {
	data []byte
	due  time.Time
}

// late passes on what comes, each piece oneWay later, however many are under way.
func late(to, from net.Conn) {
	under := make(chan piece, 1<<14)
	go func() {
		defer close(under)
		for {
			buf := make([]byte, 64<<10)
			n, err := from.Read(buf)
			if n > 0 {
				under <- piece{buf[:n], time.Now().Add(oneWay)}
			}
			if err != nil {
				if !errors.Is(err, io.EOF) {
					_ = from.Close()
				}
				return
			}
		}
	}()
	for p := range under {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.data); err != nil {
			break
		}
	}
	_ = to.Close()
	for range under { // so that the reader ends
	}
}
