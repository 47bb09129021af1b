package mounthelper

import (
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// maxOptions is the longest option string that mount.cifs takes, in bytes; it cuts a longer one off.
const maxOptions = 4096

// option is one item of an option string: a name, or a name and a value.
type option struct {
	name, value string
	valued      bool // there was an equals sign
}

func (o option) String() string {
	if !o.valued {
		return o.name
	}
	return o.name + "=" + o.value
}

// splitOptions takes an option string apart at its commas. A comma between double quotes does not
// count, as in mount(8); empty items are left out.
func splitOptions(text string) ([]option, error) {
	if len(text) > maxOptions {
		return nil, invalid("-o", tooLong(len(text)))
	}
	if strings.ContainsAny(text, "\n\x00") {
		return nil, invalid("-o", "a line break or a null byte does not belong there")
	}
	var options []option
	for text != "" {
		item, rest, closed := cutItem(text)
		if !closed {
			return nil, invalid(parseOption(item).name, "a quote is not closed")
		}
		if item != "" {
			options = append(options, parseOption(item))
		}
		text = rest
	}
	return options, nil
}

// cutItem cuts text at its first comma outside quotes.
func cutItem(text string) (item, rest string, closed bool) {
	quoted := false
	for i := range len(text) {
		switch {
		case text[i] == '"':
			quoted = !quoted
		case text[i] == ',' && !quoted:
			return text[:i], text[i+1:], true
		}
	}
	return text, "", !quoted
}

func parseOption(item string) option {
	name, value, valued := strings.Cut(item, "=")
	return option{name, value, valued}
}

// joinOptions is the reverse of splitOptions.
func joinOptions(options []option) string {
	items := make([]string, len(options))
	for i, o := range options {
		items[i] = o.String()
	}
	return strings.Join(items, ",")
}

func invalid(name, problem string) error {
	return fault.OptionInvalid.New(name, problem)
}
