package ccache

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// The server principal of a configuration entry is configName/<key>/<principal>@configRealm: MIT's
// doc/formats/ccache_file_format, "Cache configuration entries". The key is ours.
const (
	configRealm = "X-CACHECONF:"
	configName  = "krb5_ccache_conf_data"
	recordKey   = "azfilesauth"

	nameTypePrincipal = 1 // KRB5_NT_PRINCIPAL
)

// maxRecord bounds a record's text, in bytes: two paths of PATH_MAX, or some dozens of usual ones.
const maxRecord = 16 << 10

// Record says who obtained a ticket.
type Record struct {
	Identity    string    // the identity as one line of text, never a secret
	ObtainedAt  time.Time // whole seconds
	Refreshable bool      // a new token can be had without a person
	Aliases     []string  // the other hosts under which the same ticket is stored, lower case

	// Proxy is the proxy that the caller of azfilesauthmanager chose by its environment, a URL without a login; "" is
	// none. NoProxy is what is reached without it, in the form of transport.Exceptions.
	Proxy, NoProxy string

	// Files are further token files of the same principal, newest first: absolute paths. Their owners come and go.
	Files []string

	// Principal is who the identity is to Entra, as its last access token said; empty when none did.
	Principal Claimed
}

// Claimed is what an access token says of whose it is: claims of the Microsoft identity platform, GUIDs in lower case.
type Claimed struct{ Tenant, Object, App string }

// A record's text is one line that klist -C shows as it is (it would escape spaces), with the
// identity last because only that may hold a semicolon. The fields before it may be missing, those that
// are not known are passed over, and a later version may add some:
//
//	v1;obtained=2026-11-23T15:48:24Z;refreshable=yes;tid=...;oid=...;appid=...;files=/a,/b;identity=system
const (
	recordVersion = "v1"
	fieldEnd      = ";"
	obtainedField = "obtained"
	refreshField  = "refreshable"
	tenantField   = "tid"
	objectField   = "oid"
	appField      = "appid"
	filesField    = "files"
	proxyField    = "proxy"
	exceptField   = "noproxy"
	identityField = "identity"
	yes           = "yes"
	no            = "no"
)

// fileEnd stands between files. escapeFile keeps it, and the end of a field, out of a path.
const fileEnd = ","

var (
	escapeFile   = strings.NewReplacer("%", "%25", fileEnd, "%2C", fieldEnd, "%3B")
	unescapeFile = strings.NewReplacer("%25", "%", "%2C", fileEnd, "%3B", fieldEnd)
)

// Record gives what is known of who obtained the ticket of name, cifs/<canonical host> or a Private one. A record
// that we cannot read is absent. It is only as trustworthy as the file it came from: see
// Snapshot.Trusted. The aliases are not in the record's text but are found from the tickets
// themselves, so the two cannot disagree.
func (c *Cache) Record(name string) (Record, bool) {
	rec, ok := c.RecordAlone(name)
	if ok {
		rec.Aliases = c.aliases(placeOf(name))
	}
	return rec, ok
}

// RecordAlone is Record without the aliases, which take a pass over all tickets.
func (c *Cache) RecordAlone(name string) (Record, bool) {
	place := placeOf(name)
	if c.records != nil {
		rec, ok := c.records[place]
		return rec, ok
	}
	for i := range c.Credentials {
		if cred := &c.Credentials[i]; isRecordOf(cred, place) {
			if rec, ok := parseRecord(cred.Ticket.RevealString()); ok {
				return rec, true
			}
		}
	}
	return Record{}, false
}

// Indexed is the cache for who looks for many of its records. Neither of the two may be changed afterwards.
func (c *Cache) Indexed() *Cache {
	indexed := *c
	indexed.records = c.byPlace()
	return &indexed
}

// byPlace gives the records without aliases by the place of their ticket.
func (c *Cache) byPlace() map[string]Record {
	records := make(map[string]Record, len(c.Credentials)/2)
	for i := range c.Credentials {
		place := recordPlace(&c.Credentials[i])
		if _, seen := records[place]; place == "" || seen {
			continue
		}
		if rec, ok := parseRecord(c.Credentials[i].Ticket.RevealString()); ok {
			records[place] = rec
		}
	}
	return records
}

// Records gives all records by the name without realm of their ticket, as Record gives one, in a single pass.
func (c *Cache) Records() map[string]Record {
	records := c.byPlace()
	byName := make(map[string]Record, len(records))
	for i, owner := range c.owners() {
		rec, known := records[owner]
		if alias := c.Credentials[i].Server.host(); known && alias != "" && alias != owner && !slices.Contains(rec.Aliases, alias) {
			rec.Aliases = append(rec.Aliases, alias)
			records[owner] = rec
		}
	}
	for place, rec := range records {
		byName[nameOf(place)] = rec
	}
	return byName
}

