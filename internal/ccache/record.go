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

// maxRecord bounds a record's text, in bytes: a path of PATH_MAX and some names beside it.
const maxRecord = 8 << 10

// Record says who obtained a ticket.
type Record struct {
	Identity    string    // the identity as one line of text, never a secret
	ObtainedAt  time.Time // whole seconds
	Refreshable bool      // a new token can be had without a person
	Aliases     []string  // the other hosts under which the same ticket is stored, lower case

	// Proxy is the proxy that the caller of azfilesauthmanager chose by its environment, a URL without a login; "" is
	// none. NoProxy is what is reached without it, in the form of transport.Exceptions.
	Proxy, NoProxy string
}

// A record's text is one line that klist -C shows as it is (it would escape spaces), with the
// identity last because only that may hold a semicolon:
//
//	v1;obtained=2026-11-23T15:48:24Z;refreshable=yes;identity=system
//
// Before the identity there can be proxy=URL and noproxy=LIST; what else stands there belongs to another version and
// is passed over.
const (
	recordVersion   = "v1"
	fieldEnd        = ";"
	obtainedField   = "obtained="
	refreshField    = "refreshable="
	proxyField      = "proxy="
	exceptField     = "noproxy="
	identityField   = "identity="
	yes             = "yes"
	no              = "no"
	recordFieldsLen = 4 // version, obtained, refreshable and the rest
)

// Record gives what is known of who obtained the ticket of spn, a canonical cifs/host. A record
// that we cannot read is absent. It is only as trustworthy as the file it came from: see
// Snapshot.Trusted. The aliases are not in the record's text but are found from the tickets
// themselves, so the two cannot disagree.
func (c *Cache) Record(spn string) (Record, bool) {
	host := hostOf(spn)
	for i := range c.Credentials {
		if cred := &c.Credentials[i]; host != "" && recordHost(cred) == host {
			if rec, ok := parseRecord(cred.Ticket.RevealString()); ok {
				rec.Aliases = c.aliases(host)
				return rec, true
			}
		}
	}
	return Record{}, false
}

// Records gives all records by canonical cifs/host, as Record gives one, in a single pass.
func (c *Cache) Records() map[string]Record {
	records := make(map[string]Record, len(c.Credentials)/2)
	for i := range c.Credentials {
		host := recordHost(&c.Credentials[i])
		if _, seen := records[host]; host == "" || seen {
			continue
		}
		if rec, ok := parseRecord(c.Credentials[i].Ticket.RevealString()); ok {
			records[host] = rec
		}
	}
	bySPN := make(map[string]Record, len(records))
	for i, owner := range c.owners() {
		rec, known := records[owner]
		if alias := c.Credentials[i].Server.host(); known && alias != owner && !slices.Contains(rec.Aliases, alias) {
			rec.Aliases = append(rec.Aliases, alias)
			records[owner] = rec
		}
	}
	for host, rec := range records {
		bySPN[service+"/"+host] = rec
	}
	return bySPN
}

// recordHost is the host that a record of ours is about, whatever the realm of its ticket; "" for
// every other credential.
func recordHost(c *Credential) string {
	parts := c.Server.Components
	if c.Server.Realm != configRealm || len(parts) != 3 || parts[0] != configName || parts[1] != recordKey {
		return ""
	}
	spn, _, _ := strings.Cut(parts[2], "@")
	return hostOf(spn)
}

// entry is the configuration entry that stores the record of the ticket server. It is absent when
// nothing is known, or nothing that could be read back.
func (r Record) entry(client, server Principal) (Credential, bool) {
	text := r.text()
	if _, ok := parseRecord(text); !ok && (r.Proxy != "" || r.NoProxy != "") { // who obtained it counts for more
		r.Proxy, r.NoProxy = "", ""
		text = r.text()
	}
	if _, ok := parseRecord(text); !ok {
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
	refreshable := no
	if r.Refreshable {
		refreshable = yes
	}
	fields := []string{
		recordVersion,
		obtainedField + r.ObtainedAt.UTC().Format(time.RFC3339),
		refreshField + refreshable,
	}
	for _, optional := range [][2]string{{proxyField, r.Proxy}, {exceptField, r.NoProxy}} {
		if value := optional[1]; value != "" && !strings.Contains(value, fieldEnd) {
			fields = append(fields, optional[0]+value)
		}
	}
	return strings.Join(append(fields, identityField+r.Identity), fieldEnd)
}

func parseRecord(text string) (Record, bool) {
	fields := strings.SplitN(text, fieldEnd, recordFieldsLen)
	if len(text) > maxRecord || len(fields) != recordFieldsLen || fields[0] != recordVersion {
		return Record{}, false
	}
	obtained, okO := strings.CutPrefix(fields[1], obtainedField)
	refreshable, okR := strings.CutPrefix(fields[2], refreshField)
	optional, identity, okI := optionalFields(fields[3])
	at, err := time.Parse(time.RFC3339, obtained)
	if at = at.UTC(); at.Year() < 1 || at.Year() > 9999 { // could not be written again
		return Record{}, false
	}
	if !okO || !okR || !okI || err != nil || refreshable != yes && refreshable != no || !oneLine(identity) {
		return Record{}, false
	}
	return Record{
		Identity: identity, ObtainedAt: at, Refreshable: refreshable == yes, Proxy: optional[proxyField], NoProxy: optional[exceptField],
	}, true
}

// optionalFields cuts a record's text, from behind the fields that are always there, before its identity.
func optionalFields(text string) (optional map[string]string, identity string, ok bool) {
	optional = map[string]string{}
	for {
		if identity, ok = strings.CutPrefix(text, identityField); ok {
			return optional, identity, true
		}
		field, rest, more := strings.Cut(text, fieldEnd)
		if !more {
			return nil, "", false
		}
		for _, name := range []string{proxyField, exceptField} {
			if value, ours := strings.CutPrefix(field, name); ours && oneLine(value) {
				optional[name] = value
			}
		}
		text = rest
	}
}

// oneLine reports whether s can be the identity's line: some text without control characters.
func oneLine(s string) bool {
	return s != "" && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
