package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

const entryKeys = "identities.*."

// keyList is what azfilesauth.yaml(5) says of the keys of the configuration, those of a mapping as a list
// within its item.
func keyList() string {
	var b strings.Builder
	open := "" // the mapping whose keys are listed
	for _, k := range config.Schema() {
		if strings.HasSuffix(k.Path, "*") || strings.HasPrefix(k.Path, entryKeys) {
			continue
		}
		mapping, key := "", k.Path
		if dot := strings.LastIndex(k.Path, "."); dot >= 0 {
			mapping, key = k.Path[:dot], k.Path[dot+1:]
		}
		if open != "" && open != mapping {
			b.WriteString(".El\n")
		}
		if mapping != "" && open != mapping {
			b.WriteString(".Bl -tag -width Ds\n")
		}
		open = mapping
		b.WriteString(item(key, k))
	}
	return b.String()
}

// defaultList is what mount.azfiles(8) says of the options that a mount gets by default.
func defaultList() string {
	var b strings.Builder
	b.WriteString(".Bl -tag -width Ds\n")
	for _, d := range mounts.Defaults() {
		text := d.Why
		if d.Unused {
			text = "Not added unless it is written. " + text
		}
		if d.Since != "" {
			text += " It is used from kernel " + d.Since + " on."
		}
		fmt.Fprintf(&b, ".It Cm %s\n%s\n", d.Option, roff(text+" What it changes: "+d.Figure+". Source: "+d.Source+"."))
	}
	return b.String() + ".El\n"
}

// entryList is what it says of the keys of an identity.
func entryList() string {
	var b strings.Builder
	for _, k := range config.Schema() {
		if key, ok := strings.CutPrefix(k.Path, entryKeys); ok {
			b.WriteString(item(key, k))
		}
	}
	return b.String()
}

func item(key string, k config.Key) string {
	value := ""
	if len(k.Words) > 0 {
		value = " Cm " + strings.Join(k.Words, " | ")
	} else if k.Kind != "" {
		value = " Ar " + k.Kind
	}
	text := k.Doc
	if k.Bounds != "" {
		text += " It is from " + k.Bounds + "."
	}
	if k.Default != "" {
		text += " The default is `" + k.Default + "` ."
	}
	if k.AtStart {
		text += " The daemon azfilesauth-watch(8) reads it only when it starts."
	}
	return fmt.Sprintf(".It Cm %s :%s\n%s\n", key, value, mdoc(text))
}

// What is more than a word in a text: a page of the manual, a literal, a path; each with its punctuation.
var markup = regexp.MustCompile("(?:([a-z][a-z.-]+)\\((\\d)\\)|`([^`]+)`|(?:^|\\s)(/\\S+))(?: ?([,.;:]))?(?:\\s|$)")

// mdoc makes lines of mdoc(7) of a text with such words.
func mdoc(text string) string {
	var b strings.Builder
	for text != "" {
		m := markup.FindStringSubmatchIndex(text)
		if m == nil {
			b.WriteString(roff(text) + "\n")
			break
		}
		if before := strings.TrimSpace(text[:m[0]]); before != "" {
			b.WriteString(roff(before) + "\n")
		}
		group := func(i int) string {
			if m[2*i] < 0 {
				return ""
			}
			return text[m[2*i]:m[2*i+1]]
		}
		if group(1) != "" {
			b.WriteString(".Xr " + group(1) + " " + group(2))
		} else if group(3) != "" {
			b.WriteString(".Li " + group(3))
		} else {
			b.WriteString(".Pa " + group(4))
		}
		b.WriteString(strings.TrimRight(" "+group(5), " ") + "\n")
		text = text[m[1]:]
	}
	return strings.TrimRight(b.String(), "\n")
}
