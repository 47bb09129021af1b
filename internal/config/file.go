package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// The directories of layers: those of packages, which is beneath the same root as DefaultPath, and the
// administrator's beside the configuration.
const (
	vendorDir = "/usr/lib/azfilesauth/config.d"
	dropInDir = "config.d"
)

// layers are the files of a configuration, in the order in which one wins over those before it: those of
// packages, the one at path, the administrator's. A configuration that is not at DefaultPath beneath some
// root has nothing of packages.
func layers(path string) ([]string, error) {
	var files []string
	if root, ok := strings.CutSuffix(path, DefaultPath); ok {
		vendor, err := dropIns(root + vendorDir)
		if err != nil {
			return nil, err
		}
		files = vendor
	}
	own, err := dropIns(filepath.Join(filepath.Dir(path), dropInDir))
	return append(append(files, path), own...), err
}

// dropIns are the files of a directory of layers, sorted by name. One that is missing has none.
func dropIns(dir string) ([]string, error) {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		if problem := unsafe(info); problem != "" {
			return nil, fault.ConfigUnsafe.New(dir, problem)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fault.ConfigInvalid.New(dir, "it cannot be listed").Because(err)
	}
	var files []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".yaml" && !strings.HasPrefix(e.Name(), ".") {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files, nil
}

// maxSize bounds the file, in bytes.
const maxSize = 1 << 20

// read gives the file's content if only root can change it. Owner and mode are those of the open
// file, so nothing can be put in its place between the look and the reading.
func read(path string) ([]byte, error) {
	invalid := func(err error, problem string) error {
		return fault.ConfigInvalid.New(path, problem).Because(err)
	}
	// Without O_NONBLOCK a FIFO would hold up a mount for ever.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, invalid(err, "it cannot be opened")
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return nil, invalid(err, "it cannot be examined")
	}
	if !st.Mode().IsRegular() {
		return nil, invalid(nil, "it is not a regular file")
	}
	if problem := unsafe(st); problem != "" {
		return nil, fault.ConfigUnsafe.New(path, problem)
	}
	content, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, invalid(err, "it cannot be read")
	}
	if len(content) > maxSize {
		return nil, invalid(nil, fmt.Sprintf("it is larger than %d bytes", maxSize))
	}
	return content, nil
}

// unsafe says how others than root can change the file, or "".
func unsafe(st fs.FileInfo) string {
	if uid := st.Sys().(*syscall.Stat_t).Uid; uid != 0 {
		return fmt.Sprintf("it belongs to uid %d", uid)
	}
	if mode := st.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Sprintf("its mode is %#o", mode)
	}
	return ""
}
