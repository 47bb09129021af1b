package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// storyTime bounds one story; what it started by then is killed.
const storyTime = 6 * time.Minute

// Among the names of stories: longRun has each do all that it can, where it does less by itself; patientRun has commands
// take as long as they take, where the question is what works.
const (
	longRun    = "long"
	patientRun = "patient"
)

// storyFolder has the stories that are told under every profile; the others are in folders below it
// that are named after theirs.
const storyFolder = "/lab/stories"

// fstab is what /etc/fstab holds in a story that brings no file of that name.
const fstab = "//acct.file.core.windows.net/share /mnt/share azfiles _netdev,nofail,identity=system 0 0\n"

// runStories prints a verdict for each story, after its log when it failed; see lab.Results.
func runStories(machines []*machine, names []string) error {
	told, failed := 0, 0
	long, patient := slices.Contains(names, longRun), slices.Contains(names, patientRun)
	names = slices.DeleteFunc(names, func(n string) bool { return n == longRun || n == patientRun })
	for _, m := range machines {
		m.long, m.patient = long, patient
		files, err := m.stories(names)
		if err != nil {
			return err
		}
		for _, file := range files {
			v := m.tell(file)
			told++
			if v.failed {
				failed++
			}
			v.print(m.name + "/" + storyName(file))
		}
	}
	if failed > 0 || told == 0 {
		return fmt.Errorf("%d of %d stories failed", failed, told)
	}
	return nil
}

// tell runs one story on a clean machine and leaves it so.
func (m *machine) tell(file string) *verdict {
	v := &verdict{start: time.Now()}
	if err := m.prepare(file); err != nil {
		v.Log("making the machine clean:", err)
		v.failed = true
		return v
	}
	m.perform(file, v)
	if v.failed {
		m.endPoint("FAIL")
		m.logTo(v)
	}
	m.endPoint("PASS")
	if err := m.reset(); err != nil {
		v.Log("cleaning up:", err)
		v.failed = true
	}
	return v
}

// perform runs the script of a story and leaves the machine as that left it.
func (m *machine) perform(file string, v *verdict) {
	v.Run("", func(t testscript.T) {
		testscript.RunT(t, testscript.Params{
			Files:              []string{file},
			Setup:              m.setup,
			Cmds:               m.commands(),
			Condition:          m.condition,
			RequireUniqueNames: true,
			Deadline:           time.Now().Add(storyTime),
		})
	})
}

// condition is true for [long] when the run may take as long as it takes.
func (m *machine) condition(name string) (bool, error) {
	if name != longRun {
		return false, fmt.Errorf("there is no condition %q", name)
	}
	return m.long, nil
}

func (m *machine) prepare(file string) error {
	if err := m.reset(); err != nil {
		return err
	}
	return m.log.begin(m.name + "/" + storyName(file))
}

// logTo adds what kernel and handlers have to say to the log of a story that failed.
func (m *machine) logTo(v *verdict) {
	for _, name := range []string{"kernel", "syslog", "daemon"} {
		text, err := m.log.since(name)
		if err != nil {
			v.Log(err)
		}
		lines := slices.DeleteFunc(strings.SplitAfter(string(text), "\n"), func(line string) bool {
			return strings.Contains(line, " smbd[") // it has a log of its own
		})
		v.Log("the end of what the", name, "said:\n"+strings.Join(lines[max(0, len(lines)-25):], ""))
	}
}

// verdict collects how a story ends; it is the testing.T of a program that is no test.
type verdict struct {
	start   time.Time
	failed  bool
	verbose bool
	log     strings.Builder
}

// Run calls f and waits. f runs in a goroutine of its own so that FailNow can end it.
func (v *verdict) Run(_ string, f func(testscript.T)) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(v)
	}()
	<-done
}

// print prints the verdict of a story, after its log when it failed; see lab.Results.
func (v *verdict) print(name string) {
	word := "PASS"
	if v.failed {
		word = "FAIL"
		for line := range strings.Lines(v.log.String()) {
			fmt.Println("|", strings.TrimRight(line, "\n"))
		}
	}
	fmt.Println(word, name, time.Since(v.start).Round(10*time.Millisecond))
}

// FailNow ends the story.
func (v *verdict) FailNow() {
	v.failed = true
	runtime.Goexit()
}

// Fatal ends the story and says why.
func (v *verdict) Fatal(args ...any) {
	v.Log(args...)
	v.FailNow()
}

// Skip fails: every story can run here.
func (v *verdict) Skip(args ...any) { v.Fatal(append([]any{"skipped:"}, args...)...) }

// Log keeps what there is to say for the case that the story fails.
func (v *verdict) Log(args ...any) { fmt.Fprintln(&v.log, args...) }

// Parallel does nothing: the stories share one machine.
func (v *verdict) Parallel() {}

// Verbose tells whether a part of a story that went well shows more than its heading.
func (v *verdict) Verbose() bool { return v.verbose }
