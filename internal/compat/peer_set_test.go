package compat

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// lib is what 1.0.11 says whenever its library fails.
const lib = "1: `AzAuthenticatorLib: -1`"

// syslogOnly is what it adds when the exchange fails.
const syslogOnly = lib + ", `check /var/log/syslog`"

// refusedURI makes a row's ours of URIs that are refused before anybody is asked.
func refusedURI(uris ...string) func(*machine) string {
	return func(m *machine) string {
		var texts []string
		for _, u := range uris {
			texts = append(texts, m.fails(fault.HostUnknown, "set", u, m.token))
		}
		m.idle()
		return all(m, texts...)
	}
}

func uriRows() []peerRow {
	return []peerRow{
		{"row_no_scheme", "`set` with a URI without a scheme", lib, refusedURI(storageHost, storageHost+"/")},
		{"row_http", "`set http://...`", lib, refusedURI("http://" + storageHost)},
		{"row_upper_case_scheme", "`set HTTPS://...`", lib, func(m *machine) string {
			m.works("set", "HTTPS://"+storageHost, m.token)
			m.holds(storageHost)
			return "0, stored"
		}},
		{"row_empty_uri", "an empty URI", lib, refusedURI("")},
		{"row_empty_token", "an empty token", lib, func(m *machine) string {
			defer m.idle()
			return m.fails(fault.Usage, "set", uri, "")
		}},
		{"row_https_only", "`https://` without a host", syslogOnly, refusedURI("https://", "https:///")},
		{"row_order_of_arguments", "`set --system URI`", lib + "; takes `--system` for the URI", func(m *machine) string {
			m.works("set", "--system", uri)
			m.holds(storageHost)
			return "0, stored; any order will do"
		}},
		{"row_share_in_the_uri", "`set https://host/share`", syslogOnly, refusedURI(uri+"/share", uri+"/share?sig=geheim")},
		{"row_duplicates_defect_22", "trailing `/`, upper-case host, `:443`, privatelink", "0; one more duplicate each", func(m *machine) string {
			for _, u := range []string{uri, uri + "/", "https://" + strings.ToUpper(storageHost), uri + ":443", uri + ".:443//"} {
				m.works("set", u, m.token)
			}
			m.works("set", "https://acct.privatelink.file.core.windows.net", m.token)
			m.holds(storageHost)
			return "0; one ticket for the account"
		}},
		{"defect_09_any_host_gets_the_token", "a host that is not Azure's, a user name or another port in the URI", "the token is sent there", func(m *machine) string {
			for _, u := range []string{
				"https://evil.example", uri + ".evil.example", "https://geheim@" + storageHost, "https://me:geheim@" + storageHost,
				uri + ":444", uri + ":445", "https://" + storageHost + "@evil.example", uri + "#geheim", uri + "?geheim", uri + "?", "https://[::1]",
			} {
				m.fails(fault.HostUnknown, "set", u, m.token)
				if r := m.run("set", u, m.token); strings.Contains(r.err, "geheim") {
					m.Errorf("%s is repeated: %s", u, r.err)
				}
			}
			m.idle()
			return "1: `AZF-HOST-UNKNOWN`; nobody is asked"
		}},
	}
}

// refusedBy makes a row's ours of an order whose effect is a fault.
func refusedBy(id fault.Named, orders ...azurefake.Order) func(*machine) string {
	return func(m *machine) string {
		m.works("set", uri, m.token)
		before := m.cache()
		var texts []string
		for _, o := range orders {
			if o.Target == "" {
				o.Target = azurefake.TargetStorage
			}
			m.fake.ClearOrders()
			m.fake.Order(o)
			texts = append(texts, m.fails(id, "set", uri, m.token))
		}
		if !bytes.Equal(before.Marshal(), m.cache().Marshal()) {
			m.Error("the cache is not what it was")
		}
		return all(m, texts...)
	}
}

// anyTime is a moment in a message.
var anyTime = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

