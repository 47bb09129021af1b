package metrics

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// text collects lines by metric, since the format wants those of one metric together, below its help.
type text map[string][]line

type line struct {
	series string // name and labels
	value  float64
}

// add puts a line of the metric behind those that it has. ending is what a series has behind the metric's name: labels,
// and in a histogram what it counts before them.
func (t text) add(metric, ending string, value float64) {
	t[metric] = append(t[metric], line{metric + ending, value})
}

func (t text) write(w io.Writer) {
	for _, h := range help {
		_, _ = fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", h.name, h.text, h.name, h.kind)
		for _, l := range t[h.name] {
			_, _ = fmt.Fprintf(w, "%s %s\n", l.series, number(l.value))
		}
	}
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// labels renders pairs of names and values.
func labels(pairs ...string) string {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	var all []string
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, pairs[i]+`="`+escape.Replace(pairs[i+1])+`"`)
	}
	return "{" + strings.Join(all, ",") + "}"
}
