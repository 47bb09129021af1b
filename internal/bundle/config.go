package bundle

import (
	"context"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// known says, by the way to a key in the configuration, which values may be shown. A * stands for a
// name that the user invents. What is not here is REDACTED.
func known() map[string]form {
	id, file, place := matches(guid), matches(filePath), matches(webPlace)
	forms := map[string]form{
		"USER_UID": either(matches(number), among("local")), "KRB5_CC_NAME": file,
		"LOG_DESTINATION": among("syslog", "file", "journal"), "LOG_FILE_PATH": file,
		"CURL_CONNECT_TIMEOUT": matches(number), "CURL_TOTAL_TIMEOUT": matches(number),
		"token_cache": among("keyring", "off"),
		"refresh.*":   matches(number), "upcall.mode": among("native", "cifs"), "upcall.deadline": matches(number),
		"metrics.socket": among("on", "off"), "metrics.textfile": file,
		"identities.*.kind": kinds, "identities.*.client_id": either(id, among("system")), "identities.*.object_id": id,
		"identities.*.resource_id": func(v string) bool { return resource().MatchString(v) }, "identities.*.tenant_id": either(id, matches(domain)),
		"identities.*.token_file": file, "identities.*.secret_file": file, "identities.*.certificate_file": file,
		"identities.*.user": matches(account), "identities.*.authority_host": place, "identities.*.resource": place,
		"endpoints.*.canonical": matches(domain), "endpoints.*.authority": place, "endpoints.*.resource": place,
	}
	for _, name := range []string{"AZURE_AUTHORITY_HOST", "MSI_ENDPOINT", "IDENTITY_ENDPOINT", "IMDS_ENDPOINT"} {
		forms["ENVIRONMENT."+name] = place
	}
	for _, name := range []string{"AZURE_CLIENT_ID", "AZURE_TENANT_ID"} {
		forms["ENVIRONMENT."+name] = id
	}
	forms["ENVIRONMENT.AZURE_FEDERATED_TOKEN_FILE"] = file
	return forms
}

// configuration writes the file anew, a value a line, without comments: they hold old passwords.
func configuration(_ context.Context, m *machine) (string, error) {
	path := m.Host.Config
	content, err := m.ReadFile(path)
	if err != nil {
		return "", err
	}
	m.secrets.learn(string(content))
	c := shownConfig{machine: m, forms: known()}
	var doc yaml.Node
	if err := yaml.Unmarshal(content, &doc); err != nil {
		c.line(0, "the file is no YAML, and is left out")
	}
	c.names(&doc)
	c.walk(&doc, nil, nil)
	for _, warning := range m.Config.Warnings() {
		c.line(0, "warning: "+warning)
	}
	if m.ConfigErr != nil {
		c.line(0, m.ConfigErr.Error())
	}
	return c.out.String(), nil
}

// shownConfig is the configuration as it is shown.
type shownConfig struct {
	*machine
	forms     map[string]form
	usernames []string // of identities
	out       strings.Builder
}

func (c *shownConfig) line(n int, text string) {
	if n > 0 {
		text = fmt.Sprintf("%s  # line %d", text, n)
	}
	c.out.WriteString(text + "\n")
}

// names are those of identities, which may stand where an identity is named.
func (c *shownConfig) names(doc *yaml.Node) {
	if len(doc.Content) != 1 {
		return
	}
	top := doc.Content[0].Content
	for i := 0; i+1 < len(top); i += 2 {
		if top[i].Value != "identities" {
			continue
		}
		for j := 0; j+1 < len(top[i+1].Content); j += 2 {
			c.usernames = append(c.usernames, strings.ToLower(top[i+1].Content[j].Value))
		}
	}
}

var invented = lazily(`^[A-Za-z0-9_.-]{1,80}$`)

// walk writes what is beneath a node. Way is the keys that lead there, pattern the same with * for
// those that the user invents.
func (c *shownConfig) walk(n *yaml.Node, way, pattern []string) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i].Value
			shown, star := c.key(name, pattern)
			c.walk(n.Content[i+1], append(way[:len(way):len(way)], shown), append(pattern[:len(pattern):len(pattern)], star))
		}
	case yaml.ScalarNode:
		c.line(n.Line, strings.Join(way, ".")+": "+c.value(n.Value, strings.Join(pattern, ".")))
	case yaml.AliasNode: // shown where it is defined
		c.line(n.Line, strings.Join(way, ".")+": (an alias)")
	default:
		for _, child := range n.Content {
			c.walk(child, way, pattern)
		}
	}
}

// key is a key as it is shown and as known has it.
func (c *shownConfig) key(name string, above []string) (shown, star string) {
	star = name
	switch {
	case len(above) == 1 && (above[0] == "identities" || above[0] == "endpoints" || above[0] == "refresh"):
		star = "*"
	case !keyName().MatchString(name):
		star = "?"
	}
	if !invented().MatchString(name) || random(name) {
		c.secrets.add([]byte(name))
		return secret.Redacted, star
	}
	return name, star
}

func (c *shownConfig) value(value, pattern string) string {
	switch pattern {
	case "proxy", "ENVIRONMENT.HTTPS_PROXY", "ENVIRONMENT.https_proxy", "ENVIRONMENT.HTTP_PROXY", "ENVIRONMENT.http_proxy":
		return c.secrets.proxy(value)
	case "default_identity", "endpoints.*.identity":
		return c.secrets.shown(value, either(kinds, among(c.usernames...)))
	}
	return c.secrets.shown(value, c.forms[pattern])
}
