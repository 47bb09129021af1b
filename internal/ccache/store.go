package ccache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

// Store is a cache in a file. Its methods may be called by many goroutines and processes at once.
// Each one finds and checks the directory again, so that a Store survives the directory's replacement.
type Store struct {
	path string // as the user wrote it, without FILE:
	dir  string // path up to its last slash
	name string // path after its last slash
	host host.Host
	uid  int // the credential uid

	last atomic.Pointer[loaded]
}

// Open checks the name of a cache of the credential uid on the machine h, "FILE:/path" or "/path", and its
// directory. The run directory is made when the cache is in it. The file need not exist. Errors are of the kinds
// fault.CCacheType and fault.CCacheFolder.
func Open(h host.Host, name string, uid int) (*Store, error) {
	path, problem := parseName(name)
	if problem != "" {
		return nil, fault.CCacheType.New(name, problem)
	}
	slash := strings.LastIndexByte(path, '/')
	s := &Store{path: path, dir: path[:slash+1], name: path[slash+1:], host: h, uid: uid}
	d, err := s.openDir()
	if err != nil {
		return nil, err
	}
	d.Close()
	return s, nil
}

// FileType is the type of the caches that this package reads and writes.
const FileType = "FILE"

// SplitName takes the name of a credential cache apart: a name without a type is a file's, and a path
// can hold a colon (MIT krb5, krb5_cc_resolve).
func SplitName(name string) (kind, path string) {
	kind, path, ok := strings.Cut(name, ":")
	if !ok || strings.Contains(kind, "/") {
		return FileType, name
	}
	return kind, path
}

