package mounts

import (
	"path/filepath"
	"slices"
	"strings"
)

// SourceAt gives the source of what is mounted at a path, the last mount when there are several, or else
// of the line of fstab for it: people name an endpoint by the place where they see it. It is "" for a text
// that is no path, and for a path where neither is.
func SourceAt(path string, mounted []Mount, fstab []FstabLine) string {
	if !filepath.IsAbs(path) || strings.HasPrefix(path, "//") {
		return ""
	}
	path = filepath.Clean(path)
	for _, m := range slices.Backward(mounted) {
		if m.Target == path {
			return m.Source
		}
	}
	for _, l := range fstab {
		if filepath.Clean(l.Target) == path {
			return l.Spec
		}
	}
	return ""
}
