package ccache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// runFolder is where caches live by default, and the locks of caches in shared folders.
const runFolder = "/run/azfilesauth"

// Modes of the folders that are made when they are missing: users pass through the one to read
// their caches, the locks are root's alone.
const (
	runMode  = 0o711
	lockMode = 0o700
)

// Owner is the credential uid, and the group that may read a new cache: the uid's own.
type Owner struct{ UID, GID int }

// Store is a cache in a file. Its methods may be called by many goroutines and processes at once.
// Each one finds and checks the folder anew, so that a Store survives the folder's replacement.
type Store struct {
	// OnDamaged, when set before the first Update, is told of each damaged cache that Update has
	// renamed; path is its new name.
	OnDamaged func(path string)

	path string // as the user wrote it, without FILE:
	dir  string // path up to its last slash
	name string // path after its last slash
	run  string // runFolder
	own  Owner

	last atomic.Pointer[loaded]
}

// Open checks the name of a cache, "FILE:/path" or "/path", and its folder. /run/azfilesauth is made
// when the cache is in it. The file need not exist. Errors are of the kinds fault.CCacheType and
// fault.CCacheFolder.
func Open(name string, owner Owner) (*Store, error) { return openIn(runFolder, name, owner) }

func openIn(run, name string, owner Owner) (*Store, error) {
	path, problem := parseName(name)
	if problem != "" {
		return nil, fault.CCacheType.New(name, problem)
	}
	slash := strings.LastIndexByte(path, '/')
	s := &Store{path: path, dir: path[:slash+1], name: path[slash+1:], run: run, own: owner}
	f, err := s.folder()
	if err != nil {
		return nil, err
	}
	f.close()
	return s, nil
}

// parseName takes the path out of a cache's name, or says why it names no file.
func parseName(name string) (path, problem string) {
	path = name
	if kind, rest, found := strings.Cut(name, ":"); found && !strings.Contains(kind, "/") {
		if kind != "FILE" {
			return "", fmt.Sprintf("it is of type %s, not FILE", kind)
		}
		path = rest
	}
	base := path[strings.LastIndexByte(path, '/')+1:]
	switch {
	case !strings.HasPrefix(path, "/"):
		return "", "the path is not absolute"
	case strings.Contains(path, "%{"):
		return "", "the path has a %{} part that only libkrb5 knows"
	case base == "" || base == "." || base == ".." || strings.ContainsRune(path, 0):
		return "", "the path names no file"
	}
	return path, ""
}

// Path is the path of the file.
func (s *Store) Path() string { return s.path }

// Snapshot is what Load found.
type Snapshot struct {
	// Cache is nil when there is no file. It is shared by all who load it and must not be changed.
	Cache *Cache

	// Trusted reports that nobody but root could have written the cache: root owns the file and no
	// one else can write it. (The folder is root's or sticky, or Load would have failed.) A record
	// from another cache is a hint, never an instruction.
	Trusted bool
}

// Load reads the cache. It takes no lock: it sees the file before or after an Update, never between.
// A file that is neither root's nor the credential uid's, that others can write, or that is no
// regular file with one name is refused unread, with fault CCacheForeign. Other errors are of the
// kinds fault.CCacheFolder, CCacheDamaged and CCacheIO.
func (s *Store) Load() (Snapshot, error) {
	f, err := s.folder()
	if err != nil {
		return Snapshot{}, err
	}
	defer f.close()
	if snap, ok := s.again(f); ok {
		return snap, nil
	}
	old, err := s.read(f)
	if err != nil || old == nil {
		return Snapshot{}, err
	}
	cache, err := Parse(old.data)
	if err != nil {
		return Snapshot{}, fault.CCacheDamaged.New(s.path, err.Error())
	}
	s.last.Store(&loaded{old.stat, cache})
	return snapshot(&old.stat, cache), nil
}

// Update changes the cache: it waits for the lock, reads, calls change, and puts the result in
// place by one rename. change gets an empty Cache when there is no file or a damaged one; it must
// not wait for anything. When change gives an error, when nothing was changed or when anything
// fails, the old file stays as it was; only when the folder's fsync fails is the new one in place
// already. A new file belongs to root and the Owner's group with mode
// 0640, so that the user can read and not forge it; an existing one keeps its owner and mode. A
// damaged cache is renamed to <name>.damaged, see OnDamaged.
//
// Errors are those of change and of Load except CCacheDamaged, and fault.LockTimeout when ctx ends
// while another holds the lock, and fault.CCachePrincipal, see Put.
func (s *Store) Update(ctx context.Context, change func(*Cache) error) error {
	f, err := s.folder()
	if err != nil {
		return err
	}
	defer f.close()
	unlock, err := s.lock(ctx, f, rewriteByte)
	if err != nil {
		return err
	}
	defer unlock()
	old, err := s.read(f)
	if err != nil {
		return err
	}
	cache, damaged := old.cache()
	if err := change(cache); err != nil {
		return err
	}
	data, err := s.result(cache)
	if err != nil || old != nil && bytes.Equal(data, old.data) {
		return err
	}
	if cache.Principal.isZero() && (old == nil || damaged) {
		data = nil // no ticket was put into it, and libkrb5 could not read it
	}
	return s.replace(f, old, data, damaged)
}

// result is what is to be written, unless the change went wrong.
func (s *Store) result(c *Cache) ([]byte, error) {
	var other *clientError
	switch {
	case errors.As(c.refused, &other):
		return nil, fault.CCachePrincipal.New(s.path, other.Error())
	case c.refused != nil:
		return nil, fault.Internal.New().Because(c.refused)
	}
	data := c.Marshal()
	if len(data) > MaxSize {
		return nil, s.ioFault("write", fmt.Errorf("the tickets take %d bytes, at most %d are allowed", len(data), MaxSize))
	}
	return data, nil
}

// folder opens the folder of the cache.
func (s *Store) folder() (*folder, error) { return openFolder(s.dir, s.ownFolders()) }

// ownFolders are the folders that we make when they are missing.
func (s *Store) ownFolders() map[string]uint32 {
	return map[string]uint32{s.run: runMode, s.lockFolder(): lockMode}
}

func (s *Store) lockFolder() string { return filepath.Join(s.run, "lock") }

func (s *Store) ioFault(doing string, err error) error {
	return fault.CCacheIO.New(s.path).Because(fmt.Errorf("%s: %w", doing, err))
}
