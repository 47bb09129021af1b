package config

import "time"

// Refresh says when the watcher replaces a ticket.
type Refresh struct {
	At           float64       // share of its lifetime after which it is due, 0.05 to 0.95
	BeforeExpiry time.Duration // the latest moment, before its end
	Jitter       float64       // share of its lifetime over which hosts and endpoints spread, 0 to 0.5
	Concurrency  int           // exchanges at once
}

// Refresh gives what refresh: says, or the defaults.
func (c *Config) Refresh() Refresh { return c.refresh }