// parseName takes the path out of a cache's name, or says why it names no file.
func parseName(name string) (path, problem string) {
	kind, path := SplitName(name)
	if kind != FileType {
		return "", fmt.Sprintf("it is of type %s, not FILE", kind)
	}
	if !strings.HasPrefix(path, "/") {
		return "", "the path is not absolute"
	}
	if strings.Contains(path, "%{") {
		return "", "the path has a %{} part that only libkrb5 knows"
	}
	base := path[strings.LastIndexByte(path, '/')+1:]
	if base == "" || base == "." || base == ".." || strings.ContainsRune(path, 0) {
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
	// one else can write it. (The directory is root's or sticky, or Load would have failed.) A record
	// from another cache is a hint, never an instruction.
	Trusted bool
}

// Load reads the cache. It takes no lock: it sees the file before or after an Update, never between.
// A file that is neither root's nor the credential uid's, that others can write, or that is no
// regular file with one name is refused unread, with fault CCacheForeign. What is no cache and is not called
// krb5cc... is refused with fault CCacheType. Other errors are of the kinds fault.CCacheFolder, CCacheDamaged
// and CCacheIO.
func (s *Store) Load() (Snapshot, error) {
	d, err := s.openDir()
	if err != nil {
		return Snapshot{}, err
	}
	defer d.Close()
	if snap, ok := s.loadUnchanged(d); ok {
		return snap, nil
	}
	old, err := s.read(d)
	if err != nil || old == nil {
		return Snapshot{}, err
	}
	cache, err := s.parse(old)
	if err != nil {
		return Snapshot{}, err
	}
	s.last.Store(&loaded{old.stat, cache})
	return s.snapshot(&old.stat, cache), nil
}

// Look is Load for who shows tickets and logs in with none: the Cache is an Outline. It is not kept.
func (s *Store) Look() (Snapshot, error) {
	d, err := s.openDir()
	if err != nil {
		return Snapshot{}, err
	}
	defer d.Close()
	in, st, err := s.open(d)
	if err != nil || in == nil {
		return Snapshot{}, err
	}
	defer func() { _ = in.Close() }()
	cache, err := Outline(in, int(st.Size))
	if _, damaged := errors.AsType[*DamageError](err); damaged {
		return s.Load() // which tells what else it is
	} else if err != nil {
		return Snapshot{}, s.ioFault(err)
	}
	return s.snapshot(&st, cache), nil
}

// Update changes the cache: it waits for the lock, reads, calls change, and puts the result in
// place by one rename. change gets an empty Cache when there is no file or a damaged one; it must
// not wait for anything. When change gives an error, when nothing was changed or when anything
// fails, the old file stays as it was; only when the directory's fsync fails is the new one in place
// already. The file belongs to root, and nobody but the credential uid can
// read it, who cannot forge it; one that belongs to the uid stays so. A
// damaged cache is renamed to <name>.damaged.
//
// Errors are those of change and of Load except CCacheDamaged, and fault.LockTimeout when ctx ends
// while another holds the lock, and fault.CCachePrincipal, see Put.
func (s *Store) Update(ctx context.Context, change func(*Cache) error) error {
	d, err := s.openDir()
	if err != nil {
		return err
	}
	defer d.Close()
	unlock, err := s.lock(ctx, d, lockEnding, rewriteByte)
	if err != nil {
		return err
	}
	defer unlock()
	old, err := s.read(d)
	if err != nil {
		return err
	}
	cache, err := s.parse(old)
	damaged := fault.Is(err, fault.CCacheDamaged)
	if damaged {
		cache = &Cache{}
	} else if err != nil {
		return err
	}
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
	return s.replace(d, old, data, damaged)
}

// result is what is to be written, unless the change went wrong.
func (s *Store) result(c *Cache) ([]byte, error) {
	if other, ok := errors.AsType[*clientError](c.refused); ok {
		return nil, fault.CCachePrincipal.New(s.path, other.Error())
	}
	if c.refused != nil {
		return nil, fault.Internal.New().Because(c.refused)
	}
	data := c.Marshal()
	if len(data) > MaxSize || len(c.Credentials) > MaxEntries {
		return nil, s.ioFault(fmt.Errorf("the tickets take %d bytes in %d entries, at most %d in %d are allowed", len(data), len(c.Credentials), MaxSize, MaxEntries))
	}
	return data, nil
}

func (s *Store) openDir() (*host.Dir, error) {
	d, err := s.host.OpenDir(s.dir, s.host.Run)
	if err != nil {
		return nil, dirFault(s.host, err)
	}
	return d, nil
}

// dirFault tells what is wrong with a directory: nothing but those of ours is made.
func dirFault(h host.Host, err error) error {
	if f := fault.Unwritable(h.Run, err); f != nil {
		return f
	}
	e := &host.DirError{Problem: err.Error()}
	_ = errors.As(err, &e) // it always is one
	f := fault.CCacheFolder.New(e.Problem).Because(e.Err)
	if e.Missing != "" {
		f = f.Advise("or make the directory: mkdir -m 0711 " + fault.Word("directory", e.Missing))
	} else if e.Path != "" && !e.Link {
		mode, word := "+t", fault.Word("directory", e.Path) // which is enough, and leaves /tmp to its users
		if e.Path == h.Run {
			mode = "go-w"
		}
		f = f.Advise("or close the directory: chown root:root " + word + " && chmod " + mode + " " + word)
	}
	return f
}

func (s *Store) ioFault(err error) error {
	return fault.CCacheIO.New(s.path).Because(err)
}

// loaded is a file that was read. A watcher with 500 endpoints reads its cache more than a thousand times
// in a row, and to parse it each time would be most of its work.
type loaded struct {
	stat  unix.Stat_t
	cache *Cache // is never changed, since all who load it share it
}

// loadUnchanged gives what Load found last if the file is still the same one: a cache is replaced by a rename, so
// a new one has another inode, and what libkrb5 changes in place has another time.
func (s *Store) loadUnchanged(d *host.Dir) (Snapshot, bool) {
	last := s.last.Load()
	if last == nil {
		return Snapshot{}, false
	}
	st, err := d.Stat(s.name)
	if err != nil || !same(&st, &last.stat) || s.accept(&st) != nil {
		return Snapshot{}, false
	}
	return s.snapshot(&st, last.cache), true
}

// same reports whether nothing that stat(2) shows of a file has changed, the time of the last access apart.
func same(a, b *unix.Stat_t) bool {
	return a.Dev == b.Dev && a.Ino == b.Ino && a.Mode == b.Mode && a.Uid == b.Uid && a.Gid == b.Gid &&
		a.Nlink == b.Nlink && a.Size == b.Size && a.Mtim == b.Mtim && a.Ctim == b.Ctim
}

func (s *Store) snapshot(st *unix.Stat_t, c *Cache) Snapshot {
	return Snapshot{Cache: c, Trusted: s.host.Trusts(st.Uid)}
}
