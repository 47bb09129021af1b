package config

// Metrics says where counters are told. The zero value is nowhere.
type Metrics struct {
	Socket   string // "on": the watcher's socket answers /metrics
	Textfile string // a file for node_exporter's textfile collector, "" is none
}

// Metrics gives what metrics: says; by default nothing is counted.
func (c *Config) Metrics() Metrics { return c.metrics }

// On reports whether anything is to be counted.
func (m Metrics) On() bool { return m.Served() || m.Textfile != "" }

// Served reports whether the watcher's socket answers with them.
func (m Metrics) Served() bool { return m.Socket == "on" }
