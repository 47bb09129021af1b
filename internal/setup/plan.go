package setup

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

// planner collects the changes that actions want. What it planned counts as done for all that is
// planned after it.
type planner struct {
	host    Host
	ctx     context.Context // a planner lives as long as one call
	action  string
	changes []Change
	notes   []string        // what a person should know
	planned map[string]view // by path
}

// plan asks the actions, each one once and in their own order: some build on what others make.
func plan(ctx context.Context, h Host, actions []Action) (*planner, error) {
	p := &planner{host: h, ctx: ctx, planned: map[string]view{}}
	if info, err := os.Stat(h.Root); err != nil {
		return nil, failed(h.Root, err)
	} else if !info.IsDir() {
		return nil, failed(h.Root, unix.ENOTDIR)
	}
	for _, a := range Actions() {
		if !slices.ContainsFunc(actions, func(asked Action) bool { return asked.ID == a.ID }) {
			continue
		}
		p.action = a.ID
		if err := a.plan(p); ctx.Err() != nil {
			return nil, ctx.Err()
		} else if _, repaired := p.planned[host.ConfigDir]; repaired && fault.Is(err, fault.ConfigUnsafe) {
			p.notes = append(p.notes, a.ID+": not examined, because others could change the configuration; run azfilesauth setup again")
		} else if err != nil {
			return nil, failed(a.ID, err)
		}
	}
	return p, ctx.Err()
}

// viewOf tells what a path will hold.
func (p *planner) viewOf(path string) (view, error) {
	if v, ok := p.planned[path]; ok {
		return v, nil
	}
	return p.host.viewOf(path)
}

// read is look for who needs the content of the file, if there is one.
func (p *planner) read(path string) (view, error) {
	v, err := p.viewOf(path)
	if err == nil && v.err != nil {
		err = fmt.Errorf("%s: %w", path, v.err)
	}
	return v, err
}

func (p *planner) add(path, what, diff string, s step, content []byte) {
	p.planned[path] = view{state: s.After, content: content}
	p.changes = append(p.changes, Change{p.action, path, what, diff, s, content})
}

// by describes owner and mode.
func by(s state) string {
	owner := fmt.Sprintf("%d:%d", s.UID, s.GID)
	if s.UID == 0 && s.GID == 0 {
		owner = "root:root"
	}
	return fmt.Sprintf("%s %04o", owner, s.Mode)
}

// directory plans a directory of root's with this mode. Missing parents are made with 0755. Of an existing
// one, ok says whether it may stay as it is.
func (p *planner) directory(path string, mode uint32, ok func(state) bool) error {
	v, err := p.viewOf(path)
	if err != nil {
		return err
	}
	after := p.host.ownedState(isDirectory, mode)
	what := "create the directory, " + by(after)
	if v.state == nil {
		if err := p.parents(path); err != nil {
			return err
		}
	} else if v.state.Kind == isLink && p.leadsToDirectory(path) {
		return nil
	} else if v.state.Kind != isDirectory {
		return &fs.PathError{Op: "mkdir", Path: path, Err: fs.ErrExist}
	} else if ok(*v.state) {
		return nil
	} else {
		what = fmt.Sprintf("create the directory %s, which is %s", by(after), by(*v.state))
	}
	p.add(path, what, "", step{Kind: isDirectory, Before: v.state, After: &after}, nil)
	return nil
}

// leadsToDirectory reports whether a link is root's arrangement for a directory, which is as good as one.
func (p *planner) leadsToDirectory(link string) bool {
	info, err := os.Stat(p.host.Path(link))
	return err == nil && info.IsDir() && p.host.Exposed(info) == nil
}

// parents plans the directories that a path needs.
func (p *planner) parents(path string) error {
	dir := filepath.Dir(path)
	if dir == "/" {
		return nil
	}
	return p.directory(dir, 0o755, func(state) bool { return true })
}

// shipped plans a file with the content that packages install, which is name in etc.Files.
func (p *planner) shipped(path, name string, mode uint32) error {
	content, err := shippedFile(name)
	if err != nil {
		return err
	}
	return p.file(path, content, mode)
}

// file plans a file of ours with this content. One that is there keeps its mode and group, unless
// others than root could write to it.
func (p *planner) file(path string, content []byte, mode uint32) error {
	v, err := p.read(path)
	if err != nil {
		return err
	}
	after := p.host.ownedState(isFile, mode)
	if v.state != nil && p.host.Trusts(uint32(v.state.UID)) && v.state.Mode&0o022 == 0 {
		after.Mode, after.GID = v.state.Mode, v.state.GID
	}
	return p.planFile(path, v, content, after, unified(path, v.content, content))
}

// edit plans new content for a file of others, which keeps its owner and mode. Where the rest of the file is
// nobody's business, only the lines that change are shown.
func (p *planner) edit(path string, content []byte, secret bool) error {
	v, err := p.read(path)
	if err != nil {
		return err
	}
	after := p.host.ownedState(isFile, 0o644)
	if v.state != nil {
		after = *v.state
	}
	old, now := v.content, content
	if secret {
		old, now = differingLines(old, now)
	}
	return p.planFile(path, v, content, after, unified(path, old, now))
}

func (p *planner) planFile(path string, v view, content []byte, after state, diff string) error {
	after.Kind, after.Sum = isFile, sum(content)
	what := "make the file, " + by(after)
	s := step{Kind: isFile, Before: v.state, After: &after}
	if v.state == nil {
		if err := p.parents(path); err != nil {
			return err
		}
	} else {
		if v.state.Kind != isFile {
			return fmt.Errorf("%s is not a regular file", path)
		}
		if *v.state == after {
			return nil
		}
		if what = "change the file"; by(*v.state) != by(after) {
			what += fmt.Sprintf(", which is %s, to %s", by(*v.state), by(after))
		}
		s.Edit = editOf(v.content, content)
	}
	p.add(path, what, diff, s, content)
	return nil
}

// link plans a symbolic link where nothing is.
func (p *planner) link(path, target string) error {
	if p.exists(path) {
		return nil
	}
	if err := p.parents(path); err != nil {
		return err
	}
	after := p.host.linkState(target)
	p.add(path, "link to "+target, "", step{Kind: isLink, After: &after}, nil)
	return nil
}

// exists reports whether something is or will be at one of the paths.
func (p *planner) exists(paths ...string) bool {
	return slices.ContainsFunc(paths, func(path string) bool {
		if v, ok := p.planned[path]; ok {
			return v.state != nil
		}
		_, err := os.Lstat(p.host.Entry(path)) // unread: it may be a program
		return err == nil
	})
}

func (p *planner) config() (*config.Config, error) { return config.Read(p.host.Host) }
