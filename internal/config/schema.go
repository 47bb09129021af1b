package config

import (
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/azfilesauth/azfilesauth/internal/log"
)

// Key is one key of the configuration. Parsing, "config show", "config check", what a bundle may show and
// the manual come from the table of them.
type Key struct {
	Path    string   // the way to it, such as refresh.at; * stands for a name that the user invents
	Kind    string   // what its value is, in one word of the manual; "" is a mapping
	Words   []string // the values, where there are no others
	Bounds  string   // of the value, such as "1 to 64"; "" is none
	Default string   // as it would stand in the file; "" is none
	Secret  bool     // its value can hold a secret, and is shown without it
	AtStart bool     // azfilesauth-watch reads it when it starts, and no more at SIGHUP
	Doc     string   // sentences for the manual, with `literals`, /paths and pages(8)

	lenient  bool // a bad value is a warning and does not count: it never stops a mount
	optional bool // an empty value is a warning, and as if the line were not there

	form  func(*yaml.Node) (string, error)             // the text of its value; nil is plain
	take  func(p *parser, text string) error           // puts the value in its place
	show  func(p *parser) string                       // the value in its place, fit to be shown
	enter func(p *parser, name string, at place) error // begins the entry of an invented name
}

// Schema is the table, in the order of the manual and of "config show".
var Schema = sync.OnceValue(func() []Key {
	return append(append(upstreamKeys(), ownKeys()...), inventedKeys()...)
})

// upstreamKeys are those of azfilesauthmanager.
func upstreamKeys() []Key {
	ccache := row("KRB5_CC_NAME", cacheName, "", func(p *parser) *string { return &p.ccache },
		"The credential cache, a file; `%{uid}` stands for the credential uid. The default is /tmp/krb5cc_%{uid} ; "+
			"the packages' layer has /run/azfilesauth/krb5cc_%{uid} . A path without `%{uid}` serves `USER_UID` ; "+
			"other uids use /run/azfilesauth/krb5cc_%{uid} .")
	ccache.show = func(p *parser) string { return p.CCacheName(p.CredentialUID) }
	user := row("USER_UID", uid, "", func(p *parser) *int { return &p.CredentialUID },
		"The credential uid: whose credential cache holds the tickets. If it is not set in /etc/azfilesauth , the cache belongs to the system user "+
			"`azfilesuser` if that user exists, otherwise to the uid that the packages' layer sets, otherwise to root; azfilesauthmanager(8) and "+
			"azfilesauth-setup(8) create that user if no layer sets a uid. "+
			"The word `local` means the user who called sudo(8), each with a separate cache, /tmp/krb5cc_%{uid} , whatever `KRB5_CC_NAME` says.")
	number := user.take
	user.take = func(p *parser, text string) error {
		p.Local = strings.EqualFold(text, localUser)
		return number(p, text)
	}
	destination := row("LOG_DESTINATION", oneOf("syslog", "file", "journal"), "syslog", func(p *parser) *string { return &p.Log.Destination },
		"Where azfilesauthmanager(8) logs what it did.")
	file := row("LOG_FILE_PATH", filePath, "/var/log/azfilesauth.log", func(p *parser) *string { return &p.Log.Path },
		"The file of the destination `file` .")
	format := row("LOG_FORMAT", oneOf(log.Text, log.JSON), log.Text, func(p *parser) *string { return &p.Log.Format },
		"The form of log files and of the standard error of the daemon; `json` is one object a line. The journal has fields in either case.")
	level := row("LOG_LEVEL", logLevel, "info", func(p *parser) *slog.Level { return &p.Log.Level },
		"The least severe records that are logged.")
	destination.AtStart, file.AtStart, format.AtStart, level.AtStart = true, true, true, true
	connect := row("CURL_CONNECT_TIMEOUT", seconds(1, 3600), "10", func(p *parser) *time.Duration { return &p.Transport.ConnectTimeout },
		"The bound on a connection.")
	total := row("CURL_TOTAL_TIMEOUT", seconds(1, 3600), "30", func(p *parser) *time.Duration { return &p.TotalTimeout },
		"The bound on a request.")
	ccache.optional = true
	keys := []Key{user, ccache, destination, file, format, level, connect, total}
	for i := range keys[2:] {
		keys[2+i].lenient = true
	}
	return keys
}

