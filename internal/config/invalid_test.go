package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

// refused loads content and compares the problem with want, its beginning.
func refused(t *testing.T, content, want string) {
	t.Helper()
	path := write(t, content)
	_, err := readAt(path)
	if !fault.Is(err, fault.ConfigInvalid) || !strings.HasPrefix(fault.From(err).What(), path+" is not valid: "+want) {
		t.Errorf("%q: got %v\nwant %s", content, err, want)
	}
}

// Every kind of value, wrong in every way, is refused with its line and key.
func TestWrongValues(t *testing.T) {
	tests := []struct {
		key    string // as in the message
		layout string // %s is the value
		wrong  []string
	}{
		{"USER_UID", "USER_UID: %s", []string{"abc", "-1", "+1", "4294967295", "4294968297", "99999999999999999999", "1.0", "1e3", "0x3e8", "0o17", "010", "1_000", "'1001 '", "'1001#'", "locale", "'١'"}},
		{"KRB5_CC_NAME", "KRB5_CC_NAME: %s", []string{"krb5cc", "./x", "FILE:x", "'FILE:'", "/", "/x/", "' /x'", "/x/%{euid}", "FILE:/x/%{username}", "'/x%{'", "/%{uid}/%{TEMP}", "5", "true"}},
		{"LOG_DESTINATION", "LOG_DESTINATION: %s", []string{"stdout", "yes", "1"}},
		{"LOG_FILE_PATH", "LOG_FILE_PATH: %s", []string{"x.log", "./x"}},
		{"CURL_CONNECT_TIMEOUT", "CURL_CONNECT_TIMEOUT: %s", []string{"0", "-1", "10s", "1.5", "3601", "x", "0x10", "007"}},
		{"CURL_TOTAL_TIMEOUT", "CURL_TOTAL_TIMEOUT: %s", []string{"0", "x"}},
		{"default_identity", "default_identity: %s", []string{"nobody", "token", "token x", "user-assigned", "user-assigned client_id=x", "'system '", "'system client_id=" + guid + "'"}},
		{"refresh.at", "refresh: {at: %s}", []string{"0", "1", "-0.5", "nan", "inf", "60", "100%", "x%", "'%'", "5m"}},
		{"refresh.before_expiry", "refresh: {before_expiry: %s}", []string{"5", "0s", "-5m", "25h", "x", "1d"}},
		{"refresh.jitter", "refresh: {jitter: %s}", []string{"51%", "-1%", "NaN", "x"}},
		{"refresh.concurrency", "refresh: {concurrency: %s}", []string{"0", "65", "1.5", "-1", "x"}},
		{"upcall.mode", "upcall: {mode: %s}", []string{"gss", "off"}},
		{"upcall.deadline", "upcall: {deadline: %s}", []string{"5", "31s", "999ms", "-5s"}},
		{"metrics.socket", "metrics: {socket: %s}", []string{"true", "1", "/x"}},
		{"metrics.listen", "metrics: {listen: '%s'}", []string{"9799", ":9799", "localhost:9799", "127.0.0.1:0", "127.0.0.1:65536", "::1:9799x"}},
		{"metrics.textfile", "metrics: {textfile: %s}", []string{"x.prom", "./x.prom", "/etc/group", "/x.prom/"}},
		{"proxy", "proxy: %s", []string{"proxy.example:3128", "proxy.example", "ftp://proxy", "'http://'", "http://:3128", "http://proxy/path", "http://proxy?x", "http://proxy#x", "http://proxy:port", "'http://a b'"}},
		{"identities.a.kind", "identities: {a: {kind: %s}}", nil},
		{"identities.a.authority_host", "identities: {a: {kind: token, token_file: /x, authority_host: %s}}", []string{"login.example", "http://login.example", "https://u:p@login.example", "'https://login.example?x'", "'https://'", "'https://login.example/#x'"}},
		{"identities.a.resource", "identities: {a: {kind: system, resource: %s}}", []string{"storage.azure.com", "http://x"}},
		{"identities.a", "identities: {a: {client_id: %s}}", []string{"x", "system", guid + "0"}},
		{"identities.a", "identities: {a: {token_file: %s}}", []string{"x", "/", "/a/../b"}},
		{"endpoints.acct.file.core.windows.net.identity", "endpoints: {acct.file.core.windows.net: {identity: %s}}", []string{"nobody"}},
		{"endpoints.acct.file.core.windows.net.authority", "endpoints: {acct.file.core.windows.net: {authority: %s}}", []string{"http://x", "x", "'https://login.example/?'", "'https://login.example#'", "'https://:443'"}},
		{"endpoints.acct.file.core.windows.net.resource", "endpoints: {acct.file.core.windows.net: {resource: %s}}", []string{"http://x", "x"}},
		{"endpoints.a.example", "endpoints: {a.example: {canonical: %s}}", []string{"other.example", "a.example", "a_b.file.core.windows.net", "https://acct.file.core.windows.net", "file.core.windows.net"}},
	}
	always := []string{"[x]", "{x: y}", "", "~", "null", "''", "\"a\\nb\"", "\"\\u0085\"", "!!binary aGVsbG8=", "!mine x", "*anchor"}
	for _, test := range tests {
		for _, value := range append(test.wrong, always...) {
			content := "# \nunknown: &anchor system\n\n" + fmt.Sprintf(test.layout, value) + "\n"
			empty := slices.Contains([]string{"", "~", "null", "''"}, value)
			if strings.HasPrefix(test.key, "CURL_") || strings.HasPrefix(test.key, "LOG_") || test.key == "KRB5_CC_NAME" && empty {
				tolerated(t, content, "line 4: "+test.key)
				continue
			}
			refused(t, content, "line 4: "+test.key)
		}
	}
}