func exchangeRows() []peerRow {
	none := 0
	body := func(s string) azurefake.Order { return azurefake.Order{Body: &s} }
	garbage := func(s string) azurefake.Order { return azurefake.Order{Garbage: s} }
	return []peerRow{
		{
			"row_forbidden", "403, the identity has no role", syslogOnly,
			refusedBy(fault.RoleMissing, azurefake.Order{Status: 403, Code: "AuthorizationPermissionMismatch", Message: "This request is not authorized to perform this operation using this permission."}),
		},
		{"row_unknown_token", "401, the token is not accepted", syslogOnly, func(m *machine) string {
			r := m.run("set", uri, "not-one-of-azures")
			if !strings.Contains(r.err, "401 InvalidAuthenticationInfo") || strings.Contains(r.err, "not-one-of-azures") {
				m.Error(r.err)
			}
			return m.fails(fault.TokenRefused, "set", uri, "not-one-of-azures")
		}},
		{"row_busy_once_defect_27", "503 or 429 once, with Retry-After", syslogOnly + "; no retry", func(m *machine) string {
			m.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Status: 503, Times: 1})
			m.works("set", uri, m.token)
			m.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Status: 429, RetryAfter: "1", Times: 1})
			begin := time.Now()
			m.works("set", uri, m.token)
			if waited := time.Since(begin); waited < time.Second {
				m.Errorf("it waited %v", waited)
			}
			return "0; asked again, after the time that Azure names"
		}},
		{"row_redirect", "302", syslogOnly, refusedBy(fault.NotAzure, azurefake.Order{Redirect: "https://" + other + "/?restype=service&comp=kerbticket"})},
		{
			"row_answer_not_json", "200 with garbage, an empty or a cut JSON", lib + ", `Error inserting credential`",
			refusedBy(fault.AnswerInvalid, garbage(azurefake.GarbageJSON), garbage(azurefake.GarbageEmpty), garbage(azurefake.GarbageTruncatedJSON)),
		},
		{
			"row_answer_without_ticket", "200 with `{}` or an empty ticket", lib + ", `Error inserting credential`",
			refusedBy(fault.AnswerInvalid, body("{}"), garbage(azurefake.GarbageEmptyTicket)),
		},
		{
			"row_answer_with_garbage_ticket", "200 with a garbage or cut ticket", lib + "; syslog: `ASN.1 encoding ended unexpectedly`",
			refusedBy(fault.AnswerInvalid, garbage(azurefake.GarbageTicket), garbage(azurefake.GarbageTruncatedTicket)),
		},
		{"row_valid_json_defect_25", "200 with spaces or escapes in the JSON", lib + "; valid answers are refused", func(m *machine) string {
			m.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Spaces: true})
			m.works("set", uri, m.token)
			m.holds(storageHost)
			return "0, stored"
		}},
		{"row_no_ticket_defect_17", "a KRB-CRED without a ticket", "139: crash", refusedBy(fault.TicketNone, azurefake.Order{Tickets: &none})},
		{"row_other_server_defect_05", "a ticket for another server", "0; stored", refusedBy(fault.TicketServer, azurefake.Order{WrongServer: "cifs/" + other})},
		{"row_expired_ticket_defect_05", "a ticket that has ended", "0; replaces a good one", func(m *machine) string {
			return anyTime.ReplaceAllString(refusedBy(fault.TicketExpired, azurefake.Order{Lifetime: -time.Hour})(m), "...") + "; the old one stays"
		}},
		{"row_ticket_without_times_defect_05", "a ticket without times", "0; stored with 01/01/70", refusedBy(fault.AnswerInvalid, azurefake.Order{NoTimes: true})},
		{"row_huge_answer_defect_12", "an answer of 64 MiB", lib + "; 143 MB of memory", func(m *machine) string {
			return refusedBy(fault.AnswerInvalid, garbage(azurefake.GarbageHuge))(m)
		}},
	}
}

// dialing makes the storage accounts be reached, or not, in another way.
func (m *machine) dialing(dial func() (net.Conn, error)) {
	t := m.fake.Transport().(*http.Transport).Clone()
	t.DialContext = func(context.Context, string, string) (net.Conn, error) { return dial() }
	m.tool.Transport = t
}