// ownKeys are ours, but for those with invented names.
func ownKeys() []Key {
	fallback := row("default_identity", identityText, "", func(p *parser) *string { return &p.fallbackText },
		"Who logs in where neither the mount nor `endpoints` names an identity: the name of an entry of `identities` , or a kind that "+
			"needs no other key, such as `system` . Where it is not set, mount.azfiles(8) and azfilesauth(8) use `system` ; a mount of "+
			"type cifs, whose ticket and user name tell no identity, then has none.")
	fallback.show = func(p *parser) string { return p.defaultIdentity("").String() }
	proxy := row("proxy", proxyURL, "", func(p *parser) **url.URL { return &p.Transport.Proxy },
		"An HTTP proxy for Entra and the storage accounts. The machine's identity service is never asked through a proxy.")
	proxy.Secret = true
	except := row("no_proxy", exceptions, "", func(p *parser) *string { return &p.Transport.NoProxy },
		"What is reached without the proxy, as an account with a private endpoint: a list, or one text with commas. "+
			"`example.com` is that host and all below it, `.example.com` only those below, `*` everything; "+
			"an address or a CIDR block such as `10.0.0.0/8` counts for hosts that are written as addresses, not for what a name resolves to. "+
			"It replaces `NO_PROXY` under `ENVIRONMENT` .")
	except.form = joinList
	listen := row("metrics.listen", address, "", func(p *parser) *string { return &p.Metrics.Listen },
		"An address and a port, such as `127.0.0.1:9799` , where azfilesauth-watch(8) answers /metrics over HTTP, and nothing else. "+
			"Anyone who can reach it can read them: they name accounts and faults, and contain no secret.")
	listen.AtStart = true
	options := row("mount_options", mountOptions, "", func(p *parser) *string { return &p.mountOptions },
		"The site's own default options for mount.cifs(8), a list or one text with commas. They are added to those of the program. "+
			"Of two options for the same setting, the one on the line of fstab(5) counts, else the one here. `azfiles_defaults=none` "+
			"here leaves out those of the program; on a line it leaves out these, too. `azfilesauth explain options` shows the result.")
	options.form = joinList
	return []Key{
		fallback,
		options,
		{Path: "refresh", Doc: "When azfilesauth-watch(8) replaces a ticket:"},
		row("refresh.at", share(0.05, 0.95), "0.6", func(p *parser) *float64 { return &p.Refresh.At },
			"The fraction of its lifetime after which it is due."),
		row("refresh.before_expiry", duration(time.Second, 24*time.Hour), "5m", func(p *parser) *time.Duration { return &p.Refresh.BeforeExpiry },
			"The latest moment before it expires."),
		row("refresh.jitter", share(0, 0.5), "10%", func(p *parser) *float64 { return &p.Refresh.Jitter },
			"The fraction of its lifetime over which machines and endpoints spread."),
		row("refresh.concurrency", number(1, 64), "8", func(p *parser) *int { return &p.Refresh.Concurrency },
			"How many tickets are fetched at once."),
		{Path: "upcall", Doc: "How azfiles.upcall(8) answers the kernel:"},
		row("upcall.mode", oneOf("native", "cifs"), "native", func(p *parser) *string { return &p.Upcall.Mode },
			"Who makes the answer: the program itself, or cifs.upcall(8)."),
		row("upcall.deadline", duration(time.Second, 30*time.Second), "5s", func(p *parser) *time.Duration { return &p.Upcall.Deadline },
			"The bound on one answer."),
		{Path: "metrics", Doc: "Counters for Prometheus, which are off by default:"},
		row("metrics.socket", boolOf("on", "off"), "off", func(p *parser) *bool { return &p.Metrics.Socket },
			"Whether azfilesauth-watch(8) answers /metrics on its socket."),
		row("metrics.textfile", metricsFile, "", func(p *parser) *string { return &p.Metrics.Textfile },
			"A file, whose name ends in `.prom` , for the textfile collector of node_exporter."),
		listen,
		proxy,
		except,
		row("token_cache", boolOf("keyring", "off"), "keyring", func(p *parser) *bool { return &p.KeepTokens },
			"Whether access tokens are kept in root's kernel keyring until they expire."),
	}
}