// tolerated is what never stops a mount: it does not count, and a check refuses it.
func tolerated(t *testing.T, content, where string) {
	t.Helper()
	c, err := readAt(write(t, content))
	if err != nil {
		t.Errorf("%v\n%s", err, content)
		return
	}
	d := defaults(c.Path)
	if c.Sets("KRB5_CC_NAME") || c.CCacheName(5) != "/tmp/krb5cc_5" || c.Log != d.Log || c.Transport.ConnectTimeout != d.Transport.ConnectTimeout || c.TotalTimeout != d.TotalTimeout {
		t.Errorf("it counts: %s", content)
	}
	err = c.Strict()
	all := strings.Join(c.Warnings, "\n")
	if !fault.Is(err, fault.ConfigInvalid) || !strings.Contains(all, where) || !strings.Contains(all, " is used") {
		t.Errorf("check: %v; warnings %s\n%s", err, all, content)
	}
}

// TestValuesThatAreNotYAML: what cannot be read of a key that only tunes stops no mount either.
func TestValuesThatAreNotYAML(t *testing.T) {
	for _, key := range []string{"LOG_DESTINATION", "LOG_FILE_PATH", "CURL_CONNECT_TIMEOUT", "CURL_TOTAL_TIMEOUT"} {
		for _, value := range []string{"@x", "%x", "`x", "[x", "{x", "'x", "*nobody", "x: y", "\"x\"y", "- x", "!x y"} {
			tolerated(t, "USER_UID: 0\n"+key+": "+value+"\nrefresh: {at: 0.5}\n", "line 2: ")
		}
	}
	c := load(t, "LOG_DESTINATION: file\nCURL_TOTAL_TIMEOUT: \"99 \r\n")
	if c.TotalTimeout != 99*time.Second || c.Log.Destination != "file" || c.Strict() == nil {
		t.Errorf("%v, %s, %q", c.TotalTimeout, c.Log.Destination, c.Warnings)
	}
}

func TestWrongMappings(t *testing.T) {
	for _, key := range []string{"ENVIRONMENT", "identities", "endpoints", "refresh", "upcall", "metrics"} {
		for _, value := range []string{"x", "5", "[a]", "[]", "''", "*anchor"} {
			refused(t, "unknown: &anchor {}\n"+key+": "+value, "line 2: "+key+": ")
		}
	}
	for _, value := range []string{"x", "5", "[a]", "*anchor"} {
		refused(t, "unknown: &anchor {}\nidentities:\n  a: "+value, "line 3: identities.a: ")
		refused(t, "unknown: &anchor {}\nendpoints:\n  acct.file.core.windows.net: "+value, "line 3: endpoints.acct.file.core.windows.net: ")
	}
	for _, entry := range []string{"'': x", "A=B: x", "A B: x", `"A\0": x`, "A: [x]", "A: {x: y}", "A: *anchor", `A: "\0"`} {
		refused(t, "unknown: &anchor x\nENVIRONMENT:\n  "+entry, "line 3: ENVIRONMENT.")
	}
	for _, name := range []string{"''", "a b", "a/b", "a,b", "a=b", "ä", strings.Repeat("a", 65), "system", "user-assigned", "token", "workload", "service-principal", "cli", "arc"} {
		refused(t, "identities:\n  "+name+": {kind: system}", "line 2: identities.")
	}
	for _, name := range []string{"acct", "a_.file.core.windows.net", "acct.file.core.windows.net:443", "https://acct.file.core.windows.net", "acct.example", "''", "a b", "//x/y", ".", "ab.file.core.windows.net", "acct.file.core.windows.net.."} {
		refused(t, "endpoints:\n  "+name+": {identity: system}", "line 2: endpoints.")
	}
}

