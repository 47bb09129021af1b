package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"syscall"

	"golang.org/x/sys/unix"
)

// mapping is a file of a share that is mapped into the memory of a process of its own. A write to mapped memory can wait in the
// kernel for a server that is away, and Go's collector waits for every thread that is not in a system call: the process
// that is to start the server again would wait for it.
type mapping struct {
	process *exec.Cmd
	numbers io.WriteCloser
	results *bufio.Reader
}

// mapFile maps the file at path, which has the size of a record.
func mapFile(path string) (*mapping, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	m := &mapping{process: exec.Command(self, "map", path)}
	m.process.Stderr = os.Stderr
	results, err := m.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	m.results = bufio.NewReader(results)
	if m.numbers, err = m.process.StdinPipe(); err != nil {
		return nil, err
	}
	return m, m.process.Start()
}

// write writes record n to the memory and has it written to the file.
func (m *mapping) write(n int) error {
	if _, err := fmt.Fprintln(m.numbers, n); err != nil {
		return err
	}
	var errno syscall.Errno
	if _, err := fmt.Fscanln(m.results, &errno); err != nil {
		return fmt.Errorf("the process with the mapping: %w", err)
	}
	if errno != 0 {
		return errno
	}
	return nil
}

func (m *mapping) close() error { return errors.Join(m.numbers.Close(), m.process.Wait()) }

// runMap is the process of a mapping: it reads numbers of records and prints an error number for each, 0 for none.
func runMap(path string) error {
	runtime.LockOSThread() // the kernel asks for a ticket in the name of a thread
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	memory, err := unix.Mmap(int(f.Fd()), 0, recordSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err := errors.Join(err, f.Close()); err != nil { // the mapping stays
		return err
	}
	for {
		var n int
		if _, err := fmt.Scanln(&n); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		fmt.Println(int(writeMemory(memory, n)))
	}
}

// writeMemory writes record n. The signal of a page that cannot be had is EFAULT here.
func writeMemory(memory []byte, n int) (errno syscall.Errno) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			errno = syscall.EFAULT
		}
	}()
	copy(memory, recordOf("mapped", n))
	errno, _ = errors.AsType[syscall.Errno](unix.Msync(memory, unix.MS_SYNC))
	return errno
}