// recordPlace is the place of the ticket that a record of ours is about, whatever its realm; "" for
// every other credential.
func recordPlace(c *Credential) string {
	if !isRecord(c) {
		return ""
	}
	name, _, _ := strings.Cut(c.Server.Components[2], "@")
	return placeOf(name)
}

// isRecord reports whether a credential is an entry of ours, about whatever ticket.
func isRecord(c *Credential) bool {
	parts := c.Server.Components
	return c.Server.Realm == configRealm && len(parts) == 3 && parts[0] == configName && parts[1] == recordKey
}

// isRecordOf reports whether recordPlace is place. It compares before it makes any text, as isAt does.
func isRecordOf(c *Credential, place string) bool {
	if place == "" || !isRecord(c) {
		return false
	}
	_, rest, _ := strings.Cut(c.Server.Components[2], "/")
	return mayBegin(rest, place) && recordPlace(c) == place
}

// entry is the configuration entry that stores the record of the ticket server. It is absent when
// nothing is known, or nothing that could be read back. The oldest files go when there are too many.
func (r Record) entry(client, server Principal) (Credential, bool) {
	text := r.text()
	for len(text) > maxRecord && len(r.Files) > 0 {
		r.Files = r.Files[:len(r.Files)-1]
		text = r.text()
	}
	if _, ok := parseRecord(text); !ok && (r.Proxy != "" || r.NoProxy != "") { // who obtained it counts for more
		r.Proxy, r.NoProxy = "", ""
		text = r.text()
	}
	if back, ok := parseRecord(text); !ok || back.Identity != r.Identity || back.Principal != r.Principal {
		return Credential{}, false
	}
	return Credential{
		Client: client,
		Server: Principal{
			NameType:   nameTypePrincipal,
			Realm:      configRealm,
			Components: []string{configName, recordKey, server.String()},
		},
		Ticket: secret.FromString(text),
	}, true
}

func (r Record) text() string {
	fields := []string{recordVersion, obtainedField + "=" + r.ObtainedAt.UTC().Format(time.RFC3339), refreshField + "=" + no}
	if r.Refreshable {
		fields[2] = refreshField + "=" + yes
	}
	files := make([]string, len(r.Files))
	for i, f := range r.Files {
		files[i] = escapeFile.Replace(f)
	}
	for _, f := range [][2]string{
		{tenantField, r.Principal.Tenant},
		{objectField, r.Principal.Object},
		{appField, r.Principal.App},
		{filesField, strings.Join(files, fileEnd)},
		{proxyField, r.Proxy},
		{exceptField, r.NoProxy},
	} {
		if f[1] != "" && !strings.Contains(f[1], fieldEnd) {
			fields = append(fields, f[0]+"="+f[1])
		}
	}
	return strings.Join(append(fields, identityField+"="+r.Identity), fieldEnd)
}

func parseRecord(text string) (r Record, ok bool) {
	version, rest, more := strings.Cut(text, fieldEnd)
	if len(text) > maxRecord || version != recordVersion {
		return Record{}, false
	}
	seen := map[string]string{}
	for more {
		if line, last := strings.CutPrefix(rest, identityField+"="); last {
			r.Identity = line
			break
		}
		var field string
		field, rest, more = strings.Cut(rest, fieldEnd)
		key, value, _ := strings.Cut(field, "=")
		if _, twice := seen[key]; twice {
			return Record{}, false
		}
		seen[key] = value
	}
	at, err := time.Parse(time.RFC3339, seen[obtainedField])
	if at = at.UTC(); at.Year() < 1 || at.Year() > 9999 { // could not be written again
		return Record{}, false
	}
	refreshable := seen[refreshField]
	r.ObtainedAt, r.Refreshable = at, refreshable == yes
	r.Proxy, r.NoProxy = seen[proxyField], seen[exceptField]
	r.Principal = Claimed{seen[tenantField], seen[objectField], seen[appField]}
	for file := range strings.SplitSeq(seen[filesField], fileEnd) {
		if file != "" {
			r.Files = append(r.Files, unescapeFile.Replace(file))
		}
	}
	ok = err == nil && (r.Refreshable || refreshable == no) && oneLine(r.Identity) && oneLine(text)
	return r, ok
}

// oneLine reports whether s can be the identity's line: some text without control characters.
func oneLine(s string) bool {
	return s != "" && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
