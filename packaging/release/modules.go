package main

import (
	"bytes"
	"cmp"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// module is one Go module that is linked in, or the Go distribution itself.
type module struct {
	Path, Version string
	Sum           string // of go.sum, "h1:" and base64; empty for the Go distribution
	Licences      string // an SPDX expression
	Texts         []text
}

// content is what the programs were built of.
type content struct {
	Main    string // the path of the module that the programs belong to
	Modules []module
}

// contents reads the modules of several programs of one build, without repeating them.
func contents(programs []string) (content, error) {
	linked := map[string]module{}
	var c content
	for _, name := range programs {
		info, err := buildinfo.ReadFile(name)
		if err != nil {
			return c, err
		}
		c.Main = info.Main.Path
		linked["std"] = module{Path: "std", Version: strings.TrimPrefix(info.GoVersion, "go")}
		for _, dep := range info.Deps {
			if dep.Replace != nil {
				return c, fmt.Errorf("%s is replaced: its licence cannot be told from its name", dep.Path)
			}
			linked[dep.Path] = module{Path: dep.Path, Version: dep.Version, Sum: dep.Sum}
		}
	}
	dirs, err := folders(slices.Collect(maps.Keys(linked)))
	if err != nil {
		return c, err
	}
	for _, m := range linked {
		if m.Texts, m.Licences, err = licences(dirs[m.Path]); err != nil {
			return c, fmt.Errorf("%s: %w", m.Path, err)
		}
		c.Modules = append(c.Modules, m)
	}
	slices.SortFunc(c.Modules, func(a, b module) int { return cmp.Compare(a.Path, b.Path) })
	return c, nil
}

// folders asks the go command where the modules are; it looks in the module cache first.
func folders(paths []string) (map[string]string, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	dirs := map[string]string{"std": string(bytes.TrimSpace(root))}
	args := []string{"list", "-m", "-json=Path,Dir"}
	for _, p := range paths {
		if p != "std" {
			args = append(args, p)
		}
	}
	var stderr bytes.Buffer
	list := exec.Command("go", args...)
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, stderr.Bytes())
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var m struct{ Path, Dir string }
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			return dirs, nil
		} else if err != nil {
			return nil, err
		}
		dirs[m.Path] = filepath.Clean(m.Dir)
	}
}
