package metrics

import (
	"bytes"
	"strings"

	vm "github.com/VictoriaMetrics/metrics"
)

// escape is that of label values.
var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// labels renders pairs of names and values.
func labels(pairs ...string) string {
	var all []string
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, pairs[i]+`="`+escape.Replace(pairs[i+1])+`"`)
	}
	return "{" + strings.Join(all, ",") + "}"
}

// families gives the lines of sets by metric: the format wants those of one metric together, below
// its help.
func families(sets ...*vm.Set) map[string][]byte {
	var all bytes.Buffer
	for _, set := range sets {
		set.WritePrometheus(&all)
	}
	lines := map[string][]byte{}
	for line := range bytes.Lines(all.Bytes()) {
		name := family(string(line))
		lines[name] = append(lines[name], line...)
	}
	return lines
}

// family is the metric that a line belongs to: a histogram's lines have suffixes.
func family(line string) string {
	name := line[:max(0, strings.IndexAny(line, "{ "))]
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base := strings.TrimSuffix(name, suffix); base == durations {
			return base
		}
	}
	return name
}
