package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

// The directories of layers: that of packages, which belongs to the configuration at DefaultPath alone,
// and the administrator's beside the configuration.
const (
	vendorDir = "/usr/lib/azfilesauth/config.d"
	dropInDir = "config.d"
	layerExt  = ".yaml"
)

// ShippedPath is the layer that our packages bring: where the tickets are, and whose.
const ShippedPath = vendorDir + "/10-azfilesauth.yaml"

// Layers are the files of a machine's configuration, in the order in which one wins over those before it:
// those of packages, the configuration, which may be missing, the administrator's. The errors are those of Read.
func Layers(h host.Host) ([]string, error) {
	files, _, err := layers(h)
	return files, err
}

// layers is Layers, and the files beside them that were meant to be some.
func layers(h host.Host) (files, misnamed []string, err error) {
	if root, ok := strings.CutSuffix(h.Config, DefaultPath); ok {
		if d, err := h.AnyDir(root + host.ConfigDir); err == nil { // else who reads in it tells
			defer d.Close()
			if err := checkWriters(h, d); err != nil {
				return nil, nil, err
			}
		}
		if files, misnamed, err = dropIns(h, root+vendorDir); err != nil {
			return nil, nil, err
		}
	}
	own, more, err := dropIns(h, filepath.Join(filepath.Dir(h.Config), dropInDir))
	return append(append(files, h.Config), own...), append(misnamed, more...), err
}

// Place names the configuration for messages: its path, and whether there is a file. In a container another file may have
// been read than the one that people look at.
func Place(h host.Host) string {
	if _, err := os.Lstat(h.Entry(h.Config)); errors.Is(err, fs.ErrNotExist) {
		return h.Config + " (missing)"
	}
	return h.Config
}

// dropIns are the files of a directory of layers, sorted by name, and those whose names are almost those of layers. One
// that is missing has none.
func dropIns(h host.Host, dir string) (files, misnamed []string, err error) {
	if _, err := os.Stat(h.Path(dir)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	d, err := h.AnyDir(dir)
	if err != nil {
		return nil, nil, fault.ConfigInvalid.New(dir, "it cannot be opened as a directory").Because(err)
	}
	defer d.Close()
	if err := checkWriters(h, d); err != nil {
		return nil, nil, err
	}
	names, err := d.Names()
	if err != nil {
		return nil, nil, fault.ConfigInvalid.New(dir, "it cannot be listed").Because(err)
	}
	slices.Sort(names)
	for _, name := range names {
		if strings.HasPrefix(name, ".") {
			continue
		}
		if ext := filepath.Ext(name); ext == layerExt {
			files = append(files, filepath.Join(dir, name))
		} else if strings.EqualFold(ext, layerExt) || strings.EqualFold(ext, ".yml") {
			misnamed = append(misnamed, filepath.Join(dir, name))
		}
	}
	return files, misnamed, nil
}

// checkWriters refuses a directory in which others than root could put root's files in the place of others, or take them away.
func checkWriters(h host.Host, d *host.Dir) error {
	if st, err := d.Stat("."); err != nil || d.Shared || !h.Trusts(st.Uid) {
		who := host.Exposed{UID: int(st.Uid), Mode: fs.FileMode(st.Mode & 0o777), Foreign: !d.Shared}
		return fault.ConfigUnsafe.New(d.Name, who.Error())
	}
	return nil
}

// MaxSize bounds a file, in bytes.
const MaxSize = 1 << 20

func tooLarge(path string) *fault.Fault {
	return fault.ConfigInvalid.New(path, fmt.Sprintf("it is larger than %d bytes", MaxSize))
}

// read gives a file's content if it keeps the rules. The error of a missing file is fs.ErrNotExist; a link to one means a
// file that is to count.
func read(h host.Host, path string, rules host.Rules) ([]byte, error) {
	content, _, err := h.ReadFile(path, MaxSize, rules)
	if errors.Is(err, fs.ErrNotExist) {
		// A file that is there now was made after the look.
		if info, failure := os.Lstat(h.Entry(path)); failure == nil && info.Mode().Type() == fs.ModeSymlink {
			return nil, fault.ConfigInvalid.New(path, "it is a dangling link")
		}
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return content, err
	}
	if exposed, ok := errors.AsType[*host.Exposed](err); ok {
		return nil, fault.ConfigUnsafe.New(path, exposed.Error())
	}
	if errors.Is(err, host.ErrTooLarge) {
		return nil, tooLarge(path).Because(err)
	}
	problem := "it cannot be opened"
	if errors.Is(err, host.ErrNotRegular) {
		problem = host.ErrNotRegular.Error()
	}
	return nil, fault.ConfigInvalid.New(path, problem).Because(err)
}
