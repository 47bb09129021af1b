package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/lab"
)

// The bounds and times of a soak.
const (
	soakTickets = 20 * time.Second
	soakTokens  = 330 * time.Second // kept for the 30 s that are left after the margin of 5 minutes
	shortest    = time.Second       // of a fault
	longest     = 12 * time.Second
	// answers is how long an account must have answered before its ticket expires, for that to be our fault; with as many
	// times what a refresh of all accounts takes on the machine when nothing fails.
	answers   = 5 * time.Second
	refreshes = 2
	// stays bounds how long an account that answers can stay without a ticket: the longest wait between two attempts.
	stays  = 65 * time.Second
	sample = time.Second
)

// soakFlags are those of endure soak.
type soakFlags struct {
	lasts     time.Duration
	endpoints int
	seed      uint64
	plot, out string
}

func (s *soakFlags) add(flags *flag.FlagSet) {
	flags.DurationVar(&s.lasts, "for", 25*time.Minute, "how long")
	flags.IntVar(&s.endpoints, "endpoints", 50, "accounts that are mounted")
	flags.Uint64Var(&s.seed, "seed", 0, "of the faults; 0 is another one each time")
	flags.StringVar(&s.plot, "plot", "", "draw into this file, as SVG")
	flags.StringVar(&s.out, "doc", "", "put what came of it into this page as well, in the place of what is there")
}

// point is what was seen at a moment.
type point struct {
	At       float64 // seconds since the start
	Good     int     // accounts that have an unexpired ticket
	Requests int     // since the start
	Tickets  int
	Log      int64
	weight
}

// spell is a time in which something failed.
type spell struct {
	Target   string
	Fault    fault
	Host     string // "" is all
	From, To float64
}

// record is a soak.
type record struct {
	Seed       uint64
	Idle       float64 // seconds that a refresh of all accounts takes when nothing fails, at most
	Lasted     float64
	Accounts   int
	Points     []point
	Spells     []spell
	Goroutines int
	Expired    int      // tickets that expired while their account did not answer, or hardly had
	Longest    float64  // seconds that an account was without a ticket although it answered
	Problems   []string // what must not be
	Load       string
}

// run starts the soak in namespaces, and tells what came of it.
func (s *soakFlags) run(ctx context.Context, binary string) error {
	if s.seed == 0 {
		s.seed = uint64(time.Now().UnixNano()) % 1_000_000
	}
	fmt.Printf("seed %d\n", s.seed)
	again := namespaced(ctx, "soaking", "-for", s.lasts.String(), "-endpoints", fmt.Sprint(s.endpoints), "-seed", fmt.Sprint(s.seed), binary)
	again.Stderr = os.Stderr
	text, err := again.Output()
	if err != nil {
		return fmt.Errorf("in the namespaces: %w", err)
	}
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return err
	}
	said := r.tell()
	fmt.Print(said)
	if s.out != "" {
		err = lab.ReplacePart(s.out, "soak", "| | |\n| --- | --- |\n"+said)
	}
	if s.plot != "" {
		err = errors.Join(err, os.WriteFile(s.plot, []byte(r.draw()), 0o644))
	}
	if len(r.Problems) > 0 {
		return fmt.Errorf("%d problems, the first: %s", len(r.Problems), r.Problems[0])
	}
	return err
}

// soaking is a soak under way.
type soaking struct {
	record
	*machine
	d       *daemon
	began   time.Time
	asks    *rand.Rand
	now     *spell               // nil: all is well
	well    map[string]time.Time // since when the account and all on the way to it answer; absent since the start
	ends    map[string]time.Time // of the tickets that were seen last
	without map[string]time.Time // the accounts without a ticket, since when each is
	counted int                  // requests before the fake forgot them
	given   int                  // tickets, likewise
}

