package host

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
)

func FuzzParseACL(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255})
	f.Add([]byte{2, 0, 0, 0, 0x10, 0, 4, 0, 255, 255, 255, 255, 2, 0, 7, 0, 1, 0, 0, 0})
	f.Add([]byte{2, 0, 0})
	f.Fuzz(func(t *testing.T, list []byte) {
		entries, limit := parseACL(list)
		masks := 0
		for b := list; len(b) >= aclHeader+aclEntry; b = b[aclEntry:] {
			if binary.LittleEndian.Uint16(b[aclHeader:]) == aclMask {
				masks++
			}
		}
		if len(entries) > 0 && len(entries)+masks != (len(list)-aclHeader)/aclEntry {
			t.Errorf("%d entries and %d masks of % x", len(entries), masks, list)
		}
		if len(entries) > 0 && masks == 0 && limit != 7 {
			t.Errorf("the limit %o without a mask", limit)
		}
	})
}

// FuzzParseSocket reads what anything could write, and every address that the kernel writes.
func FuzzParseSocket(f *testing.F) {
	f.Add("0100007F:9DB4", []byte{127, 0, 0, 1}, uint16(40342))
	f.Add("00000000000000000000000001000000:0050", make([]byte, 16), uint16(80))
	f.Add("x:", []byte{1}, uint16(0))
	f.Fuzz(func(t *testing.T, text string, address []byte, port uint16) {
		if a := parseSocket(text); a.IsValid() && strings.Count(text, ":") != 1 {
			t.Errorf("%q is %s", text, a)
		}
		ip, ok := netip.AddrFromSlice(address)
		if !ok {
			return
		}
		var written strings.Builder
		for b := address; len(b) > 0; b = b[4:] { // as net/ipv4/tcp_ipv4.c and net/ipv6/tcp_ipv6.c do
			fmt.Fprintf(&written, "%08X", binary.NativeEndian.Uint32(b))
		}
		fmt.Fprintf(&written, ":%04X", port)
		if got, want := parseSocket(written.String()), netip.AddrPortFrom(ip.Unmap(), port); got != want {
			t.Errorf("%s: got %s, want %s", &written, got, want)
		}
	})
}

func FuzzParseUser(f *testing.F) {
	f.Add("alice:x:1000:100:Alice:/home/alice:/bin/sh", "alice")
	f.Add("bob:x:4294967295:0::/:", "4294967295")
	f.Add("carol:x:-1:0::/:/bin/sh", "-1")
	f.Fuzz(func(t *testing.T, line, want string) {
		u, ok := parseUser(strings.Split(line, ":"), want)
		if !ok {
			return
		}
		if uid, err := strconv.Atoi(want); u.Name != want && (err != nil || uid != u.UID) {
			t.Errorf("%q asked for %q: %+v", line, want, u)
		}
		if u.UID < 0 || u.UID == noID || u.GID < 0 || u.GID == noID || u.Name == "" {
			t.Errorf("%q: %+v", line, u)
		}
	})
}
