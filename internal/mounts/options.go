package mounts

import (
	"fmt"
	"slices"
	"strings"
)

// maxOptions is the longest option string that mount.cifs takes, in bytes; it cuts a longer one off.
const maxOptions = 4096

// Option is one item of a list of mount options: a name, or a name and a value.
type Option struct {
	Name   string // as written
	Value  string // as written, with its quotes
	Valued bool   // there is an equals sign
}

func (o Option) String() string {
	if !o.Valued {
		return o.Name
	}
	return o.Name + "=" + o.Value
}

// Is reports whether o has the name. Names are compared without case: parts of the kernel's parser do
// so as well, and PASSWORD= must not slip through.
func (o Option) Is(name string) bool { return strings.EqualFold(o.Name, name) }

// Text is the value as mount(8) reads it: quotes around all of it are no part of it
// (libmount/src/optlist.c in util-linux).
func (o Option) Text() string {
	if n := len(o.Value); n >= 2 && o.Value[0] == '"' && o.Value[n-1] == '"' {
		return o.Value[1 : n-1]
	}
	return o.Value
}

// RequiresDaemon reports whether o requires our service, under either of its names (x-systemd.requires= in systemd.mount(5)).
func (o Option) RequiresDaemon() bool {
	unit := strings.TrimSuffix(o.Text(), ".service")
	return o.Is("x-systemd.requires") && (unit == "azfilesrefresh" || unit == "azfilesauth")
}

// Options is a list of mount options in the order in which it is written.
type Options []Option

// ParseOptions takes a list of options apart at its commas. Those between double quotes do not count,
// as in mount(8); empty items are left out. What is wrong with the list, Login tells.
func ParseOptions(list string) Options {
	quoted := false
	items := strings.FieldsFunc(list, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ',' && !quoted
	})
	var all Options
	for _, item := range items {
		all = append(all, parseOption(item))
	}
	return all
}

func parseOption(item string) Option {
	name, value, valued := strings.Cut(item, "=")
	return Option{name, value, valued}
}

// String is the reverse of ParseOptions.
func (all Options) String() string {
	items := make([]string, len(all))
	for i, o := range all {
		items[i] = o.String()
	}
	return strings.Join(items, ",")
}

// WithoutSecrets leaves out what may be a secret in the wrong place: the value of an option that is neither ours
// nor one of the kernel's, and a word that is no option at all, such as the rest of a password with a comma.
func (all Options) WithoutSecrets() Options {
	const hidden = "..."
	shown := make(Options, len(all))
	for i, o := range all {
		rule, ruled := ruleOf(o)
		_, known := lookUp(strings.ToLower(o.Name))
		if ruled && (rule.Fate == Own || !o.Valued) || !ruled && known {
			shown[i] = o
		} else if o.Valued {
			shown[i] = Option{Name: o.Name, Value: hidden, Valued: true}
		} else {
			shown[i] = Option{Name: hidden}
		}
	}
	return shown
}

// OnlyOurs gives the options that no one but mount.azfiles knows: the kernel refuses a line of type cifs that has one.
func (all Options) OnlyOurs() Options {
	return slices.DeleteFunc(slices.Clone(all), func(o Option) bool {
		rule, ruled := ruleOf(o)
		return !ruled || rule.Fate != Own || slices.Contains([]string{"cruid", "sec", "username", "user"}, rule.Name)
	})
}

// Get gives the value of an option as mount(8) reads it, "" for one without a value. Of several the
// last one wins. ok is false when there is none.
func (all Options) Get(name string) (value string, ok bool) {
	for _, o := range all {
		if o.Is(name) {
			value, ok = o.Text(), true
		}
	}
	return value, ok
}

// problem says what is wrong with the list as a whole and which option has it, or "".
func (all Options) problem() (name, problem string) {
	text := all.String()
	if len(text) > maxOptions {
		return "-o", tooLong(text)
	}
	if strings.ContainsAny(text, "\n\x00") {
		return "-o", "line breaks and null bytes are not supported here"
	}
	if strings.Count(text, `"`)%2 == 1 {
		return all[len(all)-1].Name, "a quote is not closed"
	}
	return "", ""
}

// CheckLength refuses a list of options that mount.cifs would cut off. The error is of kind OptionInvalid.
func CheckLength(list string) error {
	if len(list) > maxOptions {
		return invalid("-o", tooLong(list))
	}
	return nil
}

func tooLong(list string) string {
	return fmt.Sprintf("there are %d bytes of options, and mount.cifs takes %d", len(list), maxOptions)
}