// soak is the process in the namespaces.
func (s *soakFlags) soak(binary string) error {
	m, err := newMachine(s.endpoints, soakTickets, "system")
	if err != nil {
		return err
	}
	defer m.fake.Close()
	m.tokens = soakTokens
	m.calm()
	if err := m.mounted(); err != nil {
		return err
	}
	k := &soaking{
		record: record{Seed: s.seed, Accounts: s.endpoints, Load: load()}, machine: m,
		asks: rand.New(rand.NewPCG(s.seed, 0)), //nolint:gosec // faults that can be repeated
		well: map[string]time.Time{}, ends: map[string]time.Time{}, without: map[string]time.Time{},
	}
	if k.d, err = startDaemon(binary); err != nil {
		return err
	}
	if !until(giveUp, func() bool { return len(m.unexpired()) == s.endpoints }) {
		return fmt.Errorf("the daemon got %d tickets of %d, and nothing failed", len(m.unexpired()), s.endpoints)
	}
	if err := k.idle(); err != nil {
		return err
	}
	if err := k.live(s.lasts); err != nil {
		return err
	}
	k.Load += " to " + load()
	if k.Goroutines, err = k.d.goroutines(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(k.record)
}

// idle measures what a refresh of all accounts takes.
func (k *soaking) idle() error {
	for range 3 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		began := time.Now()
		_, err := k.d.client.Refresh(ctx, "")
		cancel()
		if err != nil {
			return err
		}
		k.Idle = max(k.Idle, time.Since(began).Seconds())
	}
	return nil
}

// live lets things fail by chance, and looks.
func (k *soaking) live(lasts time.Duration) error {
	k.began = time.Now()
	change, look := k.began, k.began
	for time.Since(k.began) < lasts {
		if !k.d.alive() {
			return fmt.Errorf("the daemon has ended after %s", time.Since(k.began))
		}
		if !time.Now().Before(change) {
			if err := k.change(); err != nil {
				return err
			}
			change = time.Now().Add(shortest + time.Duration(k.asks.Int64N(int64(longest-shortest))))
		}
		k.judge()
		if !time.Now().Before(look) {
			if err := k.sample(); err != nil {
				return err
			}
			look = look.Add(sample)
		}
		time.Sleep(100 * time.Millisecond)
	}
	k.Lasted = time.Since(k.began).Seconds()
	return k.heal()
}

// since is a moment as seconds since the start.
func (k *soaking) since(t time.Time) float64 { return t.Sub(k.began).Seconds() }

// change ends what fails, or lets something fail.
func (k *soaking) change() error {
	now := time.Now()
	if k.now != nil {
		if err := k.heal(); err != nil {
			return err
		}
		k.now.To = k.since(now)
		k.Spells = append(k.Spells, *k.now)
		for _, h := range k.accounts {
			if k.touches(h) {
				k.well[h] = time.Now()
			}
		}
		k.now = nil
		return nil
	}
	faults := []fault{down, hang, slow, status5, busy, garbage, reset, flapping}
	k.now = &spell{Target: []string{imds, storage, storage, dns}[k.asks.IntN(4)], Fault: faults[k.asks.IntN(len(faults))], From: k.since(now)}
	if _, byFake := orders(k.now.Fault); byFake && k.now.Target == storage && k.asks.IntN(2) == 0 {
		k.now.Host = k.accounts[k.asks.IntN(len(k.accounts))]
	}
	return k.inflict(k.now.Target, k.now.Fault, k.now.Host)
}

// touches reports whether what fails is on the way to an account.
func (k *soaking) touches(h string) bool {
	return k.now != nil && (k.now.Host == "" || k.now.Host == h)
}

