package bundle

import (
	"context"
	"encoding/pem"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"gopkg.in/yaml.v3"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/krb5conf"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// cachePaths are the configured cache and those beside it.
func (m *machine) cachePaths() []string {
	var paths []string
	for _, dir := range []string{"/run/azfilesauth", "/tmp", "/var/lib/kubelet/kerberos"} {
		entries, _ := m.ReadDir(dir)
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), "krb5cc_") {
				paths = append(paths, filepath.Join(dir, e.Name()))
			}
		}
	}
	name := strings.TrimPrefix(m.Config.CCacheName(m.Config.CredentialUID()), "FILE:")
	if filepath.IsAbs(name) && !slices.Contains(paths, name) {
		paths = append(paths, name)
	}
	return paths
}

// findSecrets notes the secrets of this machine that are in files known to hold them.
func (m *machine) findSecrets() {
	for _, path := range m.cachePaths() {
		content, err := m.ReadFile(path)
		if err != nil {
			continue
		}
		cache, err := ccache.Parse(content)
		if err != nil {
			continue
		}
		for _, c := range cache.Credentials {
			m.secrets.add(c.Key.Value.Reveal())
			if !isRecord(c) {
				m.secrets.add(c.Ticket.Reveal())
				m.secrets.add(c.SecondTicket.Reveal())
			}
		}
	}
	content, _ := m.ReadFile(m.Host.Config)
	var doc yaml.Node
	if yaml.Unmarshal(content, &doc) == nil {
		m.secretFiles(&doc)
	}
}

// isRecord reports whether an entry is one of libkrb5's settings, in whose ticket is no ticket.
func isRecord(c ccache.Credential) bool { return c.Server.Realm == "X-CACHECONF:" }

// secretFiles notes what the files hold that a configuration names.
func (m *machine) secretFiles(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && filepath.IsAbs(n.Value) {
		if content, err := m.ReadFile(n.Value); err == nil && len(content) <= maxPart && !strings.HasSuffix(n.Value, ".log") {
			m.secretContent(content)
		}
	}
	for _, child := range n.Content {
		m.secretFiles(child)
	}
}

// secretContent notes a token, a password or a key. A token's parts are secrets of their own.
func (m *machine) secretContent(content []byte) {
	text := strings.TrimSpace(string(content))
	if block, _ := pem.Decode(content); block != nil {
		m.secrets.add(block.Bytes)
	}
	if strings.HasPrefix(text, "\x05") { // a credential cache
		return
	}
	m.secrets.add([]byte(text))
	for line := range strings.Lines(text) {
		for _, piece := range strings.Split(strings.TrimSpace(line), ".") {
			if len(piece) >= 2*minSecret {
				m.secrets.add([]byte(piece))
			}
		}
	}
}

// caches lists what tickets there are, without the tickets.
func caches(_ context.Context, m *machine) (string, error) {
	var b strings.Builder
	for _, path := range m.cachePaths() {
		info, err := m.Lstat(path)
		if err != nil {
			fmt.Fprintf(&b, "%s: %v\n", path, reason(err))
			continue
		}
		owner := "?"
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			owner = fmt.Sprintf("%d:%d", st.Uid, st.Gid)
		}
		fmt.Fprintf(&b, "%s: %v %s, %d bytes, %s\n", path, info.Mode(), owner, info.Size(), info.ModTime().UTC().Format("2006-01-02 15:04:05 UTC"))
		content, err := m.ReadFile(path)
		if err != nil {
			fmt.Fprintf(&b, "  %v\n", reason(err))
			continue
		}
		cache, err := ccache.Parse(content)
		if err != nil {
			fmt.Fprintf(&b, "  damaged: %v\n", err)
			continue
		}
		m.tickets(&b, cache)
	}
	return b.String(), nil
}

func (m *machine) tickets(b *strings.Builder, cache *ccache.Cache) {
	fmt.Fprintf(b, "  client %s\n", m.secrets.shown(cache.Principal.String(), principal))
	for _, c := range cache.Credentials {
		if isRecord(c) {
			continue
		}
		spn := strings.Join(c.Server.Components, "/")
		fmt.Fprintf(b, "  %s etype %d, from %s to %s, flags %#x, ticket of %d bytes\n",
			m.secrets.shown(c.Server.String(), principal), c.Key.Etype, clock(c.StartTime), clock(c.EndTime), c.Flags, c.Ticket.Len())
		if rec, ok := cache.Record(spn); ok {
			line := secret.Redacted
			if id, err := identity.Parse(rec.Identity); err == nil && id.Validate() == nil {
				line = legible(rec.Identity)
			}
			fmt.Fprintf(b, "    obtained %s with %s, refreshable %v\n", clock(rec.ObtainedAt), line, rec.Refreshable)
		}
	}
}

// requestKey shows the rules of request-key(8).
func requestKey(_ context.Context, m *machine) (string, error) {
	const dir = "/etc/request-key.d"
	paths := []string{"/etc/request-key.conf"}
	entries, err := m.ReadDir(dir)
	for _, e := range entries {
		paths = append(paths, filepath.Join(dir, e.Name()))
	}
	return m.files(paths), err
}

// krb5 shows krb5.conf and what it includes.
func krb5(_ context.Context, m *machine) (string, error) {
	return m.files(krb5conf.Read(m, krb5conf.Path).Paths), nil
}

// files shows small files one after the other, with owner and mode.
func (m *machine) files(paths []string) string {
	var b strings.Builder
	for _, path := range paths {
		fmt.Fprintf(&b, "==> %s", path)
		if info, err := m.Lstat(path); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				fmt.Fprintf(&b, " (%v %d:%d)", info.Mode(), st.Uid, st.Gid)
			}
		}
		content, err := m.ReadFile(path)
		if err != nil {
			fmt.Fprintf(&b, "\n(%v)\n", reason(err))
			continue
		}
		fmt.Fprintf(&b, "\n%s\n", legibleLines(content))
	}
	return b.String()
}
