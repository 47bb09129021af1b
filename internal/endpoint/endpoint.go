// Package endpoint knows the names of Azure Files storage accounts.
//
// An Endpoint is one storage account's file service. Its canonical host is its identity everywhere
// else in the program: the host of the ticket exchange, of the service principal and of the lock.
// The host as the user typed it is kept beside it, because the kernel and a stock cifs.upcall look
// for a ticket under that name.
//
// Invariants: every host in an Endpoint is lower case, without port and without trailing dot; an
// Endpoint exists only for a host of a known cloud or one that a Resolver was told of, so that a
// bearer token can never be sent anywhere else. The package is pure and imports nothing of ours.
package endpoint

import (
	"fmt"
	"net/netip"
	"strings"
)

// Cloud is an Azure cloud, as far as tokens are concerned.
type Cloud struct {
	Name      string
	Authority string // where Entra issues tokens, without a trailing slash
	Resource  string // the audience of a storage token, without a trailing slash
}

// The clouds that a host's suffix tells.
var (
	Public       = Cloud{"AzurePublic", "https://login.microsoftonline.com", storageResource}
	USGovernment = Cloud{"AzureGovernment", "https://login.microsoftonline.us", storageResource}
	China        = Cloud{"AzureChina", "https://login.chinacloudapi.cn", storageResource}
	USNat        = Cloud{"USNat", "https://login.microsoftonline.eaglex.ic.gov", storageResource}    // air-gapped
	USSec        = Cloud{"USSec", "https://login.microsoftonline.microsoft.scloud", storageResource} // air-gapped
)

const storageResource = "https://storage.azure.com"

// suffixes of the clouds; a host is <account>[.privatelink].<suffix>.
var suffixes = []struct {
	suffix string
	cloud  Cloud
}{
	{"file.core.windows.net", Public},
	{"file.preprod.core.windows.net", Public},
	{"file.core.usgovcloudapi.net", USGovernment},
	{"file.core.chinacloudapi.cn", China},
	{"file.core.eaglex.ic.gov", USNat},
	{"file.core.microsoft.scloud", USSec},
}

// ways are the endings of an account's further names, by which it is reached in another way (Azure Resource
// Manager: primaryEndpoints.microsoftEndpoints, internetEndpoints and ipv6Endpoints, and -dualstack as Azure's own libraries
// for storage take it). They name the same service.
var ways = []string{"-microsoftrouting", "-internetrouting", "-ipv6", "-dualstack"}

// secondary is the ending of the read-only copy of a geo-redundant account.
const secondary = "-secondary"

// zoneSuffix is that of accounts with a DNS zone of their own: <account>[.privatelink].z<number>.<zoneSuffix>.
const zoneSuffix = ".file.storage.azure.net"

// Domains are those beneath which all accounts are.
func Domains() []string {
	all := []string{zoneSuffix[1:]}
	for _, s := range suffixes {
		all = append(all, s.suffix)
	}
	return all
}

const privatelink = ".privatelink"

// maxHost is the longest host name of the DNS, in bytes (RFC 1035, 2.3.4).
const maxHost = 253

// Endpoint is one storage account's file service. The zero Endpoint is none; Resolve makes the others.
type Endpoint struct {
	canonical, typed string
	cloud            Cloud
}

// Host is the canonical host, such as acct.file.core.windows.net.
func (e Endpoint) Host() string { return e.canonical }

// Alias is the host as the user typed it when that is another name than Host, else "".
func (e Endpoint) Alias() string {
	if e.typed == e.canonical {
		return ""
	}
	return e.typed
}

// PrivateLink is the host by which the account is reached over a private endpoint, "" where that is not known.
func (e Endpoint) PrivateLink() string {
	account, domain, _ := strings.Cut(e.canonical, ".")
	name := account + privatelink + "." + domain
	if known, err := wellKnown(name); err != nil || known.canonical != e.canonical {
		return ""
	}
	return name
}

