package bundle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/legible"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// maxCaches bounds how many files of one directory are told of.
const maxCaches = 100

// cachePaths are the configured cache and those beside it.
func (m *machine) cachePaths() []string {
	var paths []string
	for _, dir := range []string{host.RunDir, "/tmp", "/var/lib/kubelet/kerberos"} {
		found, _ := m.ReadDir(dir)
		found = slices.DeleteFunc(found, func(e fs.DirEntry) bool { return !strings.HasPrefix(e.Name(), "krb5cc_") })
		for _, e := range found[:min(len(found), maxCaches)] {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	name := m.Config.CCacheName(m.Config.CredentialUID)
	if filepath.IsAbs(name) && !slices.Contains(paths, name) {
		paths = append(paths, name)
	}
	return paths
}

// errForeign says why a cache is not read: whoever made it could keep root busy for as long as he likes.
var errForeign = errors.New("another user's; what is in it is left out")

// readCache reads a cache of root or of the credential uid.
func (m *machine) readCache(path string) (*ccache.Cache, error) {
	info, err := m.Lstat(path)
	if err != nil {
		return nil, err
	}
	if st := host.StatOf(info); !m.Trusts(st.Uid) && int(st.Uid) != m.Config.CredentialUID {
		return nil, errForeign
	}
	content, err := m.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return ccache.Parse(content)
}

// findSecrets notes the secrets of this machine that are in files known to hold them.
func (m *machine) findSecrets() {
	for _, path := range m.cachePaths() {
		cache, err := m.readCache(path)
		if err != nil {
			continue
		}
		for _, c := range cache.Credentials {
			m.secrets.add(c.Key.Value.Reveal())
			if !c.IsConfig() {
				m.secrets.add(c.Ticket.Reveal())
				m.secrets.add(c.SecondTicket.Reveal())
			}
		}
	}
	m.documents(func(_ string, _ []byte, doc *yaml.Node, _ error) { m.secretFiles(doc) })
}

// caches lists what tickets there are, without the tickets.
func (m *machine) caches(context.Context) (string, error) {
	var b strings.Builder
	for _, path := range m.cachePaths() {
		fmt.Fprintf(&b, "%s: ", path)
		if info, err := m.Lstat(path); err == nil {
			fmt.Fprintf(&b, "%s, %d bytes, %s\n  ", owner(info), info.Size(), info.ModTime().UTC().Format("2006-01-02 15:04:05 UTC"))
		}
		cache, err := m.readCache(path)
		if _, ok := errors.AsType[*ccache.DamageError](err); ok {
			fmt.Fprintf(&b, "damaged: %v\n", err)
		} else if err != nil {
			fmt.Fprintf(&b, "%v\n", host.WithoutPath(err))
		} else {
			m.tickets(&b, cache)
		}
	}
	return b.String(), nil
}

// owner is a file's mode and who it belongs to.
func owner(info fs.FileInfo) string {
	st := host.StatOf(info)
	return fmt.Sprintf("%v %d:%d", info.Mode(), st.Uid, st.Gid)
}

func (m *machine) tickets(b *strings.Builder, cache *ccache.Cache) {
	fmt.Fprintf(b, "client %s\n", m.secrets.showOrRedact(cache.Principal.String(), principal))
	records := cache.Records()
	for _, c := range cache.Credentials {
		if c.IsConfig() {
			continue
		}
		fmt.Fprintf(b, "  %s etype %d, from %s to %s, flags %#x, ticket of %d bytes\n",
			m.secrets.showOrRedact(c.Server.String(), principal), c.Key.Etype, clock(c.StartTime), clock(c.EndTime), c.Flags, c.Ticket.Len())
		if rec, ok := records[c.Server.Name()]; ok {
			line := secret.Redacted
			if id, err := identity.Parse(rec.Identity); err == nil && id.Validate() == nil {
				line = legible.Line(rec.Identity)
			}
			fmt.Fprintf(b, "    obtained %s with %s, refreshable %v\n", clock(rec.ObtainedAt), line, rec.Refreshable)
		}
	}
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
