package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	peaks    = 5          // how often the peak memory of a program is measured
	peakFile = "peak.txt" // where the program peak writes it
)

// program is a command line that is run again and again.
type program struct {
	path   string
	args   []string // with the name that it is called by
	before func()   // is called before each run; nil for nothing
}

func (p program) run(path string, args []string) (*exec.Cmd, time.Duration, error) {
	if p.before != nil {
		p.before()
	}
	c := exec.Command(path)
	c.Args = args
	start := time.Now()
	out, err := c.CombinedOutput()
	took := time.Since(start)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w: %.500s", p.args[0], err, out)
	}
	return c, took, nil
}

// series is what the runs of one program took.
type series struct {
	wall, cpu []time.Duration
	rss       int64 // the largest peak, in KiB; 0 when it was not measured
}

// time runs p once and adds what it took.
func (s *series) time(p program) error {
	c, took, err := p.run(p.path, p.args)
	if err != nil {
		return err
	}
	s.wall = append(s.wall, took)
	s.cpu = append(s.cpu, c.ProcessState.UserTime()+c.ProcessState.SystemTime())
	return nil
}

// peak runs p a few times for its memory, by the program peak in the working folder.
func (s *series) peak(p program) error {
	for range peaks {
		if _, _, err := p.run("./peak", append([]string{"peak", peakFile, p.path}, p.args...)); err != nil {
			return err
		}
		if err := s.readPeak(peakFile); err != nil {
			return err
		}
	}
	return nil
}

func (s *series) readPeak(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	kib, err := strconv.ParseInt(string(text), 10, 64)
	s.rss = max(s.rss, kib)
	return err
}

// inTurn runs the programs one after the other, again and again.
func inTurn(ctx context.Context, runs int, programs ...program) ([]series, error) {
	all := make([]series, len(programs))
	for range runs {
		for i, p := range programs {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := all[i].time(p); err != nil {
				return nil, err
			}
		}
	}
	for i, p := range programs {
		if err := all[i].peak(p); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (s series) String() string {
	text := fmt.Sprintf("median %5.1f ms wall", ms(median(s.wall)))
	if len(s.cpu) > 0 {
		text += fmt.Sprintf(", %5.1f ms cpu", ms(median(s.cpu)))
	}
	if s.rss > 0 {
		text += fmt.Sprintf(", peak %4.1f MiB", float64(s.rss)/1024)
	}
	return fmt.Sprintf("%s, %d runs", text, len(s.wall))
}

// ratio of the medians of a and b.
func ratio(a, b series) string {
	text := fmt.Sprintf("%.2f (wall)", quotient(a.wall, b.wall))
	if len(a.cpu) > 0 {
		text += fmt.Sprintf(", %.2f (cpu)", quotient(a.cpu, b.cpu))
	}
	return text
}

func quotient(a, b []time.Duration) float64 { return float64(median(a)) / float64(median(b)) }

func median(d []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(d))
	return sorted[len(sorted)/2]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// line prints a result behind what it is of; bound says what it should keep, "" nothing.
func line(what string, result any, bound string) {
	text := fmt.Sprintf("%-54s  %s", what, result)
	if bound != "" {
		text += "; bound: " + bound
	}
	fmt.Println(strings.TrimSpace(text))
}