// Cloud tells where tokens for the endpoint come from and what they are for.
func (e Endpoint) Cloud() Cloud { return e.cloud }

// Account is the storage account's name: the first label of the host, without -secondary.
func (e Endpoint) Account() string {
	label, _, _ := strings.Cut(e.canonical, ".")
	return strings.TrimSuffix(label, secondary)
}

// SPN is the service principal's name without its realm, such as cifs/acct.file.core.windows.net.
func (e Endpoint) SPN() string { return "cifs/" + e.canonical }

// String is the canonical host.
func (e Endpoint) String() string { return e.canonical }

// IsZero reports whether e is none.
func (e Endpoint) IsZero() bool { return e.canonical == "" }

// Error says why a text names no endpoint.
type Error struct {
	Host    string // as it was given
	Problem string // half a sentence
}

func (e *Error) Error() string { return fmt.Sprintf("%q: %s", e.Host, e.Problem) }

// Custom is what root's configuration says of a host.
type Custom struct {
	Canonical string // the account's own host; "" when the host is canonical itself
	Authority string // both empty: those of the canonical host's cloud
	Resource  string
}

// Resolver turns hosts into endpoints. The zero Resolver knows the public clouds.
type Resolver struct {
	// Custom has the hosts that the configuration adds, by lower-case name: other names of
	// accounts (a CNAME of one's own) and hosts of clouds that are not in the list.
	Custom map[string]Custom
}

// Resolve finds the endpoint that a host names. A trailing dot and the port 443 are accepted.
// Its errors are of type *Error.
func (r Resolver) Resolve(host string) (Endpoint, error) {
	name, problem := clean(host)
	if problem != "" {
		return Endpoint{}, &Error{host, problem}
	}
	e, err := r.lookup(name)
	if err != nil {
		return Endpoint{}, &Error{host, err.Error()}
	}
	return e, nil
}

// clean folds a host to the form in which endpoints are compared.
func clean(host string) (name, problem string) {
	name = strings.ToLower(host)
	if strings.Contains(name, "@") {
		return "", "user names are not supported here"
	}
	if strings.ContainsAny(name, "/\\?#") {
		return "", "it must be a host name without a path"
	}
	if strings.Contains(name, "://") {
		return "", "it must be a host name without a scheme"
	}
	if isAddress(name) || isAddress(strings.TrimSuffix(name, ":443")) {
		return "", "an address does not name the account, which certificate and ticket need: write the account's name, and its address into the DNS or /etc/hosts"
	}
	name = strings.TrimSuffix(strings.TrimSuffix(name, ":443"), ".")
	if strings.Contains(name, ":") {
		return "", "leave the port out: tickets are asked for at 443 and shares are at 445"
	}
	if name == "" {
		return "", "the host is missing"
	}
	if len(name) > maxHost {
		return "", "it is too long for a host name"
	}
	for label := range strings.SplitSeq(name, ".") {
		if !isLabel(label) {
			return "", "it is not a host name"
		}
	}
	return name, ""
}

// isAddress reports whether s is an IP address, in brackets or not.
func isAddress(s string) bool {
	_, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return err == nil
}

func (r Resolver) lookup(name string) (Endpoint, error) {
	custom, ok := r.Custom[name]
	if !ok {
		return wellKnown(name)
	}
	e := Endpoint{canonical: name, typed: name}
	if custom.isAlias(name) {
		target, err := r.canonical(custom.Canonical)
		if err != nil {
			return Endpoint{}, err
		}
		e.canonical, e.cloud = target.canonical, target.cloud
	} else if known, err := wellKnown(name); err == nil {
		e = known
	}
	if custom.Authority != "" {
		e.cloud.Name, e.cloud.Authority = "custom", strings.TrimRight(custom.Authority, "/")
	}
	if custom.Resource != "" {
		e.cloud.Name, e.cloud.Resource = "custom", strings.TrimRight(custom.Resource, "/")
	}
	if e.cloud.Resource == "" { // a cloud of its own still asks for storage tokens by the usual name
		e.cloud.Resource = storageResource
	}
	return e, nil
}

