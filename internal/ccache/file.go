package ccache

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

const (
	newMode       = 0o640 // root writes, the credential uid's group reads
	damagedSuffix = ".damaged"
	tempSuffix    = ".tmp"
	tempRandom    = 8 // bytes
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

// read gives the file, nil when there is none. It looks before it opens, because to open a pipe or
// a device can block or have effects, and looks again at what it has opened.
func (s *Store) read(f *folder) (*existing, error) {
	var st unix.Stat_t
	err := unix.Fstatat(f.fd, s.name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	} else if err != nil {
		return nil, s.ioFault("look at", err)
	}
	if err := s.accept(&st); err != nil {
		return nil, err
	}
	fd, err := unix.Openat(f.fd, s.name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, s.ioFault("open", err)
	}
	in := os.NewFile(uintptr(fd), s.path)
	defer func() { _ = in.Close() }()
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, s.ioFault("look at", err)
	}
	if err := s.accept(&st); err != nil {
		return nil, err
	}
	data := bytes.NewBuffer(make([]byte, 0, min(st.Size, MaxSize)+bytes.MinRead)) // or a large cache is copied as it grows
	if _, err := data.ReadFrom(io.LimitReader(in, MaxSize+1)); err != nil {
		return nil, s.ioFault("read", err)
	}
	return &existing{stat: st, data: data.Bytes()}, nil
}

// accept refuses a file that somebody else could have made or can change. An open file without any
// name is one that an Update has just replaced, and as good as it was.
func (s *Store) accept(st *unix.Stat_t) error {
	var problem string
	switch {
	case st.Mode&unix.S_IFMT == unix.S_IFLNK:
		problem = "it is a symbolic link"
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		problem = "it is no regular file"
	case !s.ours(st):
		problem = "it is not root's nor the credential uid's"
	case st.Mode&othersWrite != 0:
		problem = "others than its owner can write to it"
	case st.Nlink > 1:
		problem = fmt.Sprintf("it has %d names (hard links)", st.Nlink)
	default:
		return nil
	}
	return fault.CCacheForeign.New(s.path, fmt.Sprintf("%s; owner uid %d, mode %04o", problem, st.Uid, st.Mode&0o7777))
}

func (s *Store) ours(st *unix.Stat_t) bool { return st.Uid == 0 || int(st.Uid) == s.own.UID }

// replace puts data in the place of old, which is nil when there is no file and is set aside when it
// is damaged. Nil data puts nothing there. It needs the lock.
func (s *Store) replace(f *folder, old *existing, data []byte, damaged bool) (err error) {
	dir, err := s.openDir(f)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	s.cleanUp(f, dir)
	temp := s.tempName()
	if data != nil {
		if err := s.writeTemp(f, temp, old, data); err != nil {
			_ = unix.Unlinkat(f.fd, temp, 0)
			return s.ioFault("write", err)
		}
	}
	if damaged {
		err = unix.Renameat(f.fd, s.name, f.fd, s.name+damagedSuffix)
	}
	if err == nil && data != nil {
		err = unix.Renameat(f.fd, temp, f.fd, s.name)
	}
	if err != nil {
		_ = unix.Unlinkat(f.fd, temp, 0)
		return s.ioFault("rename", err)
	}
	if damaged && s.OnDamaged != nil {
		s.OnDamaged(s.path + damagedSuffix)
	}
	// Some file systems cannot sync a folder. The file is in its place all the same.
	if err := dir.Sync(); err != nil && !errors.Is(err, unix.EINVAL) {
		return s.ioFault("sync the folder", err)
	}
	return nil
}

// openDir opens the folder for listing and syncing, which an O_PATH descriptor cannot do.
func (s *Store) openDir(f *folder) (*os.File, error) {
	fd, err := unix.Openat(f.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, s.ioFault("open the folder", err)
	}
	return os.NewFile(uintptr(fd), f.path), nil
}

// writeTemp makes the new file. It has its final owner and mode before it has a byte.
func (s *Store) writeTemp(f *folder, name string, old *existing, data []byte) error {
	fd, err := unix.Openat(f.fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	out := os.NewFile(uintptr(fd), name)
	uid, gid, mode := 0, s.own.GID, uint32(newMode)
	if old != nil {
		uid, gid, mode = int(old.stat.Uid), int(old.stat.Gid), old.stat.Mode&0o777
	}
	if err = unix.Fchown(fd, uid, gid); err == nil {
		err = unix.Fchmod(fd, mode)
	}
	if err == nil {
		_, err = out.Write(data)
	}
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

func (s *Store) tempPrefix() string { return "." + s.name + "." }

// tempName is unpredictable, so that nobody in a shared folder can be there first.
func (s *Store) tempName() string {
	random := make([]byte, tempRandom)
	_, _ = rand.Read(random) // never fails: see its documentation
	return s.tempPrefix() + hex.EncodeToString(random) + tempSuffix
}

// cleanUp removes the temporary files of processes that were killed: under the lock no other
// process has one. They hold tickets. What cannot be removed does no harm.
func (s *Store) cleanUp(f *folder, dir *os.File) {
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		var st unix.Stat_t
		if s.isTemp(name) && unix.Fstatat(f.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil &&
			st.Mode&unix.S_IFMT == unix.S_IFREG && s.ours(&st) {
			_ = unix.Unlinkat(f.fd, name, 0)
		}
	}
}

func (s *Store) isTemp(name string) bool {
	rest, okP := strings.CutPrefix(name, s.tempPrefix())
	random, okS := strings.CutSuffix(rest, tempSuffix)
	raw, err := hex.DecodeString(random)
	return okP && okS && err == nil && len(raw) == tempRandom
}
