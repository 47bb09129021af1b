package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/azfilesauth/azfilesauth/internal/host"
)

const jsonSchemaFile = "../../packaging/schema/config.schema.json"

// The JSON Schema for editors is the table of keys. UPDATE_GOLDEN=1 writes it.
func TestJSONSchemaIsTheTable(t *testing.T) {
	want, err := json.MarshalIndent(jsonSchema(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(jsonSchemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(jsonSchemaFile); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not that of the table (%v); UPDATE_GOLDEN=1 writes it", jsonSchemaFile, err)
	}
}

// An editor and "config check" agree on what they are given, but for what only the latter can know.
func TestJSONSchemaJudgesAsCheckDoes(t *testing.T) {
	shipped, err := os.ReadFile("../../etc/azfilesauth/config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	valid := map[string]bool{string(shipped): true, commented.ReplaceAllString(string(shipped), "$1"): true}
	for _, k := range Schema() {
		if k.Default != "" {
			valid[nested(k.Path, k.Default)] = true
			valid[nested(k.Path, "[]")] = k.Path == "no_proxy"
		}
		for _, word := range k.Words {
			valid[nested(k.Path, word)], valid[nested(k.Path, strings.ToUpper(word))] = true, true
			valid[nested(k.Path, word+"x")] = false
		}
		if low, high, ok := strings.Cut(k.Bounds, " to "); ok {
			valid[nested(k.Path, low)], valid[nested(k.Path, high)] = true, true
			valid[nested(k.Path, "-1")] = false
		}
	}
	maps.Copy(valid, map[string]bool{
		"USER_UID: \"7\"\n": true, "USER_UID: local\n": true, "USER_UID: somebody\n": false, "USER_UIDD: 7\n": false, "USER_UID: [7]\n": false,
		"refresh: {at: 60%}\n": true, "refresh: {at: soon}\n": false, "refresh: {att: 60%}\n": false, "refresh: 5m\n": false,
		"upcall: {deadline: 5}\n": false, "metrics: {listen: nowhere}\n": false, "no_proxy: [a.example, 10.0.0.0/8]\n": true, "CURL_TOTAL_TIMEOUT: 0\n": false,
		"identities: {a: {client_id: 00000000-0000-0000-0000-00000000000A}}\n": true, "identities: {a: {client_id: 7}}\n": false, "identities: {a: {cliend_id: x}}\n": false,
		"identities: {b: {kind: service-principal, client_id: 00000000-0000-0000-0000-00000000000a, tenant_id: t.example, secret_file: /s}}\n": true,
		"endpoints: {acct.file.core.windows.net: {identity: system}}\n":                                                                        true, "endpoints: {acct.file.core.windows.net: {identty: system}}\n": false,
		"endpoints: {acct.example: {authority: http://x}}\n": false, "ENVIRONMENT: {A: b, C: 1}\n": true, "ENVIRONMENT: [A]\n": false,
		"metrics: {textfile: x.prom}\n": false, "metrics: {textfile: /etc/group}\n": false, "metrics: {textfile: /x.prom}\n": true, "default_identity: system\n": true,
	})
	schema := compiled(t)
	for text, want := range valid {
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			t.Fatal(err)
		}
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		value, err = jsonschema.UnmarshalJSON(bytes.NewReader(encoded))
		if err != nil {
			t.Fatal(err)
		}
		_, _, checked := CheckContent(host.Beneath(t.TempDir()), []byte(text))
		if err := schema.Validate(value); (err == nil) != want || (checked == nil) != want {
			t.Errorf("valid %v, the schema: %v, the check: %v\n%s", want, err, checked, text)
		}
	}
}

// nested is a file that sets one key.
func nested(path, value string) string {
	text := value
	words := strings.Split(path, ".")
	for i := len(words) - 1; i > 0; i-- {
		text = fmt.Sprintf("{%s: %s}", words[i], text)
	}
	return words[0] + ": " + text + "\n"
}

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile(jsonSchemaFile)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("config.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("config.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

type object = map[string]any

func jsonSchema() object {
	root := mapping("Every key is optional. See azfilesauth.yaml(5).")
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "The configuration of azfilesauth, /etc/azfilesauth/config.yaml"
	for _, k := range Schema() {
		at := root
		words := strings.Split(k.Path, ".")
		for _, word := range words[:len(words)-1] {
			at = at["properties"].(object)[word].(object)
			if invented, ok := at["additionalProperties"].(object); ok {
				at = invented
				break
			}
		}
		last := words[len(words)-1]
		if last == "*" {
			at["additionalProperties"] = valueOf(k)
			continue
		}
		at["properties"].(object)[last] = valueOf(k)
	}
	return root
}

func mapping(doc string) object {
	return object{"type": "object", "description": doc, "properties": object{}, "additionalProperties": false}
}

// The forms of values, by kind. What YAML reads as a number can stand as a text, too.
var forms = map[string]string{
	"guid": `^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`,
	"time": `^([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+$`, "fraction": `^[0-9]*\.?[0-9]+%?$`, "address": `:[0-9]+$`,
}

// commented is a line of the shipped file that is to be made one of the configuration; prose has one space.
var commented = regexp.MustCompile(`(?m)^#(\S|  )`)

var spaced = regexp.MustCompile(` ([.,:])( |$)`)

func valueOf(k Key) object {
	doc := spaced.ReplaceAllString(strings.ReplaceAll(k.Doc, "`", ""), "$1$2")
	if k.Kind == "" {
		return mapping(strings.TrimSuffix(doc, ":"))
	}
	v := object{"description": doc}
	if k.Default != "" {
		v["default"] = k.Default
	}
	text := object{"type": "string"}
	if form := forms[k.Kind]; form != "" {
		text["pattern"] = form
	}
	if k.Kind == "path" && strings.Contains(k.Path, "_FILE_") {
		text["pattern"] = "^/"
	}
	if k.Path == "metrics.textfile" {
		text["pattern"] = `^/.*\.prom$`
	}
	if k.Kind == "URL" && k.Path != "proxy" {
		text["pattern"] = "^https://"
	}
	low, high, bounded := strings.Cut(k.Bounds, " to ")
	number := object{"type": "integer"}
	if bounded {
		number["minimum"], number["maximum"] = json.Number(low), json.Number(high)
	}
	switch {
	case len(k.Words) > 0:
		v["anyOf"] = []any{object{"enum": k.Words}, object{"type": "string", "pattern": anyCase(k.Words)}}
	case k.Kind == "uid":
		v["anyOf"] = []any{number, object{"type": "string", "pattern": `^([0-9]+|[lL][oO][cC][aA][lL])$`}}
	case k.Kind == "number" || k.Kind == "seconds":
		v["anyOf"] = []any{number, object{"type": "string", "pattern": "^[0-9]+$"}}
	case k.Kind == "fraction":
		number["type"] = "number"
		v["anyOf"] = []any{number, text}
	case takesList(k):
		v["anyOf"] = []any{text, object{"type": "array", "items": object{"type": "string"}}}
	case text["pattern"] != nil:
		v["type"], v["pattern"] = "string", text["pattern"]
	default:
		v["type"] = []string{"string", "number", "boolean"}
	}
	return v
}

// takesList reports whether a list can stand for the value.
func takesList(k Key) bool {
	if k.form == nil {
		return false
	}
	_, err := k.form(&yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"})
	return err == nil
}

// anyCase is a pattern of words, whatever their case: an ECMAScript pattern has no flag for it.
func anyCase(words []string) string {
	var all []string
	for _, word := range words {
		var b strings.Builder
		for _, r := range word {
			fmt.Fprintf(&b, "[%c%s]", r, strings.ToUpper(string(r)))
		}
		all = append(all, b.String())
	}
	return "^(" + strings.Join(all, "|") + ")$"
}