// isAlias reports whether c, the entry of name, says that name stands for another host.
func (c Custom) isAlias(name string) bool { return c.Canonical != "" && c.Canonical != name }

// canonical resolves the host that an alias names. An alias of an alias is not followed.
func (r Resolver) canonical(host string) (Endpoint, error) {
	name, problem := clean(host)
	if problem != "" {
		return Endpoint{}, &Error{host, problem}
	}
	if r.Custom[name].isAlias(name) {
		return Endpoint{}, &Error{host, "it is itself another name of an account"}
	}
	return r.lookup(name)
}

// wellKnown finds the endpoint of a host of the clouds in the list.
func wellKnown(name string) (Endpoint, error) {
	for _, s := range suffixes {
		if head, ok := strings.CutSuffix(name, "."+s.suffix); ok {
			return build(name, head, s.suffix, s.cloud)
		}
	}
	if head, ok := strings.CutSuffix(name, zoneSuffix); ok {
		if !strings.Contains(strings.TrimSuffix(head, privatelink), ".") {
			return build(name, head, zoneSuffix[1:], Public)
		}
		dot := strings.LastIndexByte(head, '.')
		if dot < 0 || !isZone(head[dot+1:]) {
			return Endpoint{}, fmt.Errorf("the DNS zone is missing: write <account>.z<number>%s", zoneSuffix)
		}
		return build(name, head[:dot], head[dot+1:]+zoneSuffix, Public)
	}
	return Endpoint{}, fmt.Errorf("it does not end in .file.core.windows.net or another domain of Azure Files")
}

// build makes the endpoint of <account>[.privatelink] in a domain.
func build(typed, head, domain string, cloud Cloud) (Endpoint, error) {
	account, isCopy := strings.CutSuffix(withoutWays(strings.TrimSuffix(head, privatelink)), secondary)
	account = withoutWays(account)
	if isCopy {
		account += secondary
	}
	if !IsAccount(account) {
		return Endpoint{}, fmt.Errorf("%q is not the name of a storage account", account)
	}
	return Endpoint{canonical: account + "." + domain, typed: typed, cloud: cloud}, nil
}

// withoutWays is the name of an account without the endings of ways.
func withoutWays(account string) string {
	for again := true; again; {
		again = false
		for _, way := range ways {
			plain, ok := strings.CutSuffix(account, way)
			account, again = plain, again || ok
		}
	}
	return account
}

// IsAccount reports whether s can name a storage account: 3 to 24 lower-case letters and digits. The
// read-only copy of a geo-redundant account has the suffix -secondary and a service principal of its own.
func IsAccount(s string) bool {
	s = strings.TrimSuffix(s, secondary)
	return len(s) >= 3 && len(s) <= 24 && strings.Trim(s, lowerAlnum) == ""
}

// HostOfAccount completes the bare name of an account: to the first of the hosts that are known which is its own, or
// else to the one in the public cloud.
func HostOfAccount(account string, known []string) string {
	for _, host := range known {
		if strings.HasPrefix(host, account+".") {
			return host
		}
	}
	return account + ".file.core.windows.net"
}

// isZone reports whether s is the label of a DNS zone, z and a number of up to three digits.
func isZone(s string) bool {
	number, ok := strings.CutPrefix(s, "z")
	return ok && len(number) >= 1 && len(number) <= 3 && strings.Trim(number, "0123456789") == ""
}

// isLabel reports whether s is a label of a host name (RFC 1123, 2.1).
func isLabel(s string) bool {
	return len(s) >= 1 && len(s) <= 63 && s[0] != '-' && s[len(s)-1] != '-' && strings.Trim(s, lowerAlnum+"-") == ""
}

const lowerAlnum = "abcdefghijklmnopqrstuvwxyz0123456789"
