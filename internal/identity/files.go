package identity

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// maxSecret bounds the file of a secret or a certificate with its key, in bytes.
const maxSecret = 64 << 10

// readFile reads a file of at most limit bytes that must not be empty. Links are followed, for
// Kubernetes projects its files as links; anything but a regular file is refused before it is opened,
// since opening a device can do something. The errors do not name the file.
func readFile(name string, limit int) ([]byte, fs.FileInfo, error) {
	return read(name, limit, os.Stat, 0)
}

// read is readFile with a say in links: stat examines the name, flags open it.
func read(name string, limit int, stat func(string) (fs.FileInfo, error), flags int) ([]byte, fs.FileInfo, error) {
	notRegular := errors.New("it is no regular file")
	info, err := stat(name)
	if err != nil {
		return nil, nil, bare(err)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, notRegular
	}
	// O_NONBLOCK: it may have become a FIFO meanwhile.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY|flags, 0)
	if err != nil {
		return nil, nil, bare(err)
	}
	defer func() { _ = f.Close() }()
	if info, err = f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, nil, notRegular
	}
	b, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	switch {
	case err != nil:
		return nil, nil, bare(err)
	case len(b) > limit:
		return nil, nil, fmt.Errorf("it is longer than %d bytes", limit)
	case len(bytes.TrimSpace(b)) == 0:
		return nil, nil, errors.New("it is empty")
	}
	return b, info, nil
}

// bare is what an error of the file system says, without the path that stands beside it.
func bare(err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// readSecret reads a file that only root may have written and read. Its errors are faults.
func readSecret(name string) ([]byte, error) {
	b, info, err := readFile(name, maxSecret)
	if err == nil {
		err = exposed(info)
	}
	if err != nil {
		return nil, secretFault(name, err.Error())
	}
	return b, nil
}

// exposed tells who else than root could know or exchange what is in the file.
func exposed(info fs.FileInfo) error {
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Uid != 0 {
		return errors.New("it does not belong to root")
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("its mode %04o lets others than root at it", mode)
	}
	return nil
}

func secretFault(name, problem string) error {
	return fault.SecretFile.New(name, problem)
}
