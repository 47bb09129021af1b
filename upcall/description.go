package upcall

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// description is what the kernel says of the login that it wants (cifs_get_spnego_key in the
// kernel's fs/smb/client/cifs_spnego.c).
type description struct {
	host    string // of the mount's source as it was typed; empty, or the address, for the extra channels of some kernels
	ip      netip.Addr
	sec     string // the mechanism that the server advertised
	uid     uint32 // the mount's uid= option: owner of the files
	creduid uint32 // the credential uid
	user    string // the mount's username= option, "" when there is none
	pid     uint32 // the thread that logs in, in the first pid namespace: a label, and nothing else
}

// named reports whether the server has a name in the description.
func (d description) named() bool {
	addr, err := netip.ParseAddr(d.host)
	return d.host != "" && (err != nil || addr.Unmap() != d.ip)
}

// maxDescription is one less than the kernel's KEY_MAX_DESC_SIZE, in bytes.
const maxDescription = 4095

// start is how a description begins that our rule is for. The kernel has never had another version.
const start = "ver=0x2;host="

// hostOf gives the host of a description whatever follows it; ok is false when it is not of the form
// that our rule is for.
func hostOf(text string) (host string, ok bool) {
	rest, ok := strings.CutPrefix(text, start)
	host, _, _ = strings.Cut(rest, ";")
	return host, ok
}

// parseDescription reads a description as an enemy's: nothing in it is escaped, so that a host or a
// user name with a semicolon brings fields of its own, and on kernels without the mending of
// CVE-2026-46243 any user can make one up. The fields must be there in the kernel's order, each
// once, and unknown ones only behind the last, where newer kernels add theirs.
func parseDescription(text string) (description, error) {
	if len(text) > maxDescription {
		return description{}, errors.New("it is too long")
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return description{}, errors.New("it holds control characters")
	}
	p := fields{rest: text, more: true, seen: map[string]bool{}}
	var d description
	if v := p.readField("ver"); p.err == nil && v != "0x2" {
		p.fail("ver", "is not 0x2")
	}
	d.host = p.readField("host")
	d.ip = p.address()
	d.sec = p.readField("sec")
	d.uid = p.number("uid")
	d.creduid = p.number("creduid")
	if p.next() == "user" {
		d.user = p.readField("user")
	}
	d.pid = p.number("pid")
	p.readFurther()
	if p.err == nil && d.creduid == math.MaxUint32 { // (uid_t)-1 is nobody
		p.fail("creduid", "is not a uid")
	}
	return d, p.err
}

// fields reads key=value texts from left to right. After the first error it reads nothing.
type fields struct {
	rest string
	more bool // there is another one, if only an empty one
	seen map[string]bool
	err  error
}

func (p *fields) fail(key, problem string) {
	if p.err == nil {
		p.err = fmt.Errorf("its field %s %s", key, problem)
	}
}

// next is the key of the next field.
func (p *fields) next() string {
	field, _, _ := strings.Cut(p.rest, ";")
	key, _, _ := strings.Cut(field, "=")
	return key
}

// readField reads the value of the next field, which must be key.
func (p *fields) readField(key string) string {
	if p.err != nil {
		return ""
	}
	field, rest, more := strings.Cut(p.rest, ";")
	name, value, ok := strings.Cut(field, "=")
	if !p.more || !ok || name != key {
		p.fail(key, "is missing or at the wrong place")
		return ""
	}
	p.rest, p.more, p.seen[key] = rest, more, true
	return value
}

// address reads ip4 or ip6.
func (p *fields) address() netip.Addr {
	key := p.next()
	if key != "ip6" {
		key = "ip4"
	}
	text := p.readField(key)
	if p.err != nil {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Is4() != (key == "ip4") || addr.Zone() != "" {
		p.fail(key, "is not an address")
	}
	p.seen["ip4"], p.seen["ip6"] = true, true
	return addr.Unmap()
}

// number reads 0x and up to 8 hexadecimal digits, as the kernel's %x writes them.
func (p *fields) number(key string) uint32 {
	text := p.readField(key)
	if p.err != nil {
		return 0
	}
	digits, ok := strings.CutPrefix(text, "0x")
	n, err := strconv.ParseUint(digits, 16, 32)
	if !ok || err != nil || strconv.FormatUint(n, 16) != digits {
		p.fail(key, "is not a number")
	}
	return uint32(n)
}

// readFurther reads what newer kernels append. A field that has been there, or is of the known ones and
// now comes too late, was brought by a value with a semicolon.
func (p *fields) readFurther() {
	p.seen["user"] = true
	for p.err == nil && p.more {
		key := p.next()
		if p.seen[key] {
			p.fail(strconv.Quote(key), "is there twice or at the wrong place")
			return
		}
		if !isKey(key) {
			p.fail(strconv.Quote(key), "is not a field")
			return
		}
		p.readField(key)
	}
}

// isKey reports whether s can be the name of a field.
func isKey(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}