func TestWrongWhole(t *testing.T) {
	tests := map[string]string{
		"USER_UID=0\n":                       `line 1: it must be a list of "key: value" lines`,
		"\n- USER_UID: 0\n":                  `line 2: it must be a list of "key: value" lines`,
		"USER_UID: 0\n\nUSER_UID: [0]\n":     "line 3: USER_UID: it is in line 1 already",
		"proxy: http://a\nproxy: http://a\n": "line 2: proxy: it is in line 1 already",

		"x: 1\ny: 2\nx: 3\n":                  "line 3: x: it is in line 1 already",
		"refresh:\n  at: 0.5\n  at: 0.5\n":    "line 3: refresh.at: it is in line 2 already",
		"'A': 1\nA: 2\n":                      "line 2: A: it is in line 1 already",
		"ENVIRONMENT:\n  A: x\n  A: hush\n":   "line 3: ENVIRONMENT.A: it is in line 2 already",
		"[a, b]: 1\n":                         "line 1: a key must be one word",
		"refresh:\n  ? {a: b}\n  : 1\n":       "line 2: refresh: a key must be one word",
		"USER_UID: 0\n---\nUSER_UID: 1\n":     "line 2: a second document begins here",
		"USER_UID: 0\n---\n":                  "line 2: a second document begins here",
		"USER_UID: 0\n--- [\n":                "line ",
		"refresh:\n\tat: 0.5\n":               "line 2: a tab cannot indent, use spaces",
		"USER_UID: 0\n\n \tx: 1\n":            "line 3: a tab cannot indent, use spaces",
		"refresh:\n  at: 0.5\n\t# x\n\t: y\n": "line 4: a tab cannot indent, use spaces",
		"USER_UID: 0\n\t# x\nproxy: [\n":      "line ",
		"USER_UID: \x01\n":                    "line 1: it holds a control character",
		"\n\nUSER_UID: \xff\n":                "line 3: it is not UTF-8",
		"\xff\xfeU\x00:\x00 \x001\x00":        "line 1: it ",
		"USER_UID: @x\n":                      "line 1: a value that begins with @, % or a back-quote must be in quotes",
		"\nUSER_UID: @x\n":                    "line 2: a value that begins with @, % or a back-quote must be in quotes",
		"USER_UID: [1\n":                      "line ",
		"\nUSER_UID: 0\nrefresh: {at: 0.5\n":  "line 3: a mapping that begins with { is not closed",
		"USER_UID: [1,2\n":                    "line 1: a list that begins with [ is not closed",
		"]":                                   "line 1: a value is missing before a comma, ] or }",
		"USER_UID: 0\n refresh: {}\n":         "line 2: the line is indented in another way",
		"USER_UID: *x\n":                      "a value that begins with * must be in quotes",
		"%TAG ! x\n---\nUSER_UID: 0\n":        "line 1: %TAG is not understood here",
		"USER_UID: 'x\nKRB5_CC_NAME: x\n":     "line 2: a quotation mark is not closed",
		"<<: {USER_UID: 5}\nUSER_UID: [\n":    "line ",
	}
	for content, want := range tests {
		refused(t, content, want)
	}
}