// inventedKeys are those beneath names that the user invents. The ones of an identity are also its parts
// in the text form of identities, in this order.
func inventedKeys() []Key {
	id := func(key string, k kind[string], place func(*Choice) *string, doc string) Key {
		return row("identities.*."+key, k, "", func(p *parser) *string { return place(p.choice) }, doc)
	}
	of := func(key string, k kind[string], place func(*account) *string, doc string) Key {
		return row("endpoints.*."+key, k, "", func(p *parser) *string { return place(p.account) }, doc)
	}
	perAccount := of("mount_options", mountOptions, func(h *account) *string { return &h.options },
		"Default options for its mounts, which count before those of `mount_options` for all.")
	perAccount.form = joinList
	return []Key{
		{Path: "identities", Doc: "A mapping from names to identities, see IDENTITIES. A name has at most 64 letters, digits, dots, hyphens and underscores."},
		{Path: "identities.*", enter: (*parser).enterIdentity},
		id("kind", text("kind"), func(ch *Choice) *string { return &ch.Name }, "One of the above."),
		id("client_id", text("guid"), func(ch *Choice) *string { return &ch.ClientID }, "The client id of a managed identity or of an application."),
		id("object_id", text("guid"), func(ch *Choice) *string { return &ch.ObjectID }, "A managed identity by the id of its principal."),
		id("resource_id", text("id"), func(ch *Choice) *string { return &ch.ResourceID }, "A managed identity by its Azure resource id."),
		id("tenant_id", text("tenant"), func(ch *Choice) *string { return &ch.TenantID }, "The tenant of an application, a GUID or the name of a domain."),
		id("token_file", text("path"), func(ch *Choice) *string { return &ch.TokenFile }, "The file with the federated token of a workload identity, or with the access token itself."),
		id("secret_file", text("path"), func(ch *Choice) *string { return &ch.SecretFile }, "The file with the secret of an application."),
		id("certificate_file", text("path"), func(ch *Choice) *string { return &ch.CertificateFile }, "The file with the certificate of an application and its key."),
		id("user", text("name"), func(ch *Choice) *string { return &ch.User }, "Who has logged in with the Azure CLI."),
		id("authority_host", httpsURL, func(ch *Choice) *string { return &ch.Authority },
			"For an application: where Entra issues tokens, when that is not what the cloud of the account's host has. "+
				"To name an authority here, or under `endpoints` , allows credentials to be sent there."),
		id("resource", httpsURL, func(ch *Choice) *string { return &ch.Resource }, "What the token is for, when that is not `https://storage.azure.com` ."),

		{Path: "endpoints", Doc: "A mapping from hosts to"},
		{Path: "endpoints.*", enter: (*parser).enterHost},
		of("identity", identityText, func(h *account) *string { return &h.identity }, "Who logs in there, as in `default_identity` ."),
		perAccount,
		of("canonical", hostName, func(h *account) *string { return &h.custom.Canonical }, "The account's own host, when this is another name of it."),
		of("authority", httpsURL, func(h *account) *string { return &h.custom.Authority }, "Where tokens come from, in a cloud that is not known."),
		of("resource", httpsURL, func(h *account) *string { return &h.custom.Resource }, "What tokens are for, in a cloud that is not known."),

		{Path: "ENVIRONMENT", Doc: "A mapping of the variables by which the services of managed identities are known elsewhere than on a virtual machine, such as `IDENTITY_ENDPOINT` , and of `HTTPS_PROXY` , `NO_PROXY` and `AZURE_AUTHORITY_HOST` . The environment itself is ignored, except for the proxy of azfilesauthmanager(8)."},
		{
			Path: "ENVIRONMENT.*", Kind: "text", Secret: true, form: anyScalar, enter: (*parser).enterVariable,
			take: func(p *parser, text string) error { p.Environment[p.variable] = text; return nil },
		},
	}
}

// row makes the row of a key whose value has a place. It is its default until a file says otherwise.
func row[T any](way string, k kind[T], byDefault string, place func(*parser) *T, doc string) Key {
	return Key{
		Path: way, Kind: k.name, Words: k.words, Bounds: k.bounds, Default: byDefault, Doc: doc,
		take: func(p *parser, text string) error {
			value, err := k.read(text)
			if err == nil {
				*place(p) = value
			}
			return err
		},
		show: func(p *parser) string { return k.show(*place(p)) },
	}
}

// index finds rows by their paths.
var index = sync.OnceValue(func() map[string]*Key {
	all := map[string]*Key{}
	for i := range Schema() {
		all[Schema()[i].Path] = &Schema()[i]
	}
	return all
})

// Find gives the row of a key in the mapping with that path, "" for the whole file, or nil.
func Find(mapping, key string) *Key {
	if !strings.ContainsAny(key, ".*") {
		if k := index()[strings.TrimPrefix(mapping+"."+key, ".")]; k != nil {
			return k
		}
	}
	return index()[strings.TrimPrefix(mapping+".*", ".")]
}

// keysOf are the last words of the rows beneath a mapping.
func keysOf(mapping string) []string {
	var keys []string
	for _, k := range Schema() {
		if dot := strings.LastIndex("."+k.Path, "."); strings.TrimSuffix(k.Path[:dot], ".") == mapping {
			keys = append(keys, k.Path[dot:])
		}
	}
	return keys
}
