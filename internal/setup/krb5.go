package setup

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/krb5conf"
)

const (
	krb5Conf   = krb5conf.Path
	krb5Backup = krb5Conf + ".before-azfilesauth"
	krb5Drop   = "/etc/krb5.conf.d/azfilesauth.conf"
)

// realmName is a realm as it can stand in a line of krb5.conf.
var realmName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]*$`) })

// planKRB5 gives krb5.conf a default_realm unless it or a file that it includes has one.
func planKRB5(p *planner) error {
	v, err := p.read(krb5Conf)
	if err != nil {
		return err
	}
	if r, ok := krb5conf.Of(p.host.Host).Get("libdefaults", "default_realm"); ok && r.Value != "" {
		return nil
	}
	if v.state != nil {
		backup := *v.state
		if !p.exists(krb5Backup) {
			p.add(krb5Backup, "keep a copy of "+krb5Conf+", "+by(backup), "",
				step{Kind: isFile, After: &backup}, v.content)
		}
	}
	return p.edit(krb5Conf, withRealm(ended(v.content), p.realm()), false)
}

// withRealm adds the relation after the section's own line, or a section at the end.
func withRealm(content []byte, realm string) []byte {
	relation := "\tdefault_realm = " + realm + "\n"
	var b strings.Builder
	added := false
	for line := range strings.Lines(string(content)) {
		b.WriteString(line)
		if strings.HasPrefix(strings.TrimSpace(line), "[libdefaults]") && !added {
			b.WriteString(relation)
			added = true
		}
	}
	if !added {
		b.WriteString("[libdefaults]\n" + relation)
	}
	return []byte(b.String())
}

// planDomainRealm tells a stock cifs.upcall the realm of Azure Files, in a file of our own. The
// longest suffix wins, so that it holds against a mapping of core.windows.net to another realm.
func planDomainRealm(p *planner) error {
	dir := filepath.Dir(krb5Drop)
	if !slices.Contains(krb5conf.Of(p.host.Host).Directories, dir) {
		return fault.SetupInclude.New(krb5Conf, dir)
	}
	realm := p.realm()
	var b strings.Builder
	b.WriteString("# For a stock cifs.upcall; azfiles.upcall(8) does not need it.\n[domain_realm]\n")
	for _, domain := range endpoint.Domains() {
		b.WriteString("\t." + domain + " = " + realm + "\n")
	}
	return p.file(krb5Drop, []byte(b.String()), 0o644)
}

// realm is that of the tickets in the configured cache.
func (p *planner) realm() string {
	cfg, err := p.config()
	if err != nil {
		return ccache.AzureRealm
	}
	store, err := ccache.Open(p.host.Host, cfg.CCacheName(cfg.CredentialUID), cfg.CredentialUID)
	if err != nil {
		return ccache.AzureRealm
	}
	if snapshot, err := store.Load(); err == nil && snapshot.Cache != nil && snapshot.Trusted && realmName().MatchString(snapshot.Cache.Principal.Realm) {
		return snapshot.Cache.Principal.Realm
	}
	return ccache.AzureRealm
}
