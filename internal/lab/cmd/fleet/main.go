// Command fleet simulates a region of machines that keep tickets fresh, to see what their requests
// add up to: at the storage accounts, and where tokens come from. Each machine runs the daemon's own
// plan (package watcher) against a clock of numbers; nothing is sent.
//
//	go run ./internal/lab/cmd/fleet -hosts 100000
//
// All machines start within a minute, as after a power cut. Later
// Azure is away for two hours and comes back at once, for everybody. Machines that read or write have
// the kernel ask for a ticket at each login, and again every 3 s while it cannot have one.
package main

import (
	"flag"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// scenario is one line of the table.
type scenario struct {
	name   string
	ticket time.Duration // the tickets' lifetime
	token  time.Duration // the access tokens' lifetime
	jitter bool
	kept   bool // tokens are kept until they end
}

func main() {
	hosts := flag.Int("hosts", 100_000, "machines, each with one share")
	busy := flag.Float64("busy", 0.1, "share of the machines that read or write without pause")
	flag.Parse()
	fmt.Printf("%d machines, one share each, 100 machines an account, %.0f%% of them reading or writing\n", *hosts, 100**busy)
	fmt.Printf("Requests a second. steady: before the outage, without the tickets' first lifetime; outage: while Azure is away;\nreturn: the first 10 minutes after it. peak is the busiest second.\n\n")
	fmt.Printf("%-34s %8s  %20s  %20s  %20s  %20s\n", "", "ticket", "storage", "storage", "storage", "tokens")
	fmt.Printf("%-34s %8s  %20s  %20s  %20s  %20s\n", "", "lifetime", "steady mean / peak", "outage mean / peak", "return mean / peak", "all mean / peak")
	for _, ticket := range []time.Duration{time.Hour, 24 * time.Hour} {
		for _, kind := range []struct {
			name  string
			token time.Duration
		}{{"managed identity", 24 * time.Hour}, {"Entra application", time.Hour}} {
			fmt.Println(kind.name)
			for _, s := range []scenario{
				{"  no jitter, no token cache", ticket, kind.token, false, false},
				{"  jitter", ticket, kind.token, true, false},
				{"  jitter and token cache", ticket, kind.token, true, true},
			} {
				run(s, *hosts, *busy)
			}
		}
	}
}

// times of a scenario, from its start.
type times struct{ settled, down, up, end time.Duration }

func (s scenario) times() times {
	down := 2*s.ticket + time.Hour
	up := down + 2*time.Hour
	return times{s.ticket, down, up, up + 2*time.Hour}
}

func run(s scenario, hosts int, busy float64) {
	at := s.times()
	seconds := int(at.end / time.Second)
	storage, tokens := make([]int32, seconds), make([]int32, seconds)
	var lock sync.Mutex
	var all sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		all.Go(func() {
			mine := counts{make([]int32, seconds), make([]int32, seconds)}
			for i := w; i < hosts; i += workers {
				simulate(s, at, i, float64(i%1000) < busy*1000, mine)
			}
			lock.Lock()
			defer lock.Unlock()
			for i := range seconds {
				storage[i] += mine.storage[i]
				tokens[i] += mine.tokens[i]
			}
		})
	}
	all.Wait()
	part := func(of []int32, from, to time.Duration) string {
		cut := of[int(from/time.Second):int(to/time.Second)]
		sum := 0
		for _, n := range cut {
			sum += int(n)
		}
		return fmt.Sprintf("%.0f / %d", float64(sum)/float64(len(cut)), slices.Max(cut))
	}
	fmt.Printf("%-34s %8s  %20s  %20s  %20s  %20s\n", s.name, fmt.Sprintf("%.0f h", s.ticket.Hours()),
		part(storage, at.settled, at.down), part(storage, at.down, at.up), part(storage, at.up, at.up+10*time.Minute),
		part(tokens, at.settled, at.end))
}
