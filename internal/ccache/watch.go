package ccache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// Watch tells when the file at path is written, replaced, made or removed, or changes its owner or mode. The channel holds one
// element: "it changed since you last looked", however often. Who reads the file after Watch has
// returned misses nothing. The channel is closed when ctx ends.
//
// The folder is watched, since a cache is replaced by a rename. When the folder is missing or goes
// away, the nearest one above it is watched until it is there. Events that were lost count as one.
// Errors: the kernel's, for example when the user has too many inotify instances (inotify(7)).
func Watch(ctx context.Context, path string) (<-chan struct{}, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watching %s: %w", path, err)
	}
	f := &follower{notify: w, path: filepath.Clean(path), changed: make(chan struct{}, 1)}
	if err := f.attach(); err != nil {
		_ = w.Close()
		return nil, err
	}
	go f.run(ctx)
	return f.changed, nil
}

// follower watches one folder at a time.
type follower struct {
	notify  *fsnotify.Watcher
	path    string // of the file
	watched string // its folder, or the nearest one above that exists
	changed chan struct{}
}

func (f *follower) run(ctx context.Context) {
	defer close(f.changed)
	defer func() { _ = f.notify.Close() }()
	for {
		select {
		case <-ctx.Done():
			return
		case event := <-f.notify.Events:
			f.take(event)
		case <-f.notify.Errors: //nolint:errcheck // as a rule the queue of events was full
			f.tell()
		}
	}
}

func (f *follower) take(event fsnotify.Event) {
	switch {
	case f.watched == filepath.Dir(f.path) && event.Name == f.path:
		f.tell() // a change of owner or mode repairs, too
	case event.Name == f.watched && event.Has(fsnotify.Chmod):
		f.tell()
	case event.Name == f.watched && event.Has(fsnotify.Remove|fsnotify.Rename),
		f.watched != filepath.Dir(f.path) && event.Has(fsnotify.Create):
		_ = f.attach() // whoever watches also looks from time to time
		f.tell()
	}
}

func (f *follower) tell() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// attach watches the file's folder, or the nearest one above it that exists.
func (f *follower) attach() error {
	for _, old := range f.notify.WatchList() {
		_ = f.notify.Remove(old) // it is gone already when the folder is
	}
	folder := filepath.Dir(f.path)
	for {
		err := f.notify.Add(folder)
		switch {
		case err == nil && f.below(folder):
			// Made between two looks: begin again.
			_ = f.notify.Remove(folder)
			folder = filepath.Dir(f.path)
		case err == nil:
			f.watched = folder
			return nil
		case errors.Is(err, fs.ErrNotExist) && folder != "/":
			folder = filepath.Dir(folder)
		default:
			f.watched = folder
			return fmt.Errorf("watching %s: %w", folder, err)
		}
	}
}

// below reports whether something between folder and the file exists that could be watched instead.
func (f *follower) below(folder string) bool {
	next := filepath.Dir(f.path)
	if next == folder {
		return false
	}
	for filepath.Dir(next) != folder {
		next = filepath.Dir(next)
	}
	info, err := os.Stat(next)
	return err == nil && info.IsDir()
}
