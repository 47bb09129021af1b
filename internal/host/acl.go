package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// A file's list of who may do what (acl(5)) is an extended attribute: a version, then entries of a tag, the
// permissions and a uid or gid, little-endian (include/uapi/linux/posix_acl_xattr.h and posix_acl.h).
const (
	aclName    = "system.posix_acl_access"
	aclVersion = 2
	aclHeader  = 4
	aclEntry   = 8
	aclMax     = 64 << 10 // XATTR_SIZE_MAX, in bytes

	aclUserObj  = 0x01
	aclUser     = 0x02
	aclGroupObj = 0x04
	aclGroup    = 0x08
	aclMask     = 0x10
	aclOther    = 0x20

	permRead  = 4
	permWrite = 2
	noID      = 0xffffffff
)

// ErrNoACL says that a file system keeps no access control lists.
var ErrNoACL = errors.New("the file system has no access control lists")

// setReader lets one user read a file that is otherwise its owner's alone. Its mode then shows what the list
// grants at most where the permissions of the group were: 0640.
func setReader(file *os.File, uid int) error {
	list := binary.LittleEndian.AppendUint32(nil, aclVersion)
	for _, e := range []struct {
		tag, perm uint16
		id        uint32
	}{{aclUserObj, permRead | permWrite, noID}, {aclUser, permRead, uint32(uid)}, {aclGroupObj, 0, noID}, {aclMask, permRead, noID}, {aclOther, 0, noID}} {
		list = binary.LittleEndian.AppendUint16(list, e.tag)
		list = binary.LittleEndian.AppendUint16(list, e.perm)
		list = binary.LittleEndian.AppendUint32(list, e.id)
	}
	err := unix.Fsetxattr(int(file.Fd()), aclName, list, 0)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("%w: %w", ErrNoACL, err)
	}
	return err
}

// Readers tells who beside root can read a file.
type Readers struct {
	Users, Groups []int
	All           bool // everybody
}

// Grants reports whether a user with that primary group is among them. Other groups of the user are not
// looked at: cifs.upcall drops them.
func (r Readers) Grants(uid, gid int) bool {
	return r.All || slices.Contains(r.Users, uid) || slices.Contains(r.Groups, gid)
}

// Readers reads the owner, the mode and the access control list of a file, its link not followed. Who has a
// list of permissions of his own, and none to read among them, is not told apart from everybody. The errors are
// those of the system.
func (h Host) Readers(path string) (Readers, error) {
	name := h.Entry(path)
	info, err := os.Lstat(name)
	if err != nil {
		return Readers{}, err
	}
	st := StatOf(info)
	list := make([]byte, aclMax)
	n, err := unix.Lgetxattr(name, aclName, list)
	if err != nil { // no list, or a file system without any
		n = 0
	}
	return readers(st.Mode, int(st.Uid), int(st.Gid), list[:n]), nil
}

func readers(mode uint32, uid, gid int, list []byte) (r Readers) {
	entries, limit := parseACL(list)
	if entries == nil {
		entries = []aclGrant{{aclUserObj, uint16(mode >> 6 & 7), 0}, {aclGroupObj, uint16(mode >> 3 & 7), 0}, {aclOther, uint16(mode & 7), 0}}
	}
	for _, e := range entries {
		if e.tag != aclUserObj && e.tag != aclOther {
			e.perm &= limit
		}
		if e.perm&permRead == 0 {
			continue
		}
		switch e.tag {
		case aclUserObj:
			r.Users = append(r.Users, uid)
		case aclUser:
			r.Users = append(r.Users, int(e.id))
		case aclGroupObj:
			r.Groups = append(r.Groups, gid)
		case aclGroup:
			r.Groups = append(r.Groups, int(e.id))
		case aclOther:
			r.All = true
		}
	}
	return r
}

type aclGrant struct {
	tag, perm uint16
	id        uint32
}

// parseACL gives the entries of a list and what it grants at most; none when it is in no known form.
func parseACL(list []byte) (entries []aclGrant, limit uint16) {
	limit = 7
	if len(list) < aclHeader || (len(list)-aclHeader)%aclEntry != 0 || binary.LittleEndian.Uint32(list) != aclVersion {
		return nil, limit
	}
	for b := list[aclHeader:]; len(b) > 0; b = b[aclEntry:] {
		e := aclGrant{binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:]), binary.LittleEndian.Uint32(b[4:])}
		if e.tag == aclMask {
			limit = e.perm
		} else {
			entries = append(entries, e)
		}
	}
	return entries, limit
}
