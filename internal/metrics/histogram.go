package metrics

import (
	"slices"
	"time"
)

// histogram counts how long things took, by bounds in seconds.
type histogram struct {
	within []uint64 // by the first bound that they kept; the last is none
	sum    time.Duration
}

func newHistogram(bounds []float64) histogram {
	return histogram{within: make([]uint64, len(bounds)+1)}
}

func (h *histogram) add(bounds []float64, d time.Duration) {
	i, _ := slices.BinarySearch(bounds, d.Seconds())
	h.within[i]++
	h.sum += d
}

// write adds the series of the metric name to t, with labels of their own before that of the bound.
func (h histogram) write(t text, name string, bounds []float64, own ...string) {
	total := uint64(0)
	for i, n := range h.within {
		bound := "+Inf"
		if i < len(bounds) {
			bound = number(bounds[i])
		}
		total += n
		t.add(name, "_bucket"+labels(append(slices.Clone(own), "le", bound)...), float64(total))
	}
	at := ""
	if len(own) > 0 {
		at = labels(own...)
	}
	t.add(name, "_sum"+at, h.sum.Seconds())
	t.add(name, "_count"+at, float64(total))
}