func TestEndpoints(t *testing.T) {
	c := load(t, `
identities: {backup: {client_id: `+guid+`}}
endpoints:
  ACCT.privatelink.file.core.windows.net: {identity: backup}
  files.example: {canonical: acct.file.core.windows.net, identity: backup}
  other.example: {canonical: own.cloud.example, identity: system}
  own.cloud.example: {authority: https://login.cloud.example/, resource: https://storage.cloud.example}
  self.example: {canonical: self.example., authority: https://login.example}
  acct3.file.core.windows.net: {authority: https://login.microsoftonline.us}
  acct4.file.core.windows.net: {}
  acct5.file.core.windows.net:
`)
	for host, want := range map[string]struct {
		canonical, authority, resource, identity string
	}{
		"acct.file.core.windows.net":             {"acct.file.core.windows.net", endpoint.Public.Authority, endpoint.Public.Resource, "user-assigned client_id=" + guid},
		"acct.privatelink.file.core.windows.net": {"acct.file.core.windows.net", endpoint.Public.Authority, endpoint.Public.Resource, "user-assigned client_id=" + guid},
		"Files.Example.":                         {"acct.file.core.windows.net", endpoint.Public.Authority, endpoint.Public.Resource, "user-assigned client_id=" + guid},
		"other.example":                          {"own.cloud.example", "https://login.cloud.example", "https://storage.cloud.example", "system"},
		"self.example":                           {"self.example", "https://login.example", endpoint.Public.Resource, ""},
		"acct3.file.core.windows.net":            {"acct3.file.core.windows.net", "https://login.microsoftonline.us", endpoint.Public.Resource, ""},
		"acct4.file.core.windows.net":            {"acct4.file.core.windows.net", endpoint.Public.Authority, endpoint.Public.Resource, ""},
		"acct9.file.core.chinacloudapi.cn":       {"acct9.file.core.chinacloudapi.cn", endpoint.China.Authority, endpoint.China.Resource, ""},
	} {
		e, err := c.Resolver.Resolve(host)
		if err != nil || e.Host() != want.canonical || e.Cloud().Authority != want.authority || e.Cloud().Resource != want.resource {
			t.Errorf("%s: %s %+v %v", host, e, e.Cloud(), err)
		}
		id, ok := c.IdentityFor(e.Host())
		if ok != (want.identity != "") || ok && id.String() != want.identity {
			t.Errorf("%s: identity %q, want %q", host, id, want.identity)
		}
	}
	if len(c.Warnings) != 0 {
		t.Errorf("warnings %q", c.Warnings)
	}
}

func TestEndpointsThatDisagree(t *testing.T) {
	const head = "identities: {a: {client_id: " + guid + "}, b: {client_id: " + guid2 + "}, w: {kind: quantum}}\nendpoints:\n"
	tests := map[string]string{
		"  acct.file.core.windows.net: {identity: a}\n  acct.privatelink.file.core.windows.net: {identity: b}\n":           "line 4: endpoints.acct.privatelink.file.core.windows.net: its account has another identity already",
		"  x.example: {canonical: acct.file.core.windows.net, identity: a}\n  acct.file.core.windows.net: {identity: b}\n": "line 4: endpoints.acct.file.core.windows.net: its account has another identity already",
		"  acct.file.core.windows.net: {identity: a}\n  ACCT.file.core.windows.net: {identity: a}\n":                       "line 4: endpoints.ACCT.file.core.windows.net: the same host is listed already",
		"  x.example: {canonical: y.example}\n  y.example: {canonical: acct.file.core.windows.net}\n":                      "line 3: endpoints.x.example: ",
		"  acct.file.core.windows.net: {identity: w}\n":                                                                    "line 3: endpoints.acct.file.core.windows.net.identity: w is not usable: line 1: identities.w: ",
		"  acct.file.core.windows.net: {identity: bb}\n":                                                                   "line 3: endpoints.acct.file.core.windows.net.identity: bb is not a name under identities",
		"  acct.file.core.window.net: {identity: a}\n":                                                                     "line 3: endpoints.acct.file.core.window.net: it does not end in .file.core.windows.net or another domain of Azure Files; another name of an account needs canonical:",
		"  x.example: {resource: https://storage.example}\n":                                                               "line 3: endpoints.x.example: it does not end in .file.core.windows.net",
	}
	for content, want := range tests {
		refused(t, head+content, want)
	}
	refused(t, "default_identity: bakup\nidentities: {backup: {client_id: "+guid+"}}", "line 1: default_identity: bakup is not a name under identities; did you mean backup?")
	refused(t, "default_identity: sytem", "line 1: default_identity: sytem is not a name under identities; did you mean system?")
	refused(t, "identities: {a: {client_id: "+guid+", token_file: /x}}", "line 1: identities.a: the identity is not usable: the kind token takes no client_id")
	refused(t, "identities: {a: {}}", "line 1: identities.a: its kind is missing")
	refused(t, "identities:\n  a:\n", "line 2: identities.a: its kind is missing")
	refused(t, "identities: {a: {kind: token}}", "line 1: identities.a: its token_file or its user is missing")
	refused(t, "identities: {a: {kind: cli}}", "line 1: identities.a: its token_file or its user is missing")
	refused(t, "identities: {a: {kind: user-assigned}}", "line 1: identities.a: the identity is not usable: the kind user-assigned needs client_id")
}

func TestDefaultIdentityText(t *testing.T) {
	for text, want := range map[string]string{"system": "system", "user-assigned client_id=" + strings.ToUpper(guid): "user-assigned client_id=" + guid, "token token_file=/x": "token token_file=/x"} {
		if id, ok := load(t, "default_identity: "+text).IdentityFor(""); !ok || id.String() != want {
			t.Errorf("%s: %v %v", text, id, ok)
		}
	}
}

