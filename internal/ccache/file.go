package ccache

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

const (
	ownerMode     = 0o600
	groupMode     = 0o640
	othersWrite   = 0o022 // the mode bits that let others than the owner write
	damagedSuffix = ".damaged"
)

// existing is a cache file that passed the owner's rules.
type existing struct {
	stat unix.Stat_t
	data []byte
}

// parse gives what is in the file, an empty Cache for a missing one (nil). A file that never was a cache is told
// from one that is damaged, which is set aside: KRB5_CC_NAME can name the keytab of the machine by mistake.
func (s *Store) parse(o *existing) (*Cache, error) {
	if o == nil {
		return &Cache{}, nil
	}
	c, err := Parse(o.data)
	if err == nil {
		return c, nil
	}
	if !s.meantAsCache() && !couldBeCache(o.data) {
		return nil, fault.CCacheType.New(s.path, "it is a file of another kind: "+err.Error())
	}
	return nil, fault.CCacheDamaged.New(s.path, err.Error())
}

// meantAsCache reports whether the name is what caches are called everywhere. Nothing else makes what is there worth
// moving away when it is no cache.
func (s *Store) meantAsCache() bool { return strings.HasPrefix(s.name, "krb5cc") }

// couldBeCache reports whether data begins as a cache does, or is what a crash leaves of one: nothing, or zeroes.
func couldBeCache(data []byte) bool {
	begins := len(data) < 2 || data[1] == version3 || data[1] == version4
	return len(bytes.TrimLeft(data, "\x00")) == 0 || data[0] == formatByte && begins
}

// open gives the file to read, nil when there is none.
func (s *Store) open(d *host.Dir) (*os.File, unix.Stat_t, error) {
	in, st, err := d.Open(s.name, s.accept)
	if errors.Is(err, unix.ENOENT) {
		return nil, st, nil
	} else if err != nil && !fault.Is(err, fault.CCacheForeign, fault.CCacheType) {
		err = s.ioFault(fmt.Errorf("open: %w", err))
	}
	return in, st, err
}

// read gives the file, nil when there is none.
func (s *Store) read(d *host.Dir) (*existing, error) {
	in, st, err := s.open(d)
	if err != nil || in == nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	data := bytes.NewBuffer(make([]byte, 0, min(st.Size, MaxSize)+bytes.MinRead)) // or a large cache is copied as it grows
	if _, err := data.ReadFrom(io.LimitReader(in, MaxSize+1)); err != nil {
		return nil, s.ioFault(err)
	}
	return &existing{stat: st, data: data.Bytes()}, nil
}

// accept refuses a file that somebody else could have made or can change. An open file without any
// name is one that an Update has just replaced, and as good as it was.
func (s *Store) accept(st *unix.Stat_t) error {
	problem := ""
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		problem = "it is a symbolic link"
	} else if st.Mode&unix.S_IFMT != unix.S_IFREG {
		problem = "it is not a regular file"
	} else if !s.isOwners(st) {
		problem = "it is not root's nor the credential uid's"
	} else if st.Mode&othersWrite != 0 {
		problem = "others than its owner can write to it"
	} else if st.Nlink > 1 {
		problem = fmt.Sprintf("it has %d names (hard links)", st.Nlink)
	}
	if problem == "" {
		return nil
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG && !s.meantAsCache() {
		return fault.CCacheType.New(s.path, problem)
	}
	return fault.CCacheForeign.New(s.path, fmt.Sprintf("%s; owner uid %d, mode %04o", problem, st.Uid, st.Mode&0o7777))
}

func (s *Store) isOwners(st *unix.Stat_t) bool { return s.host.Trusts(st.Uid) || int(st.Uid) == s.uid }

// replace puts data in the place of old, which is nil when there is no file and is set aside when it
// is damaged. Nil data puts nothing there. It needs the lock, under which no other process has a
// temporary file: those of processes that were killed hold tickets and are removed.
func (s *Store) replace(d *host.Dir, old *existing, data []byte, damaged bool) (err error) {
	d.Sweep(s.name, s.isOwners)
	aside := ""
	if damaged {
		aside = d.Aside(s.name, damagedSuffix)
	}
	if data != nil {
		err = s.writeFile(d, old, data, aside)
	} else if damaged {
		err = d.Rename(s.name, aside)
	}
	if err != nil {
		return s.ioFault(err)
	}
	return nil
}

// writeFile writes the file so that nobody but root and the credential uid can read it: the stock cifs.upcall reads as
// that uid. It is the trusted user's, and a list of the file's readers names the uid. Where there are no
// such lists the uid's primary group reads it, if that is nobody else's; a shared one, such as "users", would
// open every ticket to everybody in it. Else the uid owns the file, as a file of its own always stays, and its
// records are hints. Whoever else could read the old file cannot read the new one.
func (s *Store) writeFile(d *host.Dir, old *existing, data []byte, aside string) error {
	f := s.host.Own(ownerMode)
	if f.Aside = aside; old != nil && !s.host.Trusts(old.stat.Uid) {
		f.UID, f.GID = int(old.stat.Uid), int(old.stat.Gid)
	} else if s.uid != 0 && s.uid != f.UID {
		f.Reader = s.uid
	}
	err := d.Replace(s.name, f, host.Content(data))
	if !errors.Is(err, host.ErrNoACL) {
		return err
	}
	f.Reader = 0
	if gid, alone := s.host.OwnGroup(s.uid); alone {
		f.GID, f.Mode = gid, groupMode
	} else {
		f.UID = s.uid
	}
	return d.Replace(s.name, f, host.Content(data))
}

// Loose says who beside root and the credential uid can read the cache at path, "" when nobody can. The next
// write closes it.
func Loose(h host.Host, path string, uid int) string {
	r, err := h.Readers(path)
	if err != nil {
		return ""
	}
	if r.All {
		return "every user of this machine"
	}
	for _, u := range r.Users {
		if u != uid && !h.Trusts(uint32(u)) {
			return fmt.Sprintf("uid %d", u)
		}
	}
	for _, g := range r.Groups {
		if own, alone := h.OwnGroup(uid); g != 0 && (!alone || g != own) { // who is in root's group reads more than this
			return fmt.Sprintf("everybody in group %d", g)
		}
	}
	return ""
}
