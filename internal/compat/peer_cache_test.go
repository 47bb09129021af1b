package compat

import (
	"os"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// fixed is a ticket whose times do not depend on the clock.
func fixed(storageHost, client string) ccache.Credential {
	at := time.Unix(1765082912, 0)
	end := time.Unix(1765169127, 0)
	return ccache.Credential{
		Client:   ccache.Principal{NameType: 1, Realm: realm, Components: []string{client}},
		Server:   ccache.Principal{NameType: 2, Realm: realm, Components: []string{"cifs", storageHost}},
		Key:      ccache.Key{Etype: 18, Value: secret.FromString(strings.Repeat("k", 32))},
		AuthTime: at, StartTime: at, EndTime: end, RenewTill: end,
		Flags:  8388608,
		Ticket: secret.FromString("ticket for " + storageHost),
	}
}

// stored puts a cache in its place, as somebody else may have written it.
func (m *machine) stored(credentials ...ccache.Credential) {
	m.Helper()
	c := ccache.Cache{Credentials: credentials}
	for _, cred := range credentials {
		c.Principal = cred.Client
	}
	m.write("krb5cc", string(c.Marshal()))
}

// cut takes the last bytes of the cache away.
func (m *machine) cut() {
	m.Helper()
	b, err := os.ReadFile(m.ccache)
	must(m.T, err)
	m.write("krb5cc", string(b[:len(b)-20]))
}

func clearRows() []peerRow {
	return []peerRow{
		{"row_clear_unknown", "`clear` of an endpoint that is not there", "0: `clear: 0`", func(m *machine) string {
			m.works("set", otherURI, m.token)
			defer m.holds(other)
			return m.nothingToClear()
		}},
		{"row_clear_with_slash", "`clear https://host/` of a ticket that is there", "0: `clear: 0`; nothing is cleared", func(m *machine) string {
			m.works("set", uri, m.token)
			r := m.run("clear", uri+"/")
			if r.status != 0 || r.out != "azfilesauthmanager clear: 0\n" || !strings.Contains(r.err, "cifs/"+storageHost) {
				m.Error(r)
			}
			m.holds()
			return "0: `clear: 0`; erased"
		}},
		{"row_clear_without_scheme", "`clear host`", lib + ", `clear: -1`", func(m *machine) string {
			if r := m.run("clear", storageHost); r.status != 1 || r.out != "azfilesauthmanager clear: -1\n" {
				m.Error(r)
			}
			return m.fails(fault.HostUnknown, "clear", storageHost)
		}},
		{"row_clear_without_cache_defect_18", "`clear` without a cache", lib + ", `clear: -1`; frees pointers that were never set", func(m *machine) string {
			text := m.nothingToClear()
			if _, err := os.Stat(m.ccache); err == nil {
				m.Error("there is a cache now")
			}
			return text
		}},
		{"defect_04_clear_does_not_erase", "what `clear` leaves in the file", "ticket and session key, valid until they end", func(m *machine) string {
			m.works("set", uri, m.token)
			cred, ok := m.cache().Ticket("cifs/" + storageHost)
			if !ok || cred.Key.Value.Len() != 32 {
				m.Fatal("there is no ticket")
			}
			m.run("clear", uri)
			entries, err := os.ReadDir(m.dir)
			must(m.T, err)
			for _, e := range entries {
				b, err := os.ReadFile(m.in(e.Name()))
				must(m.T, err)
				if strings.Contains(string(b), cred.Key.Value.RevealString()) || strings.Contains(string(b), cred.Ticket.RevealString()) || strings.Contains(string(b), "cifs/") {
					m.Errorf("%s holds something of the ticket", e.Name())
				}
			}
			return "nothing of it: no byte of ticket, key or name"
		}},
	}
}

func (m *machine) nothingToClear() string {
	m.Helper()
	r := m.run("clear", uri)
	if r.status != 0 || r.out != "azfilesauthmanager clear: 0\n" || r.err != "azfilesauthmanager: there is no ticket for cifs/"+storageHost+" in "+m.ccache+"\n" {
		m.Error(r)
	}
	return "0: `clear: 0`; stderr says that there was none"
}

// unreadable fails the test unless list says so, and still prints JSON for programs.
func (m *machine) unreadable(id fault.Named) {
	m.Helper()
	if r := m.run("list", "--json"); r.status != 1 || r.out != "[]\n" || !strings.Contains(r.err, id.String()) {
		m.Errorf("%d %s %s", r.status, r.out, r.err)
	}
	if r := m.run("list"); r.out != "" {
		m.Errorf("list prints %q", r.out)
	}
	m.fails(id, "list")
}

func listRows() []peerRow {
	return []peerRow{
		{"row_list_without_cache", "`list` without a cache", "0: nothing, `[]`", func(m *machine) string {
			if out := m.works("list").out; out != "" {
				m.Error(out)
			}
			if out := m.works("list", "--json").out; out != "[]\n" {
				m.Error(out)
			}
			return "0: nothing, `[]`"
		}},
		{"row_list_garbage_cache_defect_21", "`list` of a cache that is garbage or has 0 bytes", "0: nothing, `[]`", func(m *machine) string {
			m.write("krb5cc", "garbage")
			m.unreadable(fault.CCacheDamaged)
			m.write("krb5cc", "")
			m.unreadable(fault.CCacheDamaged)
			return "1: `AZF-CCACHE-DAMAGED`; `[]` with `--json`"
		}},
		{"row_list_cut_cache", "`list` of a cache that is cut short", "0: the entries before the cut", func(m *machine) string {
			m.works("set", uri, m.token)
			m.works("set", otherURI, m.token)
			m.cut()
			m.unreadable(fault.CCacheDamaged)
			return "1: `AZF-CCACHE-DAMAGED`; `[]` with `--json`"
		}},
		{"row_list_line_form", "`list --json` read line by line", "one key on a line", func(m *machine) string {
			m.works("set", uri, m.token)
			keys := regexp.MustCompile(`(?m)^ +"(\w+)": .+$`).FindAllStringSubmatch(m.works("list", "--json").out, -1)
			if len(keys) != 7 || keys[0][1] != "server" || keys[6][1] != "ticket_renew_till" {
				m.Error(keys)
			}
			return "the same"
		}},
		{"row_list_misspelt", "`list --jsno`", "0: as `list`", func(m *machine) string { return m.fails(fault.Usage, "list", "--jsno") }},
		{"row_list_empty_cache", "`list --json` of an empty cache", "0: `[`, an empty line, `]`", func(m *machine) string {
			m.works("set", uri, m.token)
			m.run("clear", uri)
			if out := m.works("list", "--json").out; out != "[]\n" {
				m.Error(out)
			}
			return "0: `[]`"
		}},
		{"defect_11_json_not_escaped", "`list --json` of a cache with a hostile name", "not escaped: JSON of the attacker's choice", func(m *machine) string {
			evil := `x", "server": "cifs/evil.example@R", "y": "`
			m.stored(fixed(storageHost, evil+"\n\x1b[2J\u009b2J\u202e"))
			if out := m.works("list", "--json").out; strings.ContainsFunc(out, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
				m.Errorf("%q", out)
			}
			rows := m.rows()
			if len(rows) != 1 || len(rows[0]) != 7 || rows[0]["server"] != "cifs/"+storageHost+"@"+realm || !strings.HasPrefix(rows[0]["client"].(string), `x", "server": "`) {
				m.Error(rows)
			}
			if out := m.works("list").out; strings.Count(out, "\n") != 9 || strings.ContainsAny(out, "\x1b\u009b\u202e") {
				m.Errorf("%q", out)
			}
			return "escaped, and no control characters in the text"
		}},
		{"defect_33_year_2038", "a ticket that ends after 2038", "its seconds are negative; refreshed every minute", func(m *machine) string {
			cred := fixed(storageHost, "AzureFileClient")
			cred.EndTime = time.Date(2040, 2, 29, 12, 0, 0, 0, time.UTC)
			m.stored(cred)
			if end := m.rows()[0]["ticket_end_time"]; end != "02/29/40 12:00:00 UTC (epoch: 2214129600)" {
				m.Error(end)
			}
			return "its seconds are positive, until 2106"
		}},
	}
}

// begunAnew fails the test unless set moves what is in the way aside and MIT's klist reads the result.
func (m *machine) begunAnew() string {
	m.Helper()
	r := m.run("set", uri, m.token)
	if r.status != 0 || !strings.HasPrefix(r.err, "azfilesauthmanager: warning: the credential cache was damaged") || strings.Count(r.err, "\n") != 1 {
		m.Errorf("%d %s", r.status, r.err)
	}
	if _, err := os.Stat(m.ccache + ".damaged"); err != nil {
		m.Error(err)
	}
	m.holds(storageHost)
	m.klist(storageHost)
	return "0, with a warning: the old file is kept as `.damaged`, `klist` reads the new one"
}

func cacheRows() []peerRow {
	return []peerRow{
		{"row_set_cut_cache", "`set` with a cache that is cut short", "0; `klist`: `Bad format in credentials cache`", func(m *machine) string {
			m.works("set", otherURI, m.token)
			m.cut()
			return m.begunAnew()
		}},
		{"row_set_garbage_cache", "`set` with a cache that is garbage or has 0 bytes", lib + ", until it is removed", func(m *machine) string {
			m.write("krb5cc", "garbage")
			first := m.begunAnew()
			m.write("krb5cc", "")
			return all(m, first, m.begunAnew())
		}},
		{"row_set_directory", "`set` with a directory in the cache's place", lib, func(m *machine) string {
			must(m.T, os.Mkdir(m.ccache, 0o700))
			text, _, _ := strings.Cut(m.fails(fault.CCacheForeign, "set", uri, m.token), ";")
			m.idle()
			return text
		}},
		{"row_other_client", "`set` with a cache of another client", lib + "; no fix is given", func(m *machine) string {
			m.stored(fixed(other, "OtherClient"))
			return m.fails(fault.CCachePrincipal, "set", uri, m.token)
		}},
		{"defect_01_squatted_cache", "another user made the cache file first: mode 0666, or a link", "0; the live ticket is in his file", func(m *machine) string {
			m.stored(fixed(other, "AzureFileClient"))
			must(m.T, os.Chown(m.ccache, 65534, 65534))
			must(m.T, os.Chmod(m.ccache, 0o666))
			before, err := os.ReadFile(m.ccache)
			must(m.T, err)
			text, _, _ := strings.Cut(m.fails(fault.CCacheForeign, "set", uri, m.token), ": it ")
			must(m.T, os.Rename(m.ccache, m.in("elsewhere")))
			must(m.T, os.Symlink(m.in("elsewhere"), m.ccache))
			m.fails(fault.CCacheForeign, "set", uri, m.token)
			m.unreadable(fault.CCacheForeign)
			if after, err := os.ReadFile(m.in("elsewhere")); err != nil || string(after) != string(before) {
				m.Error("something is written to it")
			}
			m.idle()
			return text + "; nothing is asked or written"
		}},
		{"defect_16_the_cache_grows", "a ticket that is replaced", "stays in the file: 48 MB and 224 ms for a lookup after a year", func(m *machine) string {
			m.works("set", uri, m.token)
			first, err := os.Stat(m.ccache)
			must(m.T, err)
			for range 20 {
				m.works("set", uri, m.token)
			}
			if last, err := os.Stat(m.ccache); err != nil || last.Size() != first.Size() {
				m.Errorf("%d bytes became %v, %v", first.Size(), last, err)
			}
			return "is gone; the size stays"
		}},
	}
}
