package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// table is what came of the cells, in Markdown.
func table(outcomes []outcome, took time.Duration) string {
	var b strings.Builder
	idle := 0.0
	for _, o := range outcomes {
		idle = max(idle, o.Idle)
	}
	fmt.Fprintf(&b, "%d cells in %s on %d processors at a load of %s, %s. A program that does nothing took up to %.2f s, and bounds are %d times as much longer. Seconds from the end of the fault until all was well; a fault lasts %.0f s.\n\n",
		len(outcomes), took.Round(time.Second), runtime.NumCPU(), load(), time.Now().UTC().Format(time.DateOnly), idle, idles, faultTime.Seconds())
	b.WriteString("| target | fault |")
	for _, s := range situations {
		b.WriteString(" " + s.name + " |")
	}
	b.WriteString(" requests / tickets | requests a minute | log a minute | without a ticket |\n| --- | --- |" + strings.Repeat(" --- |", len(situations)+4) + "\n")
	var notes []string
	for len(outcomes) > 0 {
		n := 1
		for n < len(outcomes) && outcomes[n].Target == outcomes[0].Target && outcomes[n].Fault == outcomes[0].Fault {
			n++
		}
		row(&b, outcomes[:n], &notes)
		outcomes = outcomes[n:]
	}
	b.WriteString("\n")
	for i, n := range notes {
		fmt.Fprintf(&b, "%d. %s.\n", i+1, n)
	}
	return b.String()
}

// row is a line of the table: a target and a fault, in all situations.
func row(b *strings.Builder, of []outcome, notes *[]string) {
	fmt.Fprintf(b, "| %s | %s |", of[0].Target, of[0].Fault)
	var most outcome
	var ratios []string
	for _, s := range situations {
		i := slices.IndexFunc(of, func(o outcome) bool { return o.Situation == s.name })
		if i < 0 {
			b.WriteString(" |")
			continue
		}
		o := of[i]
		fmt.Fprintf(b, " %.1f%s |", o.Recovery, o.note(notes))
		ratios = append(ratios, fmt.Sprintf("%d/%d", o.Requests, o.Tickets))
		most.PerMinute, most.Log, most.Without = max(most.PerMinute, o.PerMinute), max(most.Log, o.Log), max(most.Without, o.Without)
	}
	fmt.Fprintf(b, " %s | %.0f | %.1f KiB | %.1f |\n", strings.Join(ratios, " "), most.PerMinute, most.Log/1024, most.Without)
}

// note is the number of why a cell may take longer, "" when it did not.
func (o outcome) note(notes *[]string) string {
	text := o.Why
	if len(o.Problems) > 0 {
		text = "FAILED: " + strings.Join(o.Problems, "; ")
	} else if o.Recovery <= recoverTime.Seconds() || text == "" {
		return ""
	}
	i := slices.Index(*notes, text)
	if i < 0 {
		i = len(*notes)
		*notes = append(*notes, text)
	}
	return fmt.Sprintf(" (%d)", i+1)
}

func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	one, _, _ := strings.Cut(string(text), " ")
	return one
}
