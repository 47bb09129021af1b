package identity

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/nearest"
)

// chooseAnother is the fix where no key of the identity can be corrected.
const chooseAnother = "set identity= to a kind of identity, such as system, or to a name under identities: in /etc/azfilesauth/config.d/90-local.yaml"

// invalid is an identity that cannot be used. The repair writes keys as mount options, such as client_id=; see Spell.
func invalid(problem, repair string) *fault.Fault {
	return fault.IdentityInvalid.New(problem, repair)
}

// Unknown is the fault of a word that is neither a kind of identity nor the name of one; meant is the word that was
// probably meant, "" for none.
func Unknown(problem, meant string) *fault.Fault {
	if meant != "" {
		return invalid(problem+nearest.Hint(meant), "set identity="+meant)
	}
	return invalid(problem, chooseAnother)
}

// Spell writes the keys in a text of invalid, such as client_id=, as another face has them; flag gives a key's.
func Spell(text string, flag func(key string) string) string {
	all := append(keys(func(string) bool { return true }), "identity")
	written := regexp.MustCompile(`\b(` + strings.Join(all, "|") + `)(=[ ,;]|=|\b)`)
	text = written.ReplaceAllStringFunc(text+" ", func(m string) string {
		key, rest, assigned := strings.Cut(m, "=")
		if !assigned && !strings.Contains(key, "_") { // identity is a word of the language
			return m
		}
		if assigned && rest == "" { // its value follows
			rest = "="
		}
		return flag(key) + rest
	})
	return strings.TrimSuffix(text, " ")
}

// Validate checks that the kind is known and has what it needs, nothing else, in the form that makes
// equal identities equal. Its errors are of the kind fault.IdentityInvalid and tell all mistakes.
func (i Identity) Validate() error {
	r, ok := rulesOf(i.Kind)
	if !ok {
		meant := Kind(strings.ToLower(string(i.Kind)))
		if _, ok = rulesOf(meant); !ok {
			meant = ""
		}
		return Unknown("its kind is not known", string(meant))
	}
	var problems, repairs []string
	tell := func(problem, repair string) {
		problems, repairs = append(problems, problem), append(repairs, repair)
	}
	if missing := keys(func(key string) bool { return slices.Contains(r.needs, key) && i.value(key) == "" }); len(missing) > 0 {
		tell(fmt.Sprintf("the kind %s needs %s", i.Kind, list(missing, "and")), "add "+list(sample(missing), "and"))
	}
	given := keys(func(key string) bool { return slices.Contains(r.oneOf, key) && i.value(key) != "" })
	if r.oneOf != nil && len(given) == 0 {
		tell(fmt.Sprintf("the kind %s needs %s", i.Kind, list(r.oneOf, "or")), "add "+list(sample(r.oneOf), "or"))
	}
	if len(given) > 1 {
		tell(fmt.Sprintf("the kind %s takes only one of %s", i.Kind, list(given, "and")), "remove "+list(assigned(given), "or"))
	}
	for _, key := range keys(func(key string) bool { return i.value(key) != "" && !r.allows(key) }) {
		tell(fmt.Sprintf("the kind %s takes no %s", i.Kind, key), "remove "+key+"=, or set identity= to a kind that takes it: "+list(takers(key), "or"))
	}
	for _, f := range fields {
		if problem := f.problem(i.value(f.key)); problem != "" {
			tell(f.key+" "+problem, "correct "+f.key+"="+f.hint())
		}
	}
	if problems == nil {
		return nil
	}
	return invalid(strings.Join(problems, "; "), strings.Join(repairs, "; "))
}

// value is that of a key of the text form. It takes an address, or each call would copy the identity to the heap.
func (i *Identity) value(key string) string {
	n := slices.IndexFunc(fields, func(f field) bool { return f.key == key })
	return *fields[n].of(i)
}

func (r rules) allows(key string) bool {
	return key == "resource" || slices.Contains(slices.Concat(r.needs, r.takes, r.oneOf), key)
}

// problem tells what is wrong with a value by itself, "" for nothing.
func (f field) problem(v string) string {
	if v == "" {
		return ""
	}
	if len(v) > maxValue {
		return "is too long"
	}
	return f.check(v)
}

// hint follows the advice to correct a value.
func (f field) hint() string {
	if f.key == "client_id" {
		return "; the name of an entry of identities is given by identity="
	}
	return ""
}

// keys are those of the text form that are wanted, in its order.
func keys(want func(key string) bool) (found []string) {
	for _, f := range fields {
		if want(f.key) {
			found = append(found, f.key)
		}
	}
	return found
}

// takers are the kinds that can have a key, in the order of their names.
func takers(key string) (names []string) {
	for _, r := range kinds {
		if r.allows(key) {
			names = append(names, string(r.kind))
		}
	}
	slices.Sort(names)
	return names
}

// sample are keys with a place for their values: client_id=<id>, token_file=<file>.
func sample(keys []string) (all []string) {
	for _, key := range keys {
		all = append(all, key+"=<"+key[strings.LastIndexByte(key, '_')+1:]+">")
	}
	return all
}

// assigned are keys as they stand before a value.
func assigned(keys []string) (all []string) {
	for _, key := range keys {
		all = append(all, key+"=")
	}
	return all
}

// list joins words as a sentence does.
func list(words []string, last string) string {
	n := len(words) - 1
	if n < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:n], ", ") + " " + last + " " + words[n]
}
