package bundle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

// documents gives the files of the configuration, those included that are wrong. One that is no YAML has
// no node.
func (m *machine) documents(yield func(path string, content []byte, doc *yaml.Node, err error)) {
	files, _ := config.Layers(m.Host) // why not is in ConfigErr
	if files == nil {
		files = []string{m.Host.Config}
	}
	for _, path := range files {
		content, err := m.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) && path != m.Host.Config {
			continue
		}
		var doc yaml.Node
		if err == nil {
			err = yaml.Unmarshal(content, &doc)
		}
		yield(path, content, &doc, err)
	}
}

// configuration rewrites the files, a value a line, without comments: they hold old passwords. What is
// not in the configuration's own table is REDACTED, and so is what has not the form of its key.
func (m *machine) configuration(context.Context) (string, error) {
	c := shownConfig{secrets: m.secrets}
	m.documents(func(_ string, content []byte, doc *yaml.Node, _ error) {
		c.secrets.collectFrom(string(content))
		c.findNames(doc)
	})
	m.documents(func(path string, _ []byte, doc *yaml.Node, err error) {
		c.line(0, "==> "+path)
		if err != nil {
			problem := host.WithoutPath(err)
			if problem.Error() == err.Error() { // yaml's, which can repeat the text
				problem = errors.New("the file is not YAML, and is left out")
			}
			c.line(0, "("+problem.Error()+")")
		}
		c.walk(doc, "", &config.Key{})
	})
	for _, warning := range m.Config.Warnings {
		c.line(0, "warning: "+warning)
	}
	if m.ConfigErr != nil {
		c.line(0, m.ConfigErr.Error())
	}
	c.line(0, "==> in effect")
	for _, v := range m.Config.Settings() {
		if v.File != "" {
			c.line(0, v.Key+": "+v.Value+"  # "+v.From())
		}
	}
	return c.out.String(), nil
}

// shownConfig is the configuration as it is shown.
type shownConfig struct {
	secrets *secrets
	names   []string // of identities, which may stand where an identity is named
	out     strings.Builder
}

func (c *shownConfig) line(n int, text string) {
	if n > 0 {
		text = fmt.Sprintf("%s  # line %d", text, n)
	}
	c.out.WriteString(text + "\n")
}

func (c *shownConfig) findNames(doc *yaml.Node) {
	var top struct {
		Identities map[string]yaml.Node `yaml:"identities"`
	}
	_ = doc.Decode(&top) // what is no mapping has no names
	for name := range top.Identities {
		c.names = append(c.names, strings.ToLower(name))
	}
}

var (
	invented = lazily(`^[A-Za-z0-9_.-]{1,80}$`)
	keyName  = lazily(`^[A-Za-z_][A-Za-z0-9_.-]{0,40}$`)
)

// walk writes what is beneath a node. Way is the keys that lead there as they are shown, row the last of
// them in the table.
func (c *shownConfig) walk(n *yaml.Node, way string, row *config.Key) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			name, below := n.Content[i].Value, config.Find(row.Path, n.Content[i].Value)
			if !invented().MatchString(name) || random(name) || below == nil && !keyName().MatchString(name) {
				c.secrets.add([]byte(name))
				name = secret.Redacted
			}
			c.walk(n.Content[i+1], strings.TrimPrefix(way+"."+name, "."), cmp.Or(below, unknown))
		}
	case yaml.ScalarNode:
		c.line(n.Line, way+": "+c.value(n.Value, row))
	case yaml.AliasNode: // shown where it is defined
		c.line(n.Line, way+": (an alias)")
	default:
		for _, child := range n.Content {
			c.walk(child, way, row)
		}
	}
}

// unknown is a key that is not in the table.
var unknown = &config.Key{Path: "?"}

// value is one of the row.
func (c *shownConfig) value(value string, row *config.Key) string {
	if row.Secret {
		return c.secrets.location(value)
	}
	if row.Words != nil {
		return c.secrets.showOrRedact(value, oneOf(row.Words...))
	}
	if row.Kind == "identity" {
		return c.secrets.showOrRedact(value, anyOf(kinds, oneOf(c.names...)))
	}
	return c.secrets.showOrRedact(value, forms[row.Kind])
}

// secretFiles notes what the files hold that a configuration names.
func (m *machine) secretFiles(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && filepath.IsAbs(n.Value) {
		if content, err := m.ReadFile(n.Value); err == nil && len(content) <= maxPart && !strings.HasSuffix(n.Value, ".log") {
			m.secrets.file(content)
		}
	}
	for _, child := range n.Content {
		m.secretFiles(child)
	}
}
