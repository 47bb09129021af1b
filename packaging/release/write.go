package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// writeThirdParty prints a table of the modules, then their licences and notices in full.
func writeThirdParty(w io.Writer, c content) error {
	var b strings.Builder
	fmt.Fprintf(&b, "What the programs of %s contain besides its own code. The source of each,\n"+
		"unchanged, is what \"go mod download PATH@VERSION\" gets.\n\n", c.Main)
	for _, m := range c.Modules {
		fmt.Fprintf(&b, "%-66s %-38s %s\n", title(m), m.Version, m.Licences)
	}
	for _, m := range c.Modules {
		for _, t := range m.Texts {
			fmt.Fprintf(&b, "\n%s\n%s %s: %s\n\n%s\n", strings.Repeat("=", 80), title(m), m.Version, t.Name,
				strings.TrimSpace(t.Body))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func title(m module) string {
	if m.Path == "std" {
		return "Go runtime and standard library"
	}
	return m.Path
}

// The parts of a CycloneDX 1.6 document that we fill, see its JSON schema.
type (
	bom struct {
		Format      string      `json:"bomFormat"`
		SpecVersion string      `json:"specVersion"`
		Version     int         `json:"version"`
		Metadata    metadata    `json:"metadata"`
		Components  []component `json:"components"`
	}
	metadata struct {
		Timestamp string    `json:"timestamp,omitempty"`
		Component component `json:"component"`
	}
	component struct {
		Type     string    `json:"type"`
		Ref      string    `json:"bom-ref"`
		Name     string    `json:"name"`
		Version  string    `json:"version,omitempty"`
		PURL     string    `json:"purl,omitempty"`
		Hashes   []hash    `json:"hashes,omitempty"`
		Licences []licence `json:"licenses,omitempty"`
	}
	hash struct {
		Algorithm string `json:"alg"`
		Content   string `json:"content"`
	}
	licence struct {
		Expression string `json:"expression"`
	}
)

// writeSBOM prints the bill of materials of a version; epoch is in seconds, or empty for no time of its making.
func writeSBOM(w io.Writer, c content, version, epoch string) error {
	doc := bom{Format: "CycloneDX", SpecVersion: "1.6", Version: 1}
	doc.Metadata.Component = component{Type: "application", Ref: c.Main, Name: c.Main, Version: version, Licences: []licence{{"MIT"}}}
	if epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
		}
		doc.Metadata.Timestamp = time.Unix(seconds, 0).UTC().Format(time.RFC3339)
	}
	for _, m := range c.Modules {
		purl := "pkg:golang/" + m.Path + "@" + m.Version
		item := component{Type: "library", Ref: purl, Name: m.Path, Version: m.Version, PURL: purl, Licences: []licence{{m.Licences}}}
		if sum, ok := strings.CutPrefix(m.Sum, "h1:"); ok {
			raw, err := base64.StdEncoding.DecodeString(sum)
			if err != nil {
				return fmt.Errorf("sum of %s: %w", m.Path, err)
			}
			item.Hashes = []hash{{"SHA-256", hex.EncodeToString(raw)}}
		}
		doc.Components = append(doc.Components, item)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(doc)
}