// bombs are files of the largest size, or that stand for far larger ones.
func bombs() map[string]string {
	fill := func(s string) string { return strings.Repeat(s, MaxSize/len(s)) }
	var laughs, aliases, hosts, names, tags, indent strings.Builder
	laughs.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x]\n")
	for i := range 60 {
		fmt.Fprintf(&laughs, "a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 9), ","))
	}
	aliases.WriteString("x: &x {" + strings.Repeat("a: b, ", 1) + "}\nidentities:\n")
	hosts.WriteString("endpoints:\n")
	names.WriteString("identities:\n")
	for i := 0; aliases.Len() < MaxSize-100; i++ {
		fmt.Fprintf(&aliases, "  a%d: *x\n", i)
	}
	for i := 0; hosts.Len() < MaxSize-100; i++ {
		fmt.Fprintf(&hosts, "  h%d.example: {canonical: a%d.example}\n  a%[1]d.example: {authority: 'https://x'}\n", i, i)
	}
	for i := 0; names.Len() < MaxSize-100; i++ {
		fmt.Fprintf(&names, "  n%d: {kind: system}\n", i)
	}
	for i := 0; tags.Len() < MaxSize-100; i++ {
		fmt.Fprintf(&tags, "%%TAG !%d! a\n", i)
	}
	for i := 0; indent.Len() < MaxSize-2000; i++ {
		indent.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return map[string]string{
		"laughs": laughs.String(), "aliases": aliases.String(), "hosts": hosts.String(), "names": names.String(), "tags": tags.String(),
		"indent": indent.String(), "lists": fill("["), "mappings": fill("{a: "), "dashes": fill("- "), "questions": fill("? "),
		"documents": fill("---\n"), "anchors": fill("- &a x\n"), "keys": fill("a: b\n"), "comments": fill("- #\n"), "words": fill("x "),
		"flow keys": "{" + fill("a,")[2:], "quotes": "a: \"" + fill("\\\n")[8:], "spaces": fill(" "), "lines": fill("\n"),
		"self": "identities: &x {a: *x}", "endless key": "? " + fill("k")[8:] + "\n: x",
	}
}

func TestBombs(t *testing.T) {
	for name, content := range bombs() {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			c, err := readAt(write(t, content))
			if err == nil && len(c.Warnings) > maxWarnings+1 {
				t.Errorf("%d warnings", len(c.Warnings))
			}
			if err != nil && !fault.Is(err, fault.ConfigInvalid) {
				t.Error(err)
			}
			// The slowest takes a second; what explodes takes for ever.
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %v", took)
			}
		})
	}
}

func FuzzConfig(f *testing.F) {
	f.Fuzz(func(t *testing.T, content string) {
		if len(content) > 4096 {
			return
		}
		p := &parser{Config: defaults("x"), byName: map[string]*account{}, file: "x"}
		c := p.Config
		p.parse([]byte(content))
		p.finish(host.Host{})
		if len(p.mistakes) > 0 {
			err := error(&p.mistakes[0])
			if e := c.invalid(err).Error(); len(e) > fault.MaxLine || !strings.Contains(e, "; fix: ") {
				t.Fatal(e)
			}
			return
		}
		if uid := c.CredentialUID; uid < 0 || int64(uid) > 4294967294 {
			t.Fatalf("uid %d", uid)
		}
		if c.Transport.ConnectTimeout <= 0 || c.TotalTimeout <= 0 || c.Upcall.Deadline <= 0 || c.Refresh.Concurrency < 1 || !(c.Refresh.At > 0 && c.Refresh.At < 1) {
			t.Fatalf("got %+v", c)
		}
		if name := c.CCacheName(5); !strings.HasPrefix(name, "/") && !strings.Contains(name, ":") || strings.HasPrefix(name, "/") && strings.Contains(name, uidToken) {
			t.Fatalf("cache %q", name)
		}
		for host := range c.Resolver.Custom {
			if e, err := c.Resolver.Resolve(host); err != nil || e.IsZero() || e.Cloud().Authority == "" {
				t.Fatalf("%q: %v", host, err)
			}
		}
		for name, e := range c.identities {
			if e.err == nil && e.identity.Validate() != nil {
				t.Fatalf("%q: %v", name, e.identity.Validate())
			}
		}
		for host, id := range c.owners {
			if e, err := c.Resolver.Resolve(host); err != nil || e.Host() != host || id.Validate() != nil {
				t.Fatalf("%q: %v", host, err)
			}
		}
	})
}
