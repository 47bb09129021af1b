package mounts

import (
	"path/filepath"
	"slices"
	"strings"
)

// Place is what is known of a mount point: people name a share by the place where they see it.
type Place struct {
	Path  string      // absolute and clean; "" for a text that is no path
	Mount *Mount      // what is mounted there, the last mount when there are several; nil for nothing
	Lines []FstabLine // the lines of fstab for it, in their order
}

// At finds what is mounted at a path and what fstab has for it.
func At(path string, mounted []Mount, fstab []FstabLine) Place {
	if !filepath.IsAbs(path) || strings.HasPrefix(path, "//") {
		return Place{}
	}
	p := Place{Path: filepath.Clean(path)}
	for _, m := range slices.Backward(mounted) {
		if m.Target == p.Path {
			p.Mount = &m
			break
		}
	}
	for _, l := range fstab {
		if filepath.Clean(l.Target) == p.Path {
			p.Lines = append(p.Lines, l)
		}
	}
	return p
}

// Source is that of what is mounted there or else that of Line; "" where neither is.
func (p Place) Source() string {
	if p.Mount != nil {
		return p.Mount.Source
	}
	if l := p.Line(); l != nil {
		return l.Spec
	}
	return ""
}

// Line is the line of fstab that mount(8) takes for the mount point, the first; nil for none.
func (p Place) Line() *FstabLine {
	if len(p.Lines) == 0 {
		return nil
	}
	return &p.Lines[0]
}
