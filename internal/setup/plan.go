package setup

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/azfilesauth/azfilesauth/internal/config"
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

// view is what a path holds, nil for nothing.
type view struct {
	state   *state
	content []byte
}

// plan asks the actions, each one once and in their own order: some build on what others make.
func plan(ctx context.Context, h Host, actions []Action) (*planner, error) {
	p := &planner{host: h, ctx: ctx, planned: map[string]view{}}
	for _, a := range Actions() {
		if !slices.ContainsFunc(actions, func(asked Action) bool { return asked.ID == a.ID }) {
			continue
		}
		p.action = a.ID
		if err := a.plan(p); err != nil {
			return nil, failed(a.ID, err)
		}
	}
	return p, ctx.Err()
}

// look tells what a path will hold.
func (p *planner) look(path string) (view, error) {
	if v, ok := p.planned[path]; ok {
		return v, nil
	}
	s, content, err := p.host.look(path)
	return view{s, content}, err
}

func (p *planner) add(path, what, diff string, s step, content []byte) {
	p.planned[path] = view{s.After, content}
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

// folder plans a folder of root's with this mode. Missing parents are made with 0755. Of an existing
// one, ok says whether it may stay as it is.
func (p *planner) folder(path string, mode uint32, ok func(state) bool) error {
	v, err := p.look(path)
	if err != nil {
		return err
	}
	after := &state{Mode: mode, Kind: isFolder}
	switch {
	case v.state == nil:
		if err := p.parents(path); err != nil {
			return err
		}
		p.add(path, "make the folder, "+by(*after), "", step{Kind: stepFolder, After: after}, nil)
	case v.state.Kind != isFolder:
		return &fs.PathError{Op: "mkdir", Path: path, Err: fs.ErrExist}
	case !ok(*v.state):
		p.add(path, fmt.Sprintf("make the folder %s, which is %s", by(*after), by(*v.state)), "",
			step{Kind: stepFolder, Before: v.state, After: after}, nil)
	}
	return nil
}

// parents plans the folders that a path needs. A link to a folder is as good as a folder.
func (p *planner) parents(path string) error {
	dir := filepath.Dir(path)
	v, err := p.look(dir)
	if err != nil || dir == "/" || v.state != nil && v.state.Kind == isLink {
		return err
	}
	return p.folder(dir, 0o755, func(state) bool { return true })
}

// file plans a file of ours with this content. One that is there keeps its mode and group, unless
// others than root could write to it.
func (p *planner) file(path string, content []byte, mode uint32) error {
	v, err := p.look(path)
	if err != nil {
		return err
	}
	after := state{Mode: mode}
	if v.state != nil && v.state.UID == 0 && v.state.Mode&0o022 == 0 {
		after.Mode, after.GID = v.state.Mode, v.state.GID
	}
	return p.put(path, v, content, after, diffContext)
}

// edit plans new content for a file of others, which keeps its owner and mode. Context is how many
// lines around the change are shown.
func (p *planner) edit(path string, content []byte, context int) error {
	v, err := p.look(path)
	if err != nil {
		return err
	}
	after := state{Mode: 0o644}
	if v.state != nil {
		after = *v.state
	}
	return p.put(path, v, content, after, context)
}

func (p *planner) put(path string, v view, content []byte, after state, context int) error {
	after.Kind, after.Sum = isFile, sum(content)
	what := "make the file, " + by(after)
	if v.state != nil {
		if v.state.Kind != isFile {
			return fmt.Errorf("%s is no regular file", path)
		}
		if *v.state == after {
			return nil
		}
		if what = "change the file"; by(*v.state) != by(after) {
			what += fmt.Sprintf(", which is %s, to %s", by(*v.state), by(after))
		}
		if v.content == nil {
			v.content = []byte{} // an empty file, not a missing one
		}
	} else if err := p.parents(path); err != nil {
		return err
	}
	s := step{Kind: stepFile, Before: v.state, After: &after}
	if v.state != nil {
		s.Edit = editOf(v.content, content)
	}
	p.add(path, what, diff(path, v.content, content, context), s, content)
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
	after := &state{Mode: 0o777, Kind: isLink, Link: target}
	p.add(path, "link to "+target, "", step{Kind: stepLink, After: after}, nil)
	return nil
}

// exists reports whether something is or will be at one of the paths.
func (p *planner) exists(paths ...string) bool {
	return slices.ContainsFunc(paths, func(path string) bool {
		if v, ok := p.planned[path]; ok {
			return v.state != nil
		}
		name, err := p.host.within(path)
		if err == nil {
			_, err = os.Lstat(name) // unread: it may be a program, larger than what is edited here
		}
		return err == nil
	})
}

// config is the configuration as it is now.
func (p *planner) config() (*config.Config, error) {
	path, err := p.host.within(config.DefaultPath + "/.") // the file behind a link, beneath the root too
	if err != nil {
		return nil, err
	}
	passwd, err := p.host.within(passwdFile)
	if err != nil {
		return nil, err
	}
	return config.LoadFor(path, passwd)
}

// saysUID reports whether the file sets USER_UID.
func saysUID(cfg *config.Config) bool { return cfg.Sets("USER_UID") }
