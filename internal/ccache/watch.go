package ccache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// Everybody can write to /tmp, where a cache can be, and each event there wakes this process. So no more than
// mostEvents are taken in a restTime. What comes on top of that is not waited for: nothing is watched for a restTime,
// and then the file is looked at.
const (
	mostEvents = 256
	restTime   = time.Second
)

// Watch tells when the file at path is written, replaced, made or removed, or changes its owner or mode. The channel holds one
// element: "it changed since you last looked", however often. Who reads the file after Watch has
// returned misses nothing. The channel is closed when ctx ends.
//
// The directory is watched, since a cache is replaced by a rename. When the directory is missing or goes
// away, the nearest one above it is watched until it is there. Events that were lost count as one. Where more
// happens than anybody's tickets are the reason of, a change is told of up to a second later.
// Errors: the kernel's, for example when the user has too many inotify instances (inotify(7)).
func Watch(ctx context.Context, path string) (<-chan struct{}, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watching %s: %w", path, err)
	}
	f := follow(w, path)
	if err := f.attach(); err != nil {
		_ = w.Close()
		return nil, err
	}
	f.told = f.statFile()
	go f.run(ctx)
	return f.changed, nil
}

// follower watches one directory at a time.
type follower struct {
	notify  *fsnotify.Watcher
	path    string // of the file
	watched string // its directory, or the nearest one above that exists
	told    mark   // what the file was when it was last told of
	changed chan struct{}

	taken int       // events since from
	from  time.Time // zero: none was taken yet
	now   func() time.Time
	after func(time.Duration) <-chan time.Time
}

func follow(w *fsnotify.Watcher, path string) *follower {
	return &follower{notify: w, path: filepath.Clean(path), changed: make(chan struct{}, 1), now: time.Now, after: time.After}
}

func (f *follower) run(ctx context.Context) {
	defer close(f.changed)
	defer func() { _ = f.notify.Close() }()
	var rested <-chan time.Time // nil while the directory is watched
	for {
		select {
		case <-ctx.Done():
			return
		case event := <-f.notify.Events:
			f.handleEvent(event)
			if rested == nil && f.tooMany() {
				f.detach()
				rested = f.after(restTime)
			}
		case <-f.notify.Errors: //nolint:errcheck // as a rule the queue of events was full
			f.announce()
		case <-rested:
			rested, f.from = nil, time.Time{}
			if err := f.attach(); err != nil || f.statFile() != f.told {
				f.announce()
			}
		}
	}
}

// tooMany counts an event, and reports whether it is one too many.
func (f *follower) tooMany() bool {
	if now := f.now(); f.from.IsZero() || now.Sub(f.from) >= restTime {
		f.taken, f.from = 0, now
	}
	f.taken++
	return f.taken >= mostEvents
}

// mark is what tells that a file, or who can write to its directory, has changed.
type mark struct {
	device, inode  uint64
	changed        unix.Timespec
	dir            uint64 // its inode
	mode, uid, gid uint32 // of the directory
}

func (f *follower) statFile() (m mark) {
	var st unix.Stat_t
	if unix.Lstat(f.path, &st) == nil {
		m.device, m.inode, m.changed = st.Dev, st.Ino, st.Ctim
	}
	if unix.Stat(filepath.Dir(f.path), &st) == nil {
		m.dir, m.mode, m.uid, m.gid = st.Ino, st.Mode, st.Uid, st.Gid
	}
	return m
}

func (f *follower) handleEvent(event fsnotify.Event) {
	above := f.watched != filepath.Dir(f.path)
	if !above && event.Name == f.path || event.Name == f.watched && event.Has(fsnotify.Chmod) {
		f.announce() // a change of owner or mode repairs, too
	} else if event.Name == f.watched && event.Has(fsnotify.Remove|fsnotify.Rename) || above && event.Has(fsnotify.Create) {
		_ = f.attach() // whoever watches also looks from time to time
		f.announce()
	}
}

func (f *follower) announce() {
	f.told = f.statFile()
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// attach watches the file's directory, or the nearest one above it that exists.
func (f *follower) attach() error {
	f.detach()
	dir := filepath.Dir(f.path)
	for {
		err := f.notify.Add(dir)
		if errors.Is(err, fs.ErrNotExist) && dir != "/" {
			dir = filepath.Dir(dir)
			continue
		}
		if err == nil && f.below(dir) { // made between two looks: begin again
			_ = f.notify.Remove(dir)
			dir = filepath.Dir(f.path)
			continue
		}
		f.watched = dir
		if err != nil {
			return fmt.Errorf("watching %s: %w", dir, err)
		}
		return nil
	}
}

// detach watches nothing: what happens costs nothing then.
func (f *follower) detach() {
	for _, old := range f.notify.WatchList() {
		_ = f.notify.Remove(old) // it is gone already when the directory is
	}
}

// below reports whether something between dir and the file exists that could be watched instead.
func (f *follower) below(dir string) bool {
	next := filepath.Dir(f.path)
	if next == dir {
		return false
	}
	for filepath.Dir(next) != dir {
		next = filepath.Dir(next)
	}
	info, err := os.Stat(next)
	return err == nil && info.IsDir()
}
