package setup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	unitName  = "azfilesrefresh.service"
	unitsDir  = "/etc/systemd/system"
	adminUnit = unitsDir + "/" + unitName
)

// packagedUnits are where a package or "make install" puts the unit (systemd.unit(5)).
var packagedUnits = []string{"/usr/lib/systemd/system/" + unitName, "/lib/systemd/system/" + unitName, "/usr/local/lib/systemd/system/" + unitName}

// planUnit installs the unit unless something brought it, enables it as systemctl(1) does, and starts it
// where systemd runs. A machine without systemd needs none, and one that is masked is not wanted.
func planUnit(p *planner) error {
	admin, err := p.viewOf(adminUnit)
	if err != nil || !p.exists("/usr/lib/systemd/systemd", "/lib/systemd/systemd") ||
		admin.state != nil && admin.state.Link == "/dev/null" {
		return err
	}
	unit := adminUnit
	if i := slices.IndexFunc(packagedUnits, func(path string) bool { return p.exists(path) }); i >= 0 {
		unit = packagedUnits[i]
	} else if admin.state == nil {
		if err := p.shipped(adminUnit, "systemd/"+unitName, 0o644); err != nil {
			return err
		}
	}
	if err := p.enable(unit); err != nil {
		return err
	}
	if p.host.Booted && p.host.systemctl(p.ctx, "is-active", "--quiet", unitName) != nil {
		p.add(unitName, "start the service", "", step{Kind: stepService}, nil)
	}
	return nil
}

// enable plans the links that systemctl makes. A name that is taken stays: it may be masked.
func (p *planner) enable(unit string) error {
	v, err := p.read(unit)
	if err != nil {
		return err
	}
	err = p.runInScratch(map[string][]byte{unit: v.content}, func(dir string) error {
		return filepath.WalkDir(dir+unitsDir, func(name string, e fs.DirEntry, err error) error {
			if err != nil || e.Type() != fs.ModeSymlink {
				return err
			}
			target, err := os.Readlink(name)
			if err != nil {
				return err
			}
			return p.link(strings.TrimPrefix(name, dir), target)
		})
	}, "systemctl", "enable", unitName)
	if errors.Is(err, fs.ErrNotExist) {
		p.notes = append(p.notes, "systemctl is not here, and the service is not enabled: run systemctl enable "+unitName+" on the machine")
		return nil
	}
	return err
}
