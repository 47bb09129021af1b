package main

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// bootStories has the stories of the systemd guest, each of which is one boot.
const bootStories = "/lab/boots"

// bootTime bounds the story of one boot.
const bootTime = 15 * time.Minute

// runBoot tells the story of this boot, with settings in its environment. The machine is as the boots before have left
// it, and stays as the story leaves it.
func runBoot(name string, settings []string) error {
	m := &machine{azure: newAzure(), log: &logs{}, workers: make(map[string]*worker), marks: make(map[string]time.Time)}
	commands := m.commands()
	commands["flawless"] = m.flawless
	commands["before"] = before
	commands["took"] = took
	v := &verdict{start: time.Now()}
	v.Run("", func(t testscript.T) {
		testscript.RunT(t, testscript.Params{
			Files: []string{filepath.Join(bootStories, name+".txtar")},
			Cmds:  commands,
			Setup: func(env *testscript.Env) error {
				env.Vars = append(env.Vars, settings...)
				return nil
			},
			WorkdirRoot:        "/run", // /tmp is emptied while the machine comes up
			RequireUniqueNames: true,
			Deadline:           time.Now().Add(bootTime),
		})
	})
	if v.failed {
		journal, err := exec.Command("journalctl", "-b", "-o", "short-monotonic", "--no-hostname", "-n", "60").CombinedOutput()
		v.Log("the end of the journal:", err, "\n"+string(journal))
	}
	v.print("systemd/" + name)
	if v.failed {
		return errors.New("the story failed")
	}
	return nil
}

// flawless LOG demands that the application saw no error at all and waited for nothing long.
func (m *machine) flawless(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: flawless LOG")
	}
	var problems []string
	events := m.events(ts, args[0])
	for _, e := range events {
		if e.err != "ok" || e.end.Sub(e.start) > patience {
			problems = append(problems, e.String())
		}
	}
	if len(events) == 0 {
		problems = append(problems, "the application did nothing")
	}
	demand(ts, problems)
}

// before UNIT UNIT demands that the first was up before the second was begun.
func before(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: before UNIT UNIT")
	}
	up, begun := unitTime(ts, args[0], "ActiveEnter"), unitTime(ts, args[1], "InactiveExit")
	if up == 0 || begun <= up {
		ts.Fatalf("%s was up at %v, %s begun at %v", args[0], up, args[1], begun)
	}
}

// unitTime is when a unit last changed so, since the boot; 0 means never.
func unitTime(ts *testscript.TestScript, unit, change string) time.Duration {
	out, err := exec.Command("systemctl", "show", "-P", change+"TimestampMonotonic", unit).Output()
	ts.Check(err)
	d, err := time.ParseDuration(strings.TrimSpace(string(out)) + "us")
	ts.Check(err)
	return d
}
