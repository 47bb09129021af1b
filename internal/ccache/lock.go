package ccache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// The lock file is never written; its bytes are only names for locks (fcntl(2), "Open file
// description locks"), and they need not exist. Two hosts may share a byte: then they wait for each
// other, which costs time and nothing else.
const (
	rewriteByte  int64 = 0
	endpointByte int64 = 1 << 32 // the first of 2^32
	identityByte int64 = 2 << 32 // the first of 2^32
)

// A waiting process asks again after firstWait, then at intervals that double up to maxWait. To
// block in the kernel instead could not be ended by a context.
const (
	firstWait = time.Millisecond
	maxWait   = 20 * time.Millisecond
)

// LockEndpoint waits until no other goroutine or process holds the lock of the endpoint host, and
// takes it: who holds it may ask the endpoint for a ticket. The Update that stores the ticket is
// done under it. Errors: fault.LockTimeout when ctx's deadline passes, fault.Interrupted when ctx is
// cancelled, fault.CCacheFolder and fault.CCacheIO. The lock ends with unlock or with the process.
func (s *Store) LockEndpoint(ctx context.Context, host string) (unlock func(), err error) {
	return s.lockByte(ctx, endpointByte+hash(strings.ToLower(host)))
}

// LockIdentity is LockEndpoint for the token request of an identity, given as its line of text.
func (s *Store) LockIdentity(ctx context.Context, identity string) (unlock func(), err error) {
	return s.lockByte(ctx, identityByte+hash(identity))
}

func hash(s string) int64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(s)) // a hash.Hash never fails
	return int64(h.Sum32())
}

func (s *Store) lockByte(ctx context.Context, at int64) (func(), error) {
	f, err := s.folder()
	if err != nil {
		return nil, err
	}
	defer f.close()
	return s.lock(ctx, f, at)
}

// lock takes one byte of the lock file that belongs to the cache in f. The file is opened anew each
// time: these locks belong to the open file, so goroutines exclude each other as processes do.
func (s *Store) lock(ctx context.Context, f *folder, at int64) (func(), error) {
	file, err := s.openLock(f, ".lock")
	if err != nil {
		return nil, err
	}
	err = wait(ctx, file, at)
	switch {
	case err == nil:
		return func() { release(file, at) }, nil
	case errors.Is(err, context.DeadlineExceeded):
		err = fault.LockTimeout.New(file.Name()).Because(err)
	case ctx.Err() != nil:
		err = fault.From(err)
	default:
		err = s.ioFault("lock "+file.Name(), err)
	}
	_ = file.Close()
	return nil, err
}

// wait takes the byte at, or gives ctx's error when ctx ends first. It tries once in any case: a ticket
// that arrives at the last moment is worth storing.
func wait(ctx context.Context, file *os.File, at int64) error {
	for pause := firstWait; ; pause = min(2*pause, maxWait) {
		err := setLock(file, unix.F_WRLCK, at)
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

func setLock(file *os.File, kind int16, at int64) error {
	return unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: kind, Start: at, Len: 1})
}

// release unlocks before it closes: a child that is just being started has a copy of the descriptor
// and would keep the lock until its exec.
func release(file *os.File, at int64) {
	_ = setLock(file, unix.F_UNLCK, at)
	_ = file.Close()
}

// openLock opens a lock file: beside the cache, or in root's own folder when others can write
// beside the cache, since they could put a file of theirs in its place or hold a lock on it for ever.
func (s *Store) openLock(f *folder, ending string) (*os.File, error) {
	name := "." + s.name + ending
	if f.shared {
		locks, err := openFolder(s.lockFolder(), s.ownFolders())
		if err != nil {
			return nil, err
		}
		defer locks.close()
		sum := sha256.Sum256([]byte(filepath.Join(f.path, s.name)))
		f, name = locks, s.name+"."+hex.EncodeToString(sum[:8])+ending
	}
	path := filepath.Join(f.path, name)
	fd, err := unix.Openat(f.fd, name, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, s.ioFault("open the lock "+path, err)
	}
	file := os.NewFile(uintptr(fd), path)
	if err := checkLock(fd); err != nil {
		_ = file.Close()
		return nil, s.ioFault("open the lock "+path, err)
	}
	return file, nil
}

// checkLock makes sure that only root can open the lock file: who can read it can hold a lock.
func checkLock(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Uid != 0 {
		return fmt.Errorf("it is not a regular file of root's (owner uid %d, mode %04o)", st.Uid, st.Mode&0o7777)
	}
	if st.Mode&0o777 != 0o600 {
		return unix.Fchmod(fd, 0o600)
	}
	return nil
}
