//go:build lab

package lab

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

// podsLimit bounds the guest that is a node of Kubernetes, in which two lives of a node take about fifteen minutes.
const podsLimit = 70 * time.Minute

// TestPods boots a node of the suite $SUITE, and shows each step of the pods' test as one of its own.
func TestPods(t *testing.T) {
	l, err := NewKubernetes(os.Getenv("SUITE"), testLog{t})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), podsLimit)
	defer cancel()
	var log strings.Builder
	done := 0
	err = l.RunPods(ctx, func(line string) {
		log.WriteString(line + "\n")
		verdict, rest, ok := strings.Cut(strings.TrimSpace(line), ": ")
		name, took, _ := strings.Cut(rest, " ")
		name = strings.TrimPrefix(name, "TestGuest/")
		if !ok || !strings.HasPrefix(verdict, "--- ") || !strings.Contains(name, "/") {
			return
		}
		done++
		t.Run(name, func(t *testing.T) {
			t.Log("in the guest:", took)
			if verdict != "--- PASS" {
				t.Error(verdict)
			}
		})
	})
	if err != nil || done == 0 {
		t.Errorf("%d steps: %v\n%s", done, err, log.String())
	}
	if t.Failed() {
		t.Log("console and logs of the guest:", l.Logs())
	}
}
