package setup

import (
	"fmt"
	"path/filepath"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

// maxAside is how many caches may lie aside of one.
const maxAside = 100

// planCCache moves the cache of the credential uid out of the way when its content is damaged or
// when somebody else could have made it. The rules are those of ccache, which needs a folder of
// root's, or a sticky one: in any other folder the next cache would fare no better, so that nothing
// is moved there.
func planCCache(p *planner) error {
	cfg, err := p.config()
	if err != nil {
		return err
	}
	uid := cfg.CredentialUID()
	if !saysUID(cfg) {
		if uid, err = p.systemUser(); err != nil {
			return err
		}
	}
	path := cfg.CCacheName(uid)
	if !filepath.IsAbs(path) {
		return nil
	}
	v, err := p.look(path)
	if err != nil || v.state == nil {
		return err
	}
	suffix, err := p.unusable(path, uid)
	if suffix == "" || err != nil {
		return err
	}
	return p.aside(path, v, suffix)
}

// systemUser is the uid of the system user, or root's where there is none.
func (p *planner) systemUser() (int, error) {
	users, err := p.accounts(passwdFile)
	if err != nil {
		return 0, err
	}
	uid := 0
	if user := find(users, nameField, config.SystemUser); len(user) > idField {
		_, err = fmt.Sscan(user[idField], &uid)
	}
	return uid, err
}

// unusable gives the suffix under which a cache is set aside, "" for one that may stay.
func (p *planner) unusable(path string, uid int) (string, error) {
	name, err := p.host.within(path)
	if err != nil {
		return "", err
	}
	store, err := ccache.Open(host.Real(), name, ccache.Owner{UID: uid})
	if err == nil {
		_, err = store.Load()
	}
	switch {
	case fault.Is(err, fault.CCacheDamaged):
		return ".damaged", nil
	case fault.Is(err, fault.CCacheForeign):
		return ".foreign", nil
	}
	return "", nil // what else is wrong is not mended by moving the file
}

func (p *planner) aside(path string, v view, suffix string) error {
	to := path + suffix
	for n := 2; p.exists(to); n++ {
		if n > maxAside {
			return fmt.Errorf("%s and %d more are there already", path+suffix, maxAside)
		}
		to = fmt.Sprintf("%s%s.%d", path, suffix, n)
	}
	p.add(path, "rename to "+to, "", step{Kind: stepRename, Before: v.state, To: to}, nil)
	p.planned[path] = view{}
	p.planned[to] = v
	return nil
}
