package main

import (
	"slices"
	"testing"
	"time"
)

// count simulates machines that are all busy and gives their requests.
func count(s scenario, hosts int) (times, counts) {
	at := s.times()
	seconds := int(at.end / time.Second)
	c := counts{make([]int32, seconds), make([]int32, seconds)}
	for i := range hosts {
		simulate(s, at, i, true, c)
	}
	return at, c
}

func sum(of []int32) (n int) {
	for _, x := range of {
		n += int(x)
	}
	return n
}

func TestSimulation(t *testing.T) {
	const hosts = 100
	plain := scenario{ticket: time.Hour, token: 24 * time.Hour}
	at, c := count(plain, hosts)
	steady := c.storage[int(at.settled/time.Second):int(at.down/time.Second)]
	// Without the daemon each login would ask; with it a ticket of an hour is asked for after 36 minutes.
	if n := sum(steady); n < 2*hosts || n > 4*hosts {
		t.Errorf("%d requests in 2 hours", n)
	}
	if sum(c.tokens) != sum(c.storage) {
		t.Errorf("%d tokens for %d requests, and none is kept", sum(c.tokens), sum(c.storage))
	}

	jitter := scenario{ticket: time.Hour, token: 24 * time.Hour, jitter: true, kept: true}
	_, j := count(jitter, hosts)
	if n := sum(j.tokens); n != hosts {
		t.Errorf("%d tokens, and each of %d is good for a day", n, hosts)
	}
	spread := j.storage[int(at.settled/time.Second):int(at.down/time.Second)]
	if slices.Max(spread)*5 > slices.Max(steady) {
		t.Errorf("with jitter %d requests in the busiest second, without %d", slices.Max(spread), slices.Max(steady))
	}
}
