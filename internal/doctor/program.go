package doctor

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// examineProgram says what is wrong with a program that root runs, or gives "" for nothing. The error
// is that it cannot be looked at.
func (s *Subject) examineProgram(path string) (problem string, err error) {
	info, err := s.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := s.Lstat(path); err == nil {
			return "is a link that leads nowhere", nil
		}
		return "is missing", nil
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "is not a file", nil
	case info.Mode().Perm()&0o111 == 0:
		return "cannot be executed: its mode has no x", nil
	}
	if problem := unsafe(info); problem != "" {
		return unsafePrefix + problem, nil
	}
	return "", nil
}

// unsafeFolder finds the nearest folder above a path in which others than root can put something in
// its place, "" for none.
func (s *Subject) unsafeFolder(path string) string {
	for dir := filepath.Dir(filepath.Clean(path)); dir != "/"; dir = filepath.Dir(dir) {
		info, err := s.Stat(dir)
		if err == nil && info.Mode()&fs.ModeSticky == 0 && unsafe(info) != "" {
			return dir
		}
	}
	return ""
}

// unsafePrefix begins what is said of a program that works and that others can replace.
const unsafePrefix = "can be changed by others than root: "

// versionOf runs a program for its version; "" when it may not be run or says none.
func (s *Subject) versionOf(ctx context.Context, path, flag string) string {
	if !s.Live() {
		return ""
	}
	out, _ := s.Command(ctx, path, flag) // some end with an error and say it all the same
	return regexp.MustCompile(`\d+\.\d+(\.\d+)?`).FindString(out)
}

// atLeast compares a version's numbers with those of another.
func atLeast(version string, want ...int) bool {
	have := strings.Split(version, ".")
	for i, w := range want {
		n := 0
		if i < len(have) {
			n, _ = strconv.Atoi(have[i]) // what is no number is 0
		}
		if n != w {
			return n > w
		}
	}
	return true
}
