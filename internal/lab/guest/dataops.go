package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// record is what the operations of data write: a number, and bytes that follow from it.
const recordSize = 4096

// recordOf gives the record of a number. Each file has its own salt, so that no record of another one passes.
func recordOf(salt string, n int) []byte {
	rec := make([]byte, recordSize)
	binary.BigEndian.PutUint64(rec, uint64(n))
	sum := sha256.Sum256([]byte(fmt.Sprint(salt, n)))
	for i := 8; i < recordSize; i += len(sum) {
		copy(rec[i:], sum[:])
	}
	return rec
}

// numberOf gives the number of a record; the error is that it is none of this file's.
func numberOf(salt string, rec []byte) (int, error) {
	if len(rec) != recordSize {
		return 0, fmt.Errorf("it has %d bytes", len(rec))
	}
	n := int(binary.BigEndian.Uint64(rec)) //nolint:gosec // what is read is compared
	if !bytes.Equal(rec, recordOf(salt, n)) {
		return 0, fmt.Errorf("its bytes are those of no record, of number %d", n)
	}
	return n, nil
}

// corrupt is what data must never see: other bytes than those that were written and acknowledged.
type corrupt struct{ error }

func corruption(format string, args ...any) error { return corrupt{fmt.Errorf(format, args...)} }

// dataFile is a file of the share, as the client and as the server has it.
type dataFile struct{ name, dir, server string }

func (d dataFile) client() string { return filepath.Join(d.dir, d.name) }
func (d dataFile) onServer() (b []byte, err error) {
	return os.ReadFile(filepath.Join(d.server, d.name))
}

// dataOps are the operations that data repeats, each in a thread of its own, and what is open for them. Every one of
// them can be done again after it has failed, with the same n. Once it has succeeded, what it has written is on the server.
type dataOps struct {
	dir, server string
	log         *os.File // for appends
	mapped      *mapping
	locked      *os.File

	// A rename over a file that is open elsewhere can fail after the old file is gone, and then there is none of that name
	// until it is repeated (docs/sessions.md). renaming is from the first try of a rename to its success.
	renaming atomic.Bool
	renamed  atomic.Int64
}

func newDataOps(dir, server string) (*dataOps, error) {
	o := &dataOps{dir: dir, server: server}
	var err error
	if o.log, err = os.Create(o.file("log").client()); err != nil {
		return nil, err
	}
	if o.locked, err = os.Create(o.file("locked").client()); err != nil {
		return nil, err
	}
	err = errors.Join(os.WriteFile(o.file("mapped").client(), make([]byte, recordSize), 0o644),
		os.WriteFile(o.file("name").client(), recordOf("name", 0), 0o644))
	if err != nil {
		return nil, err
	}
	o.mapped, err = mapFile(o.file("mapped").client())
	return o, err
}

func (o *dataOps) file(name string) dataFile { return dataFile{name, o.dir, o.server} }

// close closes what is open; that a session has ended meanwhile is no failure of this program.
func (o *dataOps) close() {
	_, _, _ = o.mapped.close(), o.log.Close(), o.locked.Close()
}

// The operations, in the order of the table.
const (
	opAppend  = "write and fsync a file that stays open"
	opReplace = "create, write, fsync, rename over a file"
	opRead    = "read that file by its name"
	opMap     = "write to a mapping and msync"
	opLock    = "lock, write and unlock"
	opLook    = "stat"
	opList    = "list the directory"
	opSize    = "statfs"
)

var dataOrder = []string{opAppend, opReplace, opRead, opMap, opLock, opLook, opList, opSize}

func (o *dataOps) all() map[string]func(n int) error {
	return map[string]func(n int) error{
		opAppend:  o.write,
		opReplace: o.replace,
		opRead:    func(int) error { return o.readByName() },
		opMap:     o.writeMapped,
		opLock:    o.lock,
		opLook:    func(int) error { _, err := os.Stat(o.file("name").client()); return err },
		opList:    func(int) error { return o.list() },
		opSize:    func(int) error { return unix.Statfs(o.dir, new(unix.Statfs_t)) },
	}
}

