package azurefake

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// publicClouds are the hosts of Entra's authorities, a line for each cloud. All hosts of a cloud are
// names of the same authority, the first is the one that it calls itself in issuers.
var publicClouds = [][]string{
	{"login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"},
	{"login.microsoftonline.us", "login.usgovcloudapi.net"},
	{"login.partner.microsoftonline.cn", "login.chinacloudapi.cn"},
}

// cloudsOf maps every authority's host to the first host of its cloud. An additional authority is a
// cloud of its own.
func cloudsOf(authorities []string) (map[string]string, error) {
	clouds := make(map[string]string)
	for _, hosts := range publicClouds {
		for _, host := range hosts {
			clouds[host] = hosts[0]
		}
	}
	for _, host := range authorities {
		if host == "" || strings.ContainsAny(host, "/: ") {
			return nil, fmt.Errorf("azurefake: authority %q is no host name", host)
		}
		host = strings.ToLower(host)
		clouds[host] = cmp.Or(clouds[host], host)
	}
	return clouds, nil
}

// serveTLS answers for whom a request is: an authority, or else a storage account.
func (f *Fake) serveTLS(w http.ResponseWriter, r *http.Request) {
	if f.clouds[hostOf(r)] != "" {
		f.serveEntra(w, r)
		return
	}
	f.serveStorage(w, r)
}

func (f *Fake) serveEntra(w http.ResponseWriter, r *http.Request) {
	tenant, operation, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if operation == "oauth2/v2.0/token" && tenant != "" {
		f.serveToken(w, r, tenant)
		return
	}
	answer := f.log.enter(w, r, Request{Time: f.now(), Target: TargetEntra})
	f.obey(answer, r, Order{}, nil) // the Date
	discovery := tenant == "common" && operation == "discovery/instance"
	configuration := tenant != "" && operation == "v2.0/.well-known/openid-configuration"
	switch {
	case !discovery && !configuration:
		f.entraFailure(r)(answer, http.StatusNotFound, "invalid_request", "Not found.")
	case r.Method != http.MethodGet:
		f.entraFailure(r)(answer, http.StatusMethodNotAllowed, "invalid_request", "Method not allowed.")
	case discovery:
		f.sendInstances(answer, r)
	default:
		f.sendConfiguration(answer, r, tenant)
	}
}

// instance is a cloud in the answer of an instance discovery.
type instance struct {
	PreferredNetwork string   `json:"preferred_network"`
	PreferredCache   string   `json:"preferred_cache"`
	Aliases          []string `json:"aliases"`
}

// sendInstances answers whether a host is an authority's. As in truth, the public authorities know
// nothing of an additional one, for which a client must not ask them.
func (f *Fake) sendInstances(w http.ResponseWriter, r *http.Request) {
	asked, err := url.Parse(r.URL.Query().Get("authorization_endpoint"))
	if err != nil {
		asked = new(url.URL)
	}
	host := strings.ToLower(asked.Hostname())
	known := host == hostOf(r)
	var list []instance
	for _, hosts := range publicClouds {
		known = known || slices.Contains(hosts, host)
		list = append(list, instance{hosts[0], hosts[0], hosts})
	}
	if !known {
		f.refuse(w, r, refusal{50049, "Unknown or invalid instance."})
		return
	}
	tenant, _, _ := strings.Cut(strings.TrimPrefix(asked.Path, "/"), "/")
	sendObject(w, http.StatusOK, struct {
		Endpoint string     `json:"tenant_discovery_endpoint"`
		Version  string     `json:"api-version"`
		Metadata []instance `json:"metadata"`
	}{"https://" + host + "/" + tenant + "/v2.0/.well-known/openid-configuration", "1.1", list})
}

// sendConfiguration sends what OpenID Connect Discovery 1.0, 4.2 calls the provider configuration,
// as far as token requests need it.
func (f *Fake) sendConfiguration(w http.ResponseWriter, r *http.Request, tenant string) {
	cloud := f.clouds[hostOf(r)]
	if !f.apps.hasTenant(cloud, tenant) {
		f.refuse(w, r, unknownTenant(tenant))
		return
	}
	base := "https://" + hostOf(r) + "/" + tenant
	sendObject(w, http.StatusOK, struct {
		Token         string   `json:"token_endpoint"`
		Methods       []string `json:"token_endpoint_auth_methods_supported"`
		Authorization string   `json:"authorization_endpoint"`
		Issuer        string   `json:"issuer"`
	}{base + "/oauth2/v2.0/token", []string{"client_secret_post", "private_key_jwt"}, base + "/oauth2/v2.0/authorize", issuerOf(cloud, tenant)})
}

func issuerOf(cloud, tenant string) string { return "https://" + cloud + "/" + tenant + "/v2.0" }

// sendObject sends a value of texts and lists, which always is JSON.
func sendObject(w http.ResponseWriter, status int, v any) {
	body, _ := json.Marshal(v)
	send(w, status, "application/json; charset=utf-8", string(body))
}
