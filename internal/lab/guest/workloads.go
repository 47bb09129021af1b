package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// How much the rows do. It is little, because the processor is emulated: on a real machine ten times as much is usual.
const (
	wideBytes  = 16 << 20 // of all jobs together, in blocks of 1 MiB
	smallBytes = 2 << 20  // the same in blocks of 4 KiB
	smallFiles = 100
	listed     = 500
	walkDirs   = 10
	walkFiles  = 10 // in each of them
)

// workload is a row: something that applications do.
type workload struct {
	name    string
	prepare func() error // on the server, once
	before  func() error // on the share, not measured
	do      func() error // on the share
	moves   bool         // data, more than a connection's round trip
}

// workloads has fio's usual patterns, by this program: Debian's fio brings the libraries of Ceph and Gluster.
var workloads = append(transfers(), []workload{
	{name: fmt.Sprintf("create and write %d small files", smallFiles), before: removeSmall, do: createSmall},
	{name: fmt.Sprintf("stat %d files", smallFiles), do: func() error { return eachSmall(lstat) }},
	{name: fmt.Sprintf("unlink %d files", smallFiles), before: refill, do: func() error { return eachSmall(os.Remove) }},
	{name: fmt.Sprintf("list a directory of %d", listed), prepare: fillListed, do: func() error { return list("listed") }},
	{name: "list it again after 2 s", before: func() error { return errors.Join(list("listed"), later()) }, do: func() error { return list("listed") }},
	{name: fmt.Sprintf("walk as git status does, %d files", walkDirs*walkFiles), prepare: fillTree, do: walk},
	{name: "walk again after 2 s", before: func() error { return errors.Join(walk(), later()) }, do: walk},
}...)

// transfers are reads and writes: sequential and random, in large and small blocks, by 1 and 16 jobs, each with a file of its own.
func transfers() (all []workload) {
	for _, write := range []bool{false, true} {
		for _, random := range []bool{false, true} {
			for _, block := range []int{1 << 20, 4 << 10} {
				for _, jobs := range []int{1, 16} {
					t := transfer{write, random, block, jobs}
					all = append(all, workload{name: t.name(), prepare: t.prepare, do: t.do, moves: jobs > 1 || block == 1<<20})
				}
			}
		}
	}
	return all
}

type transfer struct {
	write, random bool
	block, jobs   int
}

func (t transfer) name() string {
	words := map[bool]string{false: "read", true: "write"}[t.write]
	if t.random {
		words = "random " + words
	}
	size := "1M"
	if t.block < 1<<20 {
		size = "4k"
	}
	return fmt.Sprintf("%s %s, %d job(s)", words, size, t.jobs)
}

// blocks is how many one job moves.
func (t transfer) blocks() int {
	if t.block < 1<<20 {
		return smallBytes / t.block / t.jobs
	}
	return wideBytes / t.block / t.jobs
}

func (t transfer) file(folder string, job int) string {
	return filepath.Join(folder, fmt.Sprintf("data-%d-%d", t.block*t.blocks(), job))
}

func (t transfer) prepare() error {
	for job := range t.jobs {
		name := t.file(serverFolder, job)
		if err := errors.Join(os.WriteFile(name, make([]byte, t.block*t.blocks()), 0o666), os.Chmod(name, 0o666)); err != nil {
			return err
		}
	}
	return nil
}

// do runs the jobs side by side.
func (t transfer) do() error {
	errs := make([]error, t.jobs)
	var all sync.WaitGroup
	for job := range t.jobs {
		all.Go(func() { errs[job] = t.job(job) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (t transfer) job(job int) (err error) {
	f, err := os.OpenFile(t.file(clientFolder, job), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buf := make([]byte, t.block)
	order := rand.New(rand.NewPCG(17, uint64(job))) //nolint:gosec // the same order in each round
	for i := range t.blocks() {
		if t.random {
			i = order.IntN(t.blocks())
		}
		at := int64(i) * int64(t.block)
		if t.write {
			_, err = f.WriteAt(buf, at)
		} else {
			_, err = f.ReadAt(buf, at)
		}
		if err != nil {
			return err
		}
	}
	if t.write {
		return f.Sync()
	}
	return nil
}

func lstat(name string) error { _, err := os.Lstat(name); return err }

func eachSmall(do func(string) error) error {
	for i := range smallFiles {
		if err := do(fmt.Sprintf("%s/small-%d", clientFolder, i)); err != nil {
			return err
		}
	}
	return nil
}

func createSmall() error {
	return eachSmall(func(name string) error { return os.WriteFile(name, []byte("some bytes\n"), 0o666) })
}

// removeSmall has the server remove what is to be created.
func removeSmall() error {
	for i := range smallFiles {
		if err := os.Remove(fmt.Sprintf("%s/small-%d", serverFolder, i)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// refill has the server make what an earlier round removed.
func refill() error { return fill(serverFolder, "small", smallFiles) }

// fill makes files of the server that its user for the share may change.
func fill(folder, name string, n int) error {
	errs := []error{os.MkdirAll(folder, 0o777), os.Chmod(folder, 0o777)}
	for i := range n {
		file := fmt.Sprintf("%s/%s-%d", folder, name, i)
		errs = append(errs, os.WriteFile(file, []byte("some bytes\n"), 0o666), os.Chmod(file, 0o666))
	}
	return errors.Join(errs...)
}

func fillListed() error { return fill(serverFolder+"/listed", "file", listed) }

func fillTree() error {
	for d := range walkDirs {
		if err := fill(fmt.Sprintf("%s/tree/dir-%d", serverFolder, d), "file", walkFiles); err != nil {
			return err
		}
	}
	return nil
}

// list is ls -l.
func list(folder string) error {
	all, err := os.ReadDir(filepath.Join(clientFolder, folder))
	if err != nil {
		return err
	}
	for _, e := range all {
		if _, err := e.Info(); err != nil {
			return err
		}
	}
	return nil
}

// walk looks at each file that the index knows, and then into each directory for others.
func walk() error {
	for d := range walkDirs {
		for i := range walkFiles {
			if err := lstat(fmt.Sprintf("%s/tree/dir-%d/file-%d", clientFolder, d, i)); err != nil {
				return err
			}
		}
	}
	for d := range walkDirs {
		if _, err := os.ReadDir(fmt.Sprintf("%s/tree/dir-%d", clientFolder, d)); err != nil {
			return err
		}
	}
	return nil
}

// later is longer than the kernel believes attributes when no option says so.
var later = func() error { time.Sleep(2 * time.Second); return nil }
