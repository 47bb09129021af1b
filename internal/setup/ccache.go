package setup

import (
	"fmt"
	"path/filepath"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// planCCache moves the cache of the credential uid out of the way when its content is damaged or
// when somebody else could have made it. The rules are those of ccache, which needs a directory
// of root's, or a sticky one: in any other the next cache would fare no better, so that nothing
// is moved there.
func planCCache(p *planner) error {
	cfg, err := p.config()
	if err != nil {
		return err
	}
	uid := cfg.CredentialUID
	path := cfg.CCacheName(uid)
	if !filepath.IsAbs(path) {
		return nil
	}
	v, err := p.viewOf(path)
	if err != nil || v.state == nil {
		return err
	}
	if suffix := p.unusable(path, uid); suffix != "" {
		p.moveAside(path, v, suffix)
	}
	return nil
}

// unusable gives the suffix under which a cache is set aside, "" for one that may stay.
func (p *planner) unusable(path string, uid int) string {
	store, err := ccache.Open(p.host.Host, path, uid)
	if err == nil {
		_, err = store.Load()
	}
	if fault.Is(err, fault.CCacheDamaged) {
		return ".damaged"
	}
	if fault.Is(err, fault.CCacheForeign) {
		return ".foreign"
	}
	return "" // what else is wrong is not repaired by moving the file
}

func (p *planner) moveAside(path string, v view, suffix string) {
	to := path + suffix
	for n := 2; p.exists(to); n++ {
		to = fmt.Sprintf("%s%s.%d", path, suffix, n)
	}
	p.add(path, "rename to "+to, "", step{Kind: stepRename, Before: v.state, To: to}, nil)
	p.planned[path] = view{}
	p.planned[to] = v
}
