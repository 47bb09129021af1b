package ccache

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

const (
	newMode       = 0o640 // root writes, the credential uid's group reads
	othersWrite   = 0o022 // the mode bits that let others than the owner write
	damagedSuffix = ".damaged"
)

// existing is a cache file that passed the owner's rules.
type existing struct {
	stat unix.Stat_t
	data []byte
}

// cache parses the file; a missing one (nil) and a damaged one give an empty Cache.
func (o *existing) cache() (c *Cache, damaged bool) {
	if o == nil {
		return &Cache{}, false
	}
	c, err := Parse(o.data)
	if err != nil {
		return &Cache{}, true
	}
	return c, false
}

// read gives the file, nil when there is none.
func (s *Store) read(d *host.Dir) (*existing, error) {
	in, st, err := d.Open(s.name, s.accept)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	} else if fault.Is(err, fault.CCacheForeign) {
		return nil, err
	} else if err != nil {
		return nil, s.ioFault(fmt.Errorf("open: %w", err))
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
		problem = "it is no regular file"
	} else if !s.ours(st) {
		problem = "it is not root's nor the credential uid's"
	} else if st.Mode&othersWrite != 0 {
		problem = "others than its owner can write to it"
	} else if st.Nlink > 1 {
		problem = fmt.Sprintf("it has %d names (hard links)", st.Nlink)
	}
	if problem == "" {
		return nil
	}
	return fault.CCacheForeign.New(s.path, fmt.Sprintf("%s; owner uid %d, mode %04o", problem, st.Uid, st.Mode&0o7777))
}

func (s *Store) ours(st *unix.Stat_t) bool { return s.host.Trusts(st.Uid) || int(st.Uid) == s.own.UID }

// replace puts data in the place of old, which is nil when there is no file and is set aside when it
// is damaged. Nil data puts nothing there. It needs the lock, under which no other process has a
// temporary file: those of processes that were killed hold tickets and are removed.
func (s *Store) replace(d *host.Dir, old *existing, data []byte, damaged bool) (err error) {
	d.Sweep(s.name, s.ours)
	f := host.File{UID: s.host.UID, GID: s.own.GID, Mode: newMode}
	if old != nil {
		f = host.File{UID: int(old.stat.Uid), GID: int(old.stat.Gid), Mode: old.stat.Mode & 0o777}
	}
	if damaged {
		f.Aside = d.Aside(s.name, damagedSuffix)
	}
	if data != nil {
		err = d.Replace(s.name, f, host.Content(data))
	} else if damaged {
		err = d.Rename(s.name, f.Aside)
	}
	if err != nil {
		return s.ioFault(err)
	}
	if damaged && s.OnDamaged != nil {
		s.OnDamaged(s.dir + f.Aside)
	}
	return nil
}
