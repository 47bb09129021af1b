package ccache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash/fnv"
	"path/filepath"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

// The bytes of the lock file. Two hosts may share one: then they wait for each other, which costs time
// and nothing else.
const (
	rewriteByte        = host.Sole
	endpointByte int64 = 1 << 32 // the first of 2^32
	identityByte int64 = 2 << 32 // the first of 2^32
)

// The endings of the lock files' names.
const (
	lockEnding    = ".lock"
	watcherEnding = ".watcher" // a file of its own, which names the watcher all the time
)

// LockEndpoint waits until no other goroutine or process holds the lock of the endpoint name, and
// takes it: who holds it may ask the endpoint for a ticket. The Update that stores the ticket is
// done under it. Errors: fault.LockTimeout when ctx's deadline passes, fault.Interrupted when ctx is
// cancelled, fault.CCacheFolder and fault.CCacheIO. The lock ends with unlock or with the process.
func (s *Store) LockEndpoint(ctx context.Context, name string) (unlock func(), err error) {
	return s.lockByte(ctx, lockEnding, endpointByte+hash(strings.ToLower(name)))
}

// LockIdentity is LockEndpoint for the token request of an identity, given as its line of text.
func (s *Store) LockIdentity(ctx context.Context, identity string) (unlock func(), err error) {
	return s.lockByte(ctx, lockEnding, identityByte+hash(identity))
}

// LockWatcher makes this process the one that keeps the cache's tickets fresh for the mounts that it sees, which are
// those of its mount namespace: a daemon in a container sees others than the machine's. It does not wait: when
// another one is it, holder says who and unlock is nil. The lock ends with unlock or with the process.
// Errors are of the kinds fault.CCacheFolder and CCacheIO.
func (s *Store) LockWatcher() (unlock func(), holder host.Holder, err error) {
	unlock, err = s.lockByte(host.NoWait(), watcherEnding, host.SoleIn(host.MountNamespace()))
	if locked, ok := errors.AsType[*host.Locked](err); ok {
		return nil, locked.Holder, nil
	}
	return unlock, host.Holder{}, err
}

func hash(s string) int64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(s)) // a hash.Hash never fails
	return int64(h.Sum32())
}

func (s *Store) lockByte(ctx context.Context, ending string, at int64) (func(), error) {
	d, err := s.openDir()
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return s.lock(ctx, d, ending, at)
}

// lock takes one byte of a lock file: beside the cache, or in root's own directory when others can write
// beside the cache, since they could put a file of theirs in its place or hold a lock on it for ever.
func (s *Store) lock(ctx context.Context, d *host.Dir, ending string, at int64) (func(), error) {
	name := "." + s.name + ending
	if d.Shared {
		locks, err := s.host.OwnDir(filepath.Join(s.host.Run, "lock"))
		if err != nil {
			return nil, dirFault(s.host, err)
		}
		defer locks.Close()
		sum := sha256.Sum256([]byte(filepath.Join(d.Name, s.name)))
		d, name = locks, s.name+"."+hex.EncodeToString(sum[:8])+ending
	}
	unlock, err := d.Lock(ctx, name, at)
	locked, isLocked := errors.AsType[*host.Locked](err)
	if isLocked && errors.Is(err, context.DeadlineExceeded) {
		bound, _ := fault.Late(ctx)
		return nil, fault.LockTimeout.New(locked.Path).Because(err).Hit(bound)
	}
	if isLocked {
		return nil, fault.From(err)
	}
	if err != nil {
		return nil, s.ioFault(err)
	}
	return unlock, nil
}
