package setup

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

const (
	unitName  = "azfilesrefresh.service"
	adminUnit = "/etc/systemd/system/" + unitName
)

// packagedUnits are where a package or "make install" puts the unit (systemd.unit(5)).
var packagedUnits = []string{"/usr/lib/systemd/system/" + unitName, "/lib/systemd/system/" + unitName, "/usr/local/lib/systemd/system/" + unitName}

// planUnit installs the unit unless something brought it, enables it with the links that
// systemctl(1) would make, and starts it where systemd runs. A machine without systemd needs none.
func planUnit(p *planner) error {
	if !p.exists("/usr/lib/systemd/systemd", "/lib/systemd/systemd") {
		return nil
	}
	unit := adminUnit
	for _, path := range packagedUnits {
		if p.exists(path) {
			unit = path
			break
		}
	}
	if unit == adminUnit && !p.exists(adminUnit) {
		if err := p.shippedUnit(); err != nil {
			return err
		}
	}
	if err := p.enable(unit); err != nil {
		return err
	}
	if ctl := p.host.Systemctl; ctl != nil && ctl(p.ctx, "is-active", "--quiet", unitName) != nil {
		p.add(unitName, "start the service", "", step{Kind: stepService}, nil)
	}
	return nil
}

func (p *planner) shippedUnit() error {
	content, err := shippedFile("systemd/" + unitName)
	if err != nil {
		return err
	}
	return p.file(adminUnit, content, 0o644)
}

// enable plans the links that the unit's [Install] section asks for. A name that is taken stays:
// it may be masked.
func (p *planner) enable(unit string) error {
	v, err := p.look(unit)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(v.content)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		suffix := map[string]string{"WantedBy": ".wants", "RequiredBy": ".requires"}[key]
		if suffix == "" && key != "Alias" {
			continue
		}
		for _, name := range strings.Fields(value) {
			link := filepath.Join(filepath.Dir(adminUnit), name)
			if suffix != "" {
				link = filepath.Join(link+suffix, unitName)
			}
			if err := p.link(link, unit); err != nil {
				return err
			}
		}
	}
	return nil
}

// start starts the service; systemd is told of new units first.
func (h Host) start(ctx context.Context, unit string) error {
	if h.Systemctl == nil {
		return nil
	}
	err := h.Systemctl(ctx, "daemon-reload")
	if err == nil {
		err = h.Systemctl(ctx, "restart", unit)
	}
	if err != nil {
		return fault.ServiceFailed.New(unit).Because(err)
	}
	return nil
}

func (h Host) stop(ctx context.Context, unit string) error {
	if h.Systemctl == nil {
		return nil
	}
	return h.Systemctl(ctx, "stop", unit)
}
