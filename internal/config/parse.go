package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/nearest"
)

// maxWarnings keeps a file of nonsense from filling the log.
const maxWarnings = 20

// place is where something is set. The zero value is nowhere: a default.
type place struct {
	file string
	line int // 0 is unknown
}

// problem is what is wrong at a place.
type problem struct {
	place
	key  string // the way to the key, such as refresh.at; "" is none
	text string
}

func (p *problem) Error() string {
	text := p.text
	if p.key != "" {
		text = p.key + ": " + text
	}
	if p.line > 0 {
		text = "line " + strconv.Itoa(p.line) + ": " + text
	}
	return text
}

// parser fills a Config from files, one after the other: a later one wins, key by key.
type parser struct {
	*Config
	file     string
	byName   map[string]*account // by lower-case name
	mistakes []problem
	warnings []problem
	more     bool // there were more than maxWarnings

	choice   *Choice  // of the entry of identities that is being read
	account  *account // that of endpoints
	variable string   // the name of that of ENVIRONMENT
}

// parse takes what the content of a file says. What is wrong is noted, and the rest is read all the same.
func (p *parser) parse(content []byte) {
	root, odd, loose, err := readLines(content)
	for _, line := range odd {
		p.warn(place{p.file, line}, "", "an upper-case key must begin its line, and a space must follow its colon")
	}
	for _, line := range loose {
		p.warn(place{p.file, line}, "", "the value must be in quotes, which are closed")
	}
	if err == nil && root != nil {
		err = p.section("", "", root)
	}
	if err != nil {
		p.addMistake(place{p.file, 0}, "", err)
	}
}

// section takes the values of a mapping and warns of keys that are not known. way is what leads to it,
// row the same with * for invented names.
func (p *parser) section(way, row string, n *yaml.Node) error {
	all, err := pairs(way, n)
	if err != nil {
		return located(err, place{p.file, n.Line}, way)
	}
	for _, kv := range all {
		key, at := within(way, kv.key), place{p.file, kv.line}
		if kv.first > 0 {
			p.warn(at, key, fmt.Sprintf("it is in line %d already, and that line counts", kv.first))
			continue
		}
		k := Find(row, kv.key)
		if k == nil && strings.Trim(kv.key, keyCharacters) != "" { // a line of another file can hold a secret
			p.warn(at, way, "a key with other characters than letters, digits, _, - and . is unknown, and not shown")
			continue
		}
		if k == nil {
			p.warn(at, key, "this key is unknown"+didYouMean(kv.key, keysOf(row)))
			continue
		}
		if err := p.value(k, key, at, kv); err != nil {
			p.addMistake(at, key, err)
		}
	}
	return nil
}

// value takes one value, which can be a mapping itself.
func (p *parser) value(k *Key, way string, at place, kv pair) error {
	if k.enter != nil {
		if err := k.enter(p, kv.key, at); err != nil {
			return err
		}
	}
	if k.take == nil {
		if k.enter != nil {
			p.places[way] = at
		}
		return p.section(way, k.Path, kv.value)
	}
	form := plainScalar
	if k.form != nil {
		form = k.form
	}
	text, err := form(kv.value)
	if err == nil {
		err = k.take(p, text)
	}
	if err == nil {
		p.places[way] = at
	} else if k.lenient || k.optional && (errors.Is(err, errNoValue) || errors.Is(err, errIsEmpty)) {
		p.warn(at, way, err.Error()+"; "+cmp.Or(k.show(p), "the default")+" is used")
		return nil
	}
	return err
}

// finish looks at what names something in another place, when all files are read.
func (p *parser) finish(h host.Host) {
	p.takeEnvironment(h)
	p.checkIdentities()
	p.checkHosts()
	p.sort(p.mistakes)
	p.sort(p.warnings)
	p.Warnings = p.sentences(p.warnings)
}

// sort puts problems in the order of the files.
func (p *parser) sort(all []problem) {
	slices.SortStableFunc(all, func(a, b problem) int {
		return cmp.Or(cmp.Compare(slices.Index(p.Files, a.file), slices.Index(p.Files, b.file)), cmp.Compare(a.line, b.line))
	})
}

// sentences tells problems. A file is named unless it is the one at Path.
func (p *parser) sentences(problems []problem) []string {
	var all []string
	for _, w := range problems {
		text := w.Error()
		if w.file != p.Path {
			text = w.file + ": " + text
		}
		all = append(all, text)
	}
	if p.more {
		all = append(all, "and more")
	}
	return all
}

// addMistake notes what no configuration can have, of which the first ones are enough.
func (p *parser) addMistake(where place, key string, err error) {
	if len(p.mistakes) < maxWarnings {
		p.mistakes = append(p.mistakes, *located(err, where, key))
	}
}

func (p *parser) warn(where place, key, text string) {
	if len(p.warnings) == maxWarnings {
		p.more = true
		return
	}
	p.warnings = append(p.warnings, problem{where, key, text})
}

// located makes a problem of an error that does not know its place.
func located(err error, where place, key string) *problem {
	p, ok := errors.AsType[*problem](err)
	if !ok {
		return &problem{where, key, err.Error()}
	}
	p.file, p.key = cmp.Or(p.file, where.file), cmp.Or(p.key, key)
	return p
}

// within is the way to a key of the mapping name.
func within(name, key string) string {
	if name == "" {
		return shown(key)
	}
	return name + "." + shown(key)
}

// keyCharacters are those that a key of some version can have.
const keyCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."

// didYouMean proposes the known word that looks most like key, or nothing.
func didYouMean(key string, known []string) string {
	word := nearest.Word(key, known)
	if i := slices.IndexFunc(known, func(k string) bool { return strings.HasPrefix(k, key+"_") }); word == "" && i >= 0 {
		word = known[i] // tenant is tenant_id
	}
	return nearest.Hint(word)
}
