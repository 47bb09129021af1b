package host

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

// ErrNoPeer says that the other end of a connection is not a socket of this machine.
var ErrNoPeer = errors.New("the other end is not on this machine")

// PeerUID is the user to whom the other end of a TCP connection within this machine belongs. It waits until
// that end has been accepted, since before it belongs to nobody. Errors: ErrNoPeer, that of ctx.
func PeerUID(ctx context.Context, c net.Conn) (uid uint32, err error) {
	local, errLocal := netip.ParseAddrPort(c.LocalAddr().String())
	remote, errRemote := netip.ParseAddrPort(c.RemoteAddr().String())
	if errLocal != nil || errRemote != nil {
		return 0, ErrNoPeer
	}
	for {
		uid, found, accepted := findSocket(remote, local)
		if accepted {
			return uid, nil
		}
		if !found {
			return 0, ErrNoPeer
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// findSocket looks for a socket by both of its addresses in the kernel's tables (proc_net(5), tcp). One that
// has no inode is waiting to be accepted.
func findSocket(local, remote netip.AddrPort) (uid uint32, found, accepted bool) {
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		defer func() { _ = f.Close() }() // only read
		for lines := bufio.NewScanner(f); lines.Scan(); {
			w := strings.Fields(lines.Text())
			if len(w) < 10 || parseSocket(w[1]) != local || parseSocket(w[2]) != remote {
				continue
			}
			id, err := strconv.ParseUint(w[7], 10, 32)
			return uint32(id), true, err == nil && w[9] != "0"
		}
	}
	return 0, false, false
}

// parseSocket reads an address as the tables have it: words of 32 bits in the machine's order, and the port.
func parseSocket(text string) netip.AddrPort {
	address, port, _ := strings.Cut(text, ":")
	b, err := hex.DecodeString(address)
	n, errPort := strconv.ParseUint(port, 16, 16)
	if err != nil || errPort != nil || len(b)%4 != 0 {
		return netip.AddrPort{}
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	a, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a.Unmap(), uint16(n))
}