func networkRows() []peerRow {
	return []peerRow{
		{"row_host_unknown", "the host is unknown", syslogOnly + " (one text for all of these)", func(m *machine) string {
			m.dialing(func() (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: storageHost, IsNotFound: true}}
			})
			return m.fails(fault.DNSFailed, "set", uri, m.token)
		}},
		{"row_connection_refused", "the connection is refused", "the same", func(m *machine) string {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			must(m.T, err)
			must(m.T, l.Close())
			m.dialing(func() (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) })
			return m.fails(fault.EndpointDown, "set", uri, m.token)
		}},
		{"row_untrusted_certificate", "the certificate is not trusted", "the same", func(m *machine) string {
			m.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Untrusted: true})
			return m.fails(fault.TLSUntrusted, "set", uri, m.token)
		}},
		{"row_dropped", "the server hangs up", "the same", func(m *machine) string {
			m.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Drop: true})
			return m.fails(fault.AzureBusy, "set", uri, m.token)
		}},
		{"row_endpoint_hangs", "the server does not answer", "the same, after 30 s", func(m *machine) string {
			m.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Hang: true})
			m.hurry()
			begin := time.Now()
			defer func() {
				if waited := time.Since(begin); waited < time.Second || waited > 15*time.Second {
					m.Errorf("it waited %v, not a second", waited)
				}
			}()
			if r := m.run("set", uri, m.token); !strings.Contains(r.err, "; a longer CURL_TOTAL_TIMEOUT in the configuration may help") {
				m.Errorf("it does not say how to wait longer: %s", r.err)
			}
			begin = time.Now()
			return m.fails(fault.EndpointTimeout, "set", uri, m.token) + ", after `CURL_TOTAL_TIMEOUT` (30 s)"
		}},
	}
}

func tokenRows() []peerRow {
	imds := func(o azurefake.Order) func(*machine) string {
		return func(m *machine) string {
			o.Target = azurefake.TargetIMDS
			m.fake.Order(o)
			m.hurry() // the time is over while it waits, not while it asks
			id := fault.Named(fault.IMDSBusy)
			if o.Status == 400 {
				id = fault.IMDSRefused
				if r := m.run("set", uri, "--system"); !strings.Contains(r.err, "Identity went missing") {
					m.Error("IMDS' own words are not told")
				}
			}
			return m.fails(id, "set", uri, "--system")
		}
	}
	const url = "1: `... Client Error: ... for url: ...`; IMDS' own words are dropped, no retry"
	return []peerRow{
		{"row_imds_400", "IMDS answers 400", url, imds(azurefake.Order{Status: 400, Code: "invalid_request", Message: "Identity went missing"})},
		{"row_imds_429", "IMDS answers 429", url, imds(azurefake.Order{Status: 429, RetryAfter: "5"})},
		{"row_imds_500", "IMDS answers 500", url, imds(azurefake.Order{Status: 500, RetryAfter: "5"})},
		{"row_imds_garbage", "IMDS answers with garbage", "1: `Expecting value: line 1 column 1 (char 0)`", func(m *machine) string {
			m.fake.Order(azurefake.Order{Target: azurefake.TargetIMDS, Garbage: azurefake.GarbageJSON})
			return m.fails(fault.TokenInvalid, "set", uri, "--system")
		}},
		{"row_entra_401", "Entra refuses a workload identity", "1: `401 Client Error: Unauthorized for url: ...`; the AADSTS text is dropped", func(m *machine) string {
			args := m.workload("1")
			m.fake.FederatedToken(appID) // which makes the one in the file invalid
			r := m.run(args...)
			if !strings.Contains(r.err, "AADSTS") {
				m.Errorf("Entra's own words are not told: %s", r.err)
			}
			return m.fails(fault.EntraAssertion, args...)
		}},
		{"row_entra_without_token", "Entra answers 200 without a token", "1: nothing at all", func(m *machine) string {
			text := "{}"
			m.fake.Order(azurefake.Order{Target: azurefake.TargetEntra, Body: &text})
			return m.fails(fault.AnswerInvalid, m.workload("1")...)
		}},
		{"defect_02_token_on_the_command_line", "the token is an argument: `ps`, sudo's log and the shell's history show it", "no other way", func(m *machine) string {
			var wiped []string
			m.tool.Wipe = func(word string) { wiped = append(wiped, word) }
			m.works("set", uri, m.token)
			if len(wiped) != 1 || wiped[0] != m.token {
				m.Errorf("%d words are wiped", len(wiped))
			}
			for _, stdin := range []string{m.token, m.token + "\n", " \n" + m.token + " \r\n"} {
				if r := m.runWith(stdin, "set", uri, "-"); r.status != 0 || r.err != "" {
					m.Error(r)
				}
			}
			if r := m.runWith(m.token+strings.Repeat(" ", 64<<10)+"more", "set", uri, "-"); r.status != 1 {
				m.Error("a part of it is taken")
			}
			m.works("set", uri, "--token-file", m.in("token"))
			must(m.T, os.Remove(m.in("token")))
			m.fails(fault.TokenFile, "set", uri, "--token-file", m.in("token"))
			return "`-` reads it from stdin, `--token-file` from a file; an argument is overwritten at once, with a warning on a terminal"
		}},
	}
}
