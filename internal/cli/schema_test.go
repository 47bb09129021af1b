package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/azfilesauth/azfilesauth/internal/azurefake/stage"
)

const (
	schemaFile = "../../packaging/schema/output.schema.json"
	module     = "github.com/azfilesauth/azfilesauth/"
)

// results are the objects that the commands print with --json after the keys of answer.
var results = map[string][]any{
	"set": {granted{}}, "list": {listing{}}, "clear": {erased{}, forgotten{}}, "status": {overview{}, verdict{}}, "refresh": {renewed{}},
	"doctor": {examined{}}, "doctor config check": {examined{}}, "config check": {checked{}}, "config show": {shownConfig{}}, "version": {version{}},
	"setup": {prepared{}}, "help": {shownHelp{}}, "completion": {completionScript{}}, "bundle": {packed{}}, "explain": {explained{}, catalogue{}, explainedOptions{}}, "upgraded": {upgrade{}},
}

// The shipped schema is the one of the types. UPDATE_GOLDEN=1 writes it.
func TestOutputSchemaIsThatOfTheTypes(t *testing.T) {
	want, err := json.MarshalIndent(outputSchema(t, false), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(schemaFile); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not that of the types (%v); UPDATE_GOLDEN=1 writes it", schemaFile, err)
	}
	compiled(t, want)
}

// Every command has its result in the schema, and none names a key of answer a second time.
func TestEveryCommandHasOneShape(t *testing.T) {
	printsText := []string{"completion words", "watch"}
	var look func(above string, rows []row)
	look = func(above string, rows []row) {
		for _, r := range rows {
			name := strings.TrimSpace(above + " " + strings.Fields(r.use)[0])
			if r.do != nil && !slices.Contains(printsText, name) && results[name] == nil {
				t.Errorf("%s has no result", name)
			}
			look(name, r.below)
		}
	}
	look("", commands)
	common := fieldsOf(reflect.TypeFor[answer]())
	for name, all := range results {
		for _, v := range all {
			for _, f := range fieldsOf(reflect.TypeOf(v)) {
				if slices.ContainsFunc(common, func(c jsonField) bool { return c.key == f.key }) {
					t.Errorf("%s: %s is a key of every answer", name, f.key)
				}
			}
		}
	}
}

// cmdCLI runs azfilesauth; what it prints with --json is valid by the shipped schema, and has no key that is
// missing there.
func cmdCLI(t *testing.T) stage.Command {
	run := stage.Status(program)
	shipped, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	strict, err := json.Marshal(outputSchema(t, true))
	if err != nil {
		t.Fatal(err)
	}
	schemas := []*jsonschema.Schema{compiled(t, shipped), compiled(t, strict)}
	return func(ts *testscript.TestScript, neg bool, args []string) {
		run(ts, neg, args)
		if len(args) < 3 || !slices.Contains(args[1:], "--json") {
			return
		}
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(ts.ReadFile("stdout")))
		ts.Check(err)
		for _, s := range schemas {
			ts.Check(s.Validate(value))
		}
	}
}

func compiled(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("output.json", document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("output.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type object = map[string]any

// writer makes a schema of types. A strict one allows no key that they do not have.
type writer struct {
	defs   object
	strict bool
	docs   map[string]map[string]string // by package: the comments at TYPE.FIELD
}

func outputSchema(t *testing.T, strict bool) object {
	t.Helper()
	w := &writer{object{}, strict, map[string]map[string]string{}}
	common := w.object(reflect.TypeFor[answer]())
	head := common["properties"].(object)
	failed := object{"title": "a failure", "type": "object", "properties": object{}, "required": []string{"fault"}}
	branches := []object{failed}
	for _, name := range slices.Sorted(maps.Keys(results)) {
		for _, v := range results[name] {
			branch := w.object(reflect.TypeOf(v))
			branch["title"] = program + " " + name
			branch["properties"].(object)["command"] = object{"const": name}
			branches = append(branches, branch)
		}
	}
	for _, b := range branches {
		if strict {
			for key, value := range head {
				if _, there := b["properties"].(object)[key]; !there {
					b["properties"].(object)[key] = value
				}
			}
			b["additionalProperties"] = false
		}
	}
	delete(common, "additionalProperties")
	common["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	common["title"] = "What azfilesauth prints with --json"
	common["description"] = "Keys can join; those that are here keep their names and meanings."
	common["anyOf"], common["$defs"] = branches, w.defs
	head["schema"].(object)["const"] = answerSchema
	return common
}

func (w *writer) value(t reflect.Type) object {
	if t == reflect.TypeFor[time.Time]() {
		return object{"type": "string", "format": "date-time"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return w.value(t.Elem())
	case reflect.Struct:
		if w.defs[t.Name()] == nil {
			w.defs[t.Name()] = object{} // it may name itself
			w.defs[t.Name()] = w.object(t)
		}
		return object{"$ref": "#/$defs/" + t.Name()}
	case reflect.Slice:
		return object{"type": "array", "items": w.value(t.Elem())}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	}
	panic(fmt.Sprintf("no rule for %v", t))
}

func (w *writer) object(t reflect.Type) object {
	properties, required := object{}, []string{}
	for _, f := range fieldsOf(t) {
		value := w.value(f.Type)
		if f.Type.Kind() == reflect.Pointer && !f.optional && f.key != "time" {
			value = object{"anyOf": []any{value, object{"type": "null"}}}
		}
		if text := w.comment(f.owner, f.Name); text != "" {
			value["description"] = text
		}
		if f.key == "time" {
			value["format"] = "date-time"
		}
		properties[f.key] = value
		if !f.optional {
			required = append(required, f.key)
		}
	}
	o := object{"type": "object", "properties": properties, "required": required}
	if w.strict {
		o["additionalProperties"] = false
	}
	return o
}

// jsonField is a field as encoding/json sees it.
type jsonField struct {
	reflect.StructField
	owner    reflect.Type // the struct that declares it
	key      string
	optional bool
}

func fieldsOf(t reflect.Type) (all []jsonField) {
	for _, f := range reflect.VisibleFields(t) {
		key, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if key == "" || key == "-" || t == reflect.TypeFor[overview]() && key == "schema" { // see overview
			continue
		}
		owner, hidden := t, false
		for _, i := range f.Index[:len(f.Index)-1] {
			hidden = hidden || owner.Field(i).Tag.Get("json") == "-"
			if owner = owner.Field(i).Type; owner.Kind() == reflect.Pointer {
				owner = owner.Elem()
			}
		}
		if hidden {
			continue
		}
		all = append(all, jsonField{f, owner, key, strings.Contains(options, "omit")})
	}
	return all
}

// comment is what stands behind a field in the source.
func (w *writer) comment(owner reflect.Type, field string) string {
	dir := filepath.Join("..", "..", strings.TrimPrefix(owner.PkgPath(), module))
	if w.docs[dir] == nil {
		w.docs[dir] = map[string]string{}
		files, err := filepath.Glob(dir + "/*.go")
		must(err)
		for _, name := range files {
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
			must(err)
			ast.Inspect(file, func(n ast.Node) bool { w.learn(dir, n); return true })
		}
	}
	return w.docs[dir][owner.Name()+"."+field]
}

func (w *writer) learn(dir string, n ast.Node) {
	spec, ok := n.(*ast.TypeSpec)
	if !ok {
		return
	}
	structure, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range structure.Fields.List {
		for _, name := range f.Names {
			w.docs[dir][spec.Name.Name+"."+name.Name] = strings.TrimSpace(f.Comment.Text())
		}
	}
}