// write puts record n at its place in a file that grows.
func (o *dataOps) write(n int) error {
	if _, err := o.log.WriteAt(recordOf("log", n), int64(n)*recordSize); err != nil {
		return err
	}
	if err := o.log.Sync(); err != nil {
		return err
	}
	return o.logHas(n)
}

// logHas looks whether the server has all records of the log up to the last.
func (o *dataOps) logHas(last int) error {
	text, err := o.file("log").onServer()
	if err != nil {
		return err
	}
	for i := range last + 1 {
		end := min((i+1)*recordSize, len(text))
		if got, err := numberOf("log", text[min(i*recordSize, end):end]); err != nil || got != i {
			return corruption("record %d of %d in the log that the server has is %d: %w", i, last, got, err)
		}
	}
	return nil
}

// replace writes record n to a new file and renames that over the file with a name.
func (o *dataOps) replace(n int) error {
	tmp, name := o.file("temporary"), o.file("name")
	f, err := os.Create(tmp.client())
	if err != nil {
		return err
	}
	if _, err := f.Write(recordOf("name", n)); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	o.renaming.Store(true)
	if err := os.Rename(tmp.client(), name.client()); err != nil {
		return err
	}
	o.renamed.Add(1)
	o.renaming.Store(false)
	text, err := name.onServer()
	if err != nil {
		return err
	}
	if got, err := numberOf("name", text); err != nil || got != n {
		return corruption("after the rename of record %d the server has %d: %w", n, got, err)
	}
	return nil
}

// readByName reads the file that is replaced all the time: it must always be a whole one.
func (o *dataOps) readByName() error {
	text, err := os.ReadFile(o.file("name").client())
	if err != nil {
		return err
	}
	if _, err := numberOf("name", text); err != nil {
		return corruption("the file that was renamed over: %w", err)
	}
	return nil
}

// writeMapped writes record n to mapped memory.
func (o *dataOps) writeMapped(n int) error {
	if err := o.mapped.write(n); err != nil {
		return err
	}
	text, err := o.file("mapped").onServer()
	if err != nil {
		return err
	}
	if got, err := numberOf("mapped", text); err != nil || got != n {
		return corruption("after msync of record %d the server has %d: %w", n, got, err)
	}
	return nil
}

// lock takes a lock of its own descriptor, which the server knows of too, and writes under it.
func (o *dataOps) lock(n int) error {
	whole := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(o.locked.Fd(), unix.F_OFD_SETLK, &whole); err != nil {
		return err
	}
	_, err := o.locked.WriteAt(recordOf("locked", n), 0)
	whole.Type = unix.F_UNLCK
	if err := errors.Join(err, o.locked.Sync(), unix.FcntlFlock(o.locked.Fd(), unix.F_OFD_SETLK, &whole)); err != nil {
		return err
	}
	text, err := o.file("locked").onServer()
	if err != nil {
		return err
	}
	if got, err := numberOf("locked", text); err != nil || got != n {
		return corruption("after the lock of record %d the server has %d: %w", n, got, err)
	}
	return nil
}

// list looks whether the directory has what is never removed. The file that is replaced may be missing while a rename is under way
// or is to be repeated; that is ENOENT, as for those who open it then.
func (o *dataOps) list() error {
	before, renaming := o.renamed.Load(), o.renaming.Load()
	entries, err := os.ReadDir(o.dir)
	if err != nil {
		return err
	}
	renaming = renaming || o.renaming.Load() || o.renamed.Load() > before
	for _, name := range []string{"log", "name", "mapped", "locked"} {
		if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name }) {
			continue
		}
		if name == "name" && renaming {
			return syscall.ENOENT
		}
		return corruption("the list of the directory lacks %s", name)
	}
	return nil
}

// same looks whether another mount of the share reads what the server has.
func (o *dataOps) same(other string) (problems []string) {
	for _, name := range []string{"log", "name", "mapped", "locked"} {
		f := o.file(name)
		want, err := f.onServer()
		got, otherErr := os.ReadFile(filepath.Join(other, name))
		if err := errors.Join(err, otherErr); err != nil || !bytes.Equal(got, want) {
			problems = append(problems, strings.TrimSpace(fmt.Sprintf("a second mount reads another %s than the server has: %v", name, err)))
		}
	}
	return problems
}