// judge notes the tickets that have expired, and whether they may have.
func (k *soaking) judge() {
	now, good := time.Now(), k.unexpired()
	for _, h := range k.accounts {
		if end, found := good[h]; found {
			k.ends[h] = end
			delete(k.without, h)
			continue
		}
		answered := now.Sub(k.well[h])
		if k.touches(h) {
			answered = 0
		}
		k.Longest = max(k.Longest, min(answered, now.Sub(k.ends[h])).Seconds())
		if _, known := k.without[h]; known {
			if answered > stays && k.without[h].Add(stays).Before(now) {
				k.note("%s stays without a ticket and has answered for %.0f s", h, answered.Seconds())
				k.without[h] = now
			}
			continue
		}
		k.without[h] = now
		k.Expired++
		if answered-now.Sub(k.ends[h]) > answers+time.Duration(refreshes*k.Idle*float64(time.Second)) {
			k.note("the ticket of %s expired, and the account had answered for %.1f s", h, (answered - now.Sub(k.ends[h])).Seconds())
		}
	}
}

func (k *soaking) note(format string, a ...any) {
	text := fmt.Sprintf("after %.0f s: ", time.Since(k.began).Seconds()) + fmt.Sprintf(format, a...)
	if n := len(k.Spells); n > 0 {
		text += fmt.Sprintf(", after %s %s", k.Spells[n-1].Target, k.Spells[n-1].Fault)
	}
	fmt.Fprintln(os.Stderr, text)
	k.Problems = append(k.Problems, text)
}

// sample takes a point of the series.
func (k *soaking) sample() error {
	w, err := k.d.weigh()
	if err != nil {
		return err
	}
	requests, tickets := k.asked()
	if requests > 2000 {
		k.fake.ResetRequests() // what comes in between is not counted
		k.counted, k.given = k.counted+requests, k.given+tickets
		requests, tickets = 0, 0
	}
	k.Points = append(k.Points, point{
		At: k.since(time.Now()), Good: len(k.unexpired()), Requests: k.counted + requests, Tickets: k.given + tickets, Log: k.d.logged(), weight: w,
	})
	return nil
}

// tell is what came of a soak, in Markdown.
func (r record) tell() string {
	if len(r.Points) < 2 {
		return "it was too short\n"
	}
	first, last := r.Points[min(30, len(r.Points)/2)], r.Points[len(r.Points)-1]
	most := first.weight
	for _, p := range r.Points {
		most = weight{max(most.RSS, p.RSS), max(most.Descriptors, p.Descriptors), max(most.Threads, p.Threads)}
	}
	failing := 0.0
	for _, s := range r.Spells {
		failing += s.To - s.From
	}
	minutes := (last.At - first.At) / 60
	var b strings.Builder
	for _, line := range [][2]string{
		{"seed, date", fmt.Sprintf("%d, %s, at a load of %s", r.Seed, time.Now().UTC().Format(time.DateOnly), r.Load)},
		{"a refresh of all accounts when nothing failed, at most", fmt.Sprintf("%.2f s", r.Idle)},
		{"lasted", fmt.Sprintf("%.0f s, in %.0f s of which something failed, %d times", r.Lasted, failing, len(r.Spells))},
		{"tickets of 20 s, for accounts", fmt.Sprintf("%d for %d", last.Tickets, r.Accounts)},
		{"requests that reached Azure, for each ticket", fmt.Sprintf("%.2f", float64(last.Requests)/float64(max(last.Tickets, 1)))},
		{"tickets that expired while the account answered", fmt.Sprint(len(r.Problems))},
		{"tickets that expired while it did not, or had not for long", fmt.Sprint(r.Expired - len(r.Problems))},
		{"the longest time without a ticket at an account that answered again", fmt.Sprintf("%.1f s", r.Longest)},
		{"log", fmt.Sprintf("%.1f KiB a minute", float64(last.Log-first.Log)/1024/minutes)},
		{"memory after half a minute, at the end, at most", fmt.Sprintf("%.1f, %.1f, %.1f MiB", float64(first.RSS)/1024, float64(last.RSS)/1024, float64(most.RSS)/1024)},
		{"descriptors, threads, at most", fmt.Sprintf("%d, %d", most.Descriptors, most.Threads)},
		{"goroutines at the end", fmt.Sprint(r.Goroutines)},
	} {
		fmt.Fprintf(&b, "| %s | %s |\n", line[0], line[1])
	}
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "| problem | %s |\n", p)
	}
	return b.String()
}
