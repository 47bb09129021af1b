package main

import (
	"fmt"
	"strings"
)

// The plot's measures, in pixels.
const (
	plotWidth = 900.0
	panel     = 90.0 // the height of each curve's field
	gap       = 34.0
	margin    = 60.0
	curve     = 600 // points at most
)

// colours of the targets that failed.
var colours = map[string]string{imds: "#f4b6b6", storage: "#f6d9a8", dns: "#b9cdf2"}

// draw is the soak as SVG: what failed as bands, and curves over them.
func (r record) draw() string {
	var b strings.Builder
	curves := []struct {
		title string
		of    func(i int) float64
	}{
		{fmt.Sprintf("accounts with a ticket, of %d", r.Accounts), func(i int) float64 { return float64(r.Points[i].Good) }},
		{"requests a second", r.rate(func(p point) float64 { return float64(p.Requests) })},
		{"log, bytes a second", r.rate(func(p point) float64 { return float64(p.Log) })},
		{"memory, MiB", func(i int) float64 { return float64(r.Points[i].RSS) / 1024 }},
	}
	height := float64(len(curves))*(panel+gap) + 40
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="12">`+"\n", plotWidth, height)
	fmt.Fprintf(&b, `<rect width="%g" height="%g" fill="white"/>`+"\n", plotWidth, height)
	for i, c := range curves {
		top := gap + float64(i)*(panel+gap)
		r.bands(&b, top)
		r.line(&b, top, c.title, c.of)
	}
	x := margin
	for _, target := range []string{imds, storage, dns} {
		fmt.Fprintf(&b, `<rect x="%g" y="%g" width="14" height="12" fill="%s"/><text x="%g" y="%g">%s fails</text>`+"\n",
			x, height-24, colours[target], x+20, height-14, target)
		x += 130
	}
	fmt.Fprintf(&b, `<text x="%g" y="%g" text-anchor="end">%.0f minutes, seed %d</text>`+"\n</svg>\n", plotWidth-10, height-14, r.Lasted/60, r.Seed)
	return b.String()
}

// x is where a second of the soak is.
func (r record) x(second float64) float64 {
	return margin + (plotWidth-margin-10)*second/max(r.Lasted, 1)
}

func (r record) bands(b *strings.Builder, top float64) {
	for _, s := range r.Spells {
		fmt.Fprintf(b, `<rect x="%.1f" y="%g" width="%.1f" height="%g" fill="%s"/>`+"\n", r.x(s.From), top, r.x(s.To)-r.x(s.From), panel, colours[s.Target])
	}
	fmt.Fprintf(b, `<rect x="%g" y="%g" width="%g" height="%g" fill="none" stroke="#999"/>`+"\n", margin, top, plotWidth-margin-10, panel)
}

// line draws a curve, with the worst of the points that share a place.
func (r record) line(b *strings.Builder, top float64, title string, of func(int) float64) {
	most := 1.0
	for i := range r.Points {
		most = max(most, of(i))
	}
	step := max(1, len(r.Points)/curve)
	var at []string
	for i := range r.Points {
		if i%step == 0 {
			at = append(at, fmt.Sprintf("%.1f,%.1f", r.x(r.Points[i].At), top+panel-panel*of(i)/most))
		}
	}
	fmt.Fprintf(b, `<text x="%g" y="%g">%s</text><text x="%g" y="%g" text-anchor="end">%.0f</text><text x="%g" y="%g" text-anchor="end">0</text>`+"\n",
		margin, top-6, title, margin-6, top+10, most, margin-6, top+panel)
	fmt.Fprintf(b, `<polyline fill="none" stroke="#1a4d80" points="%s"/>`+"\n", strings.Join(at, " "))
}

// rate is how fast something grows.
func (r record) rate(of func(point) float64) func(int) float64 {
	return func(i int) float64 {
		j := max(0, i-10)
		if i == j {
			return 0
		}
		return (of(r.Points[i]) - of(r.Points[j])) / (r.Points[i].At - r.Points[j].At)
	}
}
