//go:build lab

package lab

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

// doctorLimit bounds the run of the table of breaks: a few seconds for each row.
const doctorLimit = 10 * time.Minute

// TestDoctor breaks one thing after the other in the guest of the suite $SUITE: of each, the doctor has to
// name the cause and a fix that mends it. The log has the table.
func TestDoctor(t *testing.T) {
	l, err := New(os.Getenv("SUITE"), testLog{t})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), doctorLimit)
	defer cancel()
	rows := 0
	results := Results{Done: func(r Result) {
		rows++
		t.Run(strings.TrimPrefix(r.Name, "doctor/"), func(t *testing.T) {
			t.Log("in the guest:", r.Time)
			if !r.OK {
				t.Error(r.Log)
			}
		})
	}}
	var table strings.Builder
	err = l.Run(ctx, func(line string) {
		if text, ok := strings.CutPrefix(line, "table: "); ok {
			table.WriteString(text + "\n")
			return
		}
		results.Line(line)
	}, "doctor")
	if err != nil || rows == 0 {
		t.Errorf("%d rows: %v; console and logs of the guest: %s", rows, err, l.Logs())
	}
	t.Log("the table of breaks:\n" + table.String())
}
