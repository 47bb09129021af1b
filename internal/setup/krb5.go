package setup

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

const (
	krb5Conf   = "/etc/krb5.conf"
	krb5Backup = krb5Conf + ".before-azfilesauth"
	krb5Drop   = "/etc/krb5.conf.d/azfilesauth.conf"
)

// azureRealm issues the tickets of Azure Files where no ticket tells otherwise.
const azureRealm = "FILES.AZURE.STORAGE.MICROSOFT.COM"

// hostSuffixes are the domains of storage accounts, by cloud: public, US government, China.
var hostSuffixes = []string{"file.core.windows.net", "file.core.usgovcloudapi.net", "file.core.chinacloudapi.cn"}

var (
	sectionLine = regexp.MustCompile(`^\s*\[([^\]]+)\]`)
	realmLine   = regexp.MustCompile(`^\s*default_realm\s*=\s*\S`)
	includeLine = regexp.MustCompile(`^(include|includedir)\s+(\S+)`)
	// dropName is what libkrb5 reads in an includedir (krb5.conf(5)).
	dropName = regexp.MustCompile(`^[A-Za-z0-9_-]+$|^[^.].*\.conf$`)
)

// planKRB5 gives krb5.conf a default_realm unless it or a file that it includes has one.
func planKRB5(p *planner) error {
	v, err := p.look(krb5Conf)
	if err != nil {
		return err
	}
	for _, path := range p.host.KRB5Files() {
		if _, content, err := p.host.look(path); err == nil && hasRealm(content) {
			return nil
		}
	}
	if v.state != nil {
		backup := *v.state
		if !p.exists(krb5Backup) {
			p.add(krb5Backup, "keep a copy of "+krb5Conf+", "+by(backup), "",
				step{Kind: stepFile, After: &backup}, v.content)
		}
	}
	return p.edit(krb5Conf, withRealm(ended(v.content), p.realm()), diffContext)
}

func hasRealm(content []byte) bool {
	section := ""
	for line := range strings.Lines(string(content)) {
		if m := sectionLine.FindStringSubmatch(line); m != nil {
			section = m[1]
		}
		if section == "libdefaults" && realmLine.MatchString(line) {
			return true
		}
	}
	return false
}

// withRealm adds the relation after the section's own line, or a section at the end.
func withRealm(content []byte, realm string) []byte {
	relation := "\tdefault_realm = " + realm + "\n"
	var b strings.Builder
	added := false
	for line := range strings.Lines(string(content)) {
		b.WriteString(line)
		if m := sectionLine.FindStringSubmatch(line); m != nil && m[1] == "libdefaults" && !added {
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
	if !slices.Contains(p.host.krb5Folders(), dir) {
		return fault.SetupInclude.New(krb5Conf, dir)
	}
	realm := p.realm()
	var b strings.Builder
	b.WriteString("# For a stock cifs.upcall; azfiles.upcall(8) does not need it.\n[domain_realm]\n")
	for _, suffix := range hostSuffixes {
		b.WriteString("\t." + suffix + " = " + realm + "\n")
	}
	return p.file(krb5Drop, []byte(b.String()), 0o644)
}

// realm is that of the tickets in the configured cache.
func (p *planner) realm() string {
	cfg, err := p.config()
	if err != nil {
		return azureRealm
	}
	name, err := p.host.within(cfg.CCacheName(cfg.CredentialUID()))
	if err != nil {
		return azureRealm
	}
	store, err := ccache.Open(host.Real(), name, ccache.Owner{UID: cfg.CredentialUID()})
	if err != nil {
		return azureRealm
	}
	if snapshot, err := store.Load(); err == nil && snapshot.Cache != nil && snapshot.Trusted && dropName.MatchString(snapshot.Cache.Principal.Realm+".conf") {
		return snapshot.Cache.Principal.Realm
	}
	return azureRealm
}

// maxKRB5Files bounds what krb5.conf may include.
const maxKRB5Files = 200

// KRB5Files are krb5.conf and the files that it includes, in the order in which libkrb5 meets them.
// Files that cannot be read are among them.
func (h Host) KRB5Files() []string {
	files, _ := h.krb5()
	return files
}

func (h Host) krb5Folders() []string {
	_, folders := h.krb5()
	return folders
}

func (h Host) krb5() (files, folders []string) {
	files = []string{krb5Conf}
	for i := 0; i < len(files) && len(files) < maxKRB5Files; i++ {
		_, content, _ := h.look(files[i])
		for line := range strings.Lines(string(content)) {
			m := includeLine.FindStringSubmatch(line)
			switch {
			case m == nil:
			case m[1] == "include" && !slices.Contains(files, m[2]):
				files = append(files, m[2])
			case m[1] == "includedir":
				folder := filepath.Clean(m[2])
				folders = append(folders, folder)
				for _, name := range h.drops(folder) {
					if path := filepath.Join(folder, name); !slices.Contains(files, path) {
						files = append(files, path)
					}
				}
			}
		}
	}
	return files, folders
}

// drops are the names of the files that libkrb5 reads in a folder.
func (h Host) drops(folder string) []string {
	name, err := h.within(folder + "/.")
	if err != nil {
		return nil
	}
	entries, _ := os.ReadDir(name)
	var all []string
	for _, e := range entries {
		if e.Type()&fs.ModeDir == 0 && dropName.MatchString(e.Name()) {
			all = append(all, e.Name())
		}
	}
	return all
}
