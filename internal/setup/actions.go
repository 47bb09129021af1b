package setup

import (
	"bytes"
	"path/filepath"
	"slices"

	"github.com/azfilesauth/azfilesauth/etc"
	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/requestkey"
)

// mountHelper is where mount(8) looks for it, wherever the other programs are installed.
const mountHelper = "/usr/sbin/mount.azfiles"

// shippedFile is a file as packages install it: its name in etc.Files, the content for where the programs are.
func shippedFile(name string) ([]byte, error) {
	content, err := etc.Files.ReadFile(name)
	return host.Placed(content), err
}

func planDirectories(p *planner) error {
	users := p.host.ownedState(isDirectory, 0o711) // users pass through to their caches
	if err := p.directory(host.RunDir, users.Mode, func(s state) bool { return s == users }); err != nil {
		return err
	}
	return p.directory(host.ConfigDir, 0o755, func(s state) bool { return p.host.Trusts(uint32(s.UID)) && s.Mode&0o022 == 0 })
}

// planConfig never touches a file that is there, whatever is wrong with it: only its author knows
// what was meant, and what somebody else could write must not become root's by our hand. A new one says
// where the tickets are on a machine without the packages' layer, as /usr may be read-only.
func planConfig(p *planner) error {
	if p.exists(config.DefaultPath) {
		return nil
	}
	if p.exists(config.ShippedPath) {
		return p.shipped(config.DefaultPath, "azfilesauth/config.yaml", 0o600)
	}
	content, err := wholeConfig()
	if err != nil {
		return err
	}
	return p.file(config.DefaultPath, content, 0o600)
}

// wholeConfig is a configuration for a machine without the packages' layer: it says itself where the tickets are.
func wholeConfig() ([]byte, error) {
	content, err := shippedFile("azfilesauth/config.yaml")
	if err != nil {
		return nil, err
	}
	layer, err := shippedFile("config.d/10-azfilesauth.yaml")
	if err != nil {
		return nil, err
	}
	_, tickets, _ := bytes.Cut(layer, []byte("USER_UID: 0\n")) // which the file has already
	return slices.Concat(content, tickets), nil
}

// planRule sees to our own file. One that holds our rule and that request-key can read keeps its
// other lines; request-key cuts the last character of a file, so a missing final newline breaks it.
func planRule(p *planner) error {
	v, err := p.read(requestkey.OurFile)
	if err != nil {
		return err
	}
	shipped, err := shippedFile("request-key.d/azfiles.conf")
	if err != nil {
		return err
	}
	if v.state == nil || !goodRules(v.content, shipped) {
		if err := p.needHandler(); err != nil {
			return err
		}
		return p.file(requestkey.OurFile, shipped, 0o644)
	}
	return p.file(requestkey.OurFile, ended(v.content), 0o644)
}

// needHandler refuses the rule on a running machine that lacks the program which it names: every
// mount with Kerberos would fail there, those of other servers too. An image may get it later.
func (p *planner) needHandler() error {
	handler := host.Sbin("azfiles.upcall")
	if p.exists(handler) {
		return nil
	}
	if p.host.Live() {
		if program := host.Bin("azfilesauth"); !p.exists(program) { // to which this makes the handler a link
			return fault.SetupProgram.New(program)
		}
		return fault.SetupProgram.New(handler)
	}
	p.notes = append(p.notes, handler+" is not there yet: without it the rule makes every mount with Kerberos fail; install azfilesauth in the image")
	return nil
}

// goodRules reports whether request-key can read every line of a file, and one is our rule.
func goodRules(content, shipped []byte) bool {
	ours, _ := requestkey.Read(shipped)
	rules, flaws := requestkey.Read(content)
	return slices.Contains(rules, ours[0]) &&
		!slices.ContainsFunc(flaws, func(f requestkey.Flaw) bool { return f.Kind == requestkey.Unreadable })
}

func ended(content []byte) []byte {
	if len(content) > 0 && !bytes.HasSuffix(content, []byte("\n")) {
		return append(bytes.Clone(content), '\n')
	}
	return content
}

// planLinks is for a machine that got the binary alone. Where it is not in its place, the package or
// whoever installed it elsewhere knows better.
func planLinks(p *planner) error {
	program := host.Bin("azfilesauth")
	if !p.exists(program) {
		return nil
	}
	for _, name := range []string{host.Bin("azfilesauthmanager"), host.Bin("azfilesrefresh"), mountHelper, host.Sbin("azfiles.upcall")} {
		target := program
		if filepath.Dir(name) == filepath.Dir(program) {
			target = filepath.Base(program)
		}
		if err := p.link(name, target); err != nil {
			return err
		}
	}
	return nil
}
