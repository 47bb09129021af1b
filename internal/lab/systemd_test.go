//go:build lab

package lab

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"
)

// bootsLimit bounds all boots of the systemd guest, of which each takes about a minute, and the making
// of its disk.
const bootsLimit = 40 * time.Minute

// TestBoots boots the systemd guest of the suite $SUITE once for each of its stories.
func TestBoots(t *testing.T) { live(t, NewMachine) }

// TestUpgradeBoots does the same with a machine that had the package of Azure/AzFilesAuthenticator.
func TestUpgradeBoots(t *testing.T) { live(t, OldMachine) }

// live has a machine live through all of its boots.
func live(t *testing.T, life string) {
	t.Helper()
	l, err := NewSystemd(os.Getenv("SUITE"), testLog{t})
	if err != nil {
		t.Fatal(err)
	}
	names, err := l.Boots(life)
	if err != nil || len(names) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), bootsLimit)
	defer cancel()
	var told []string
	results := Results{Done: func(r Result) {
		told = append(told, r.Name)
		t.Run(r.Name, func(t *testing.T) {
			t.Log("in the guest:", r.Time)
			if !r.OK {
				t.Error(r.Log)
			}
		})
	}}
	if err := l.RunBoots(ctx, life, results.Line); err != nil {
		t.Error(err)
	}
	for _, name := range names {
		if !slices.Contains(told, "systemd/"+name) {
			t.Errorf("the story %s did not come to its end", name)
		}
	}
	if t.Failed() {
		t.Log("consoles and logs of the guest:", l.Logs())
	}
}
