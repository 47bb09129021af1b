package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/doctor"
)

// row is one cause for which a share does not mount, or will stop working: a line of the table of breaks.
type row struct {
	name    string
	class   string // "F": the mount fails; "C": it does where cifs.upcall answers; "L": later; "H": healthy
	handler string // who answers the kernel: one of the handlers

	breaks string // shell commands, see tools; or stopDaemon
	order  string // for Azure, see azurefake.Order

	mounts bool      // the share can be mounted all the same
	exit   int       // of doctor
	first  doctor.ID // what it names first; "" for nothing
	also   doctor.ID // what it may warn of besides
	says   string    // a regular expression that is somewhere in the results
	fix    string    // a regular expression for the fix that it prints
	mend   string    // one of the ways of mending, or shell commands that do what the fix says
}

// Who answers the kernel.
const (
	byUs    = "native" // azfiles.upcall by itself
	byOrder = "cifs"   // cifs.upcall, by the order of azfiles.upcall: upcall.mode
	byOther = "stock"  // cifs.upcall, without us
)

// stopDaemon is the break that ends the daemon.
const stopDaemon = "the daemon ended"

// Ways of mending.
const (
	mendRun    = "the printed command"
	mendFix    = "doctor --fix"
	mendLine   = "the printed line of the printed file, removed"
	mendOrders = "Azure as usual"     // the printed command is for a machine with az
	mendDaemon = "the daemon started" // the printed command is for a machine with systemd
)

// outcome is what came of a row.
type outcome struct {
	row
	mount, doctor string
	named, advice string // the first cause that the doctor names, and its fix
	after         string // mended
	problems      []string
}

// runDoctor breaks one thing after the other on an otherwise healthy machine, and demands of each that
// the doctor finds it and that what it says mends it. It prints a verdict for each row, see lab.Results,
// and the table at last.
func runDoctor(m *machine, names []string) error {
	t, err := newTable(m)
	if err != nil {
		return err
	}
	defer t.close()
	var all []outcome
	failed := 0
	for _, r := range rows() {
		if len(names) > 0 && !slices.Contains(names, r.title()) && !slices.Contains(names, r.class) {
			continue
		}
		v := &verdict{start: time.Now()}
		o := t.examine(r)
		for _, p := range o.problems {
			v.Log(p)
		}
		if v.failed = len(o.problems) > 0; v.failed {
			failed++
			m.logTo(v)
		}
		v.print("doctor/" + r.title())
		all = append(all, o)
	}
	printTable(all)
	if failed > 0 || len(all) == 0 {
		return fmt.Errorf("%d of %d rows failed", failed, len(all))
	}
	return nil
}

// title names a row in one word.
func (r row) title() string {
	return r.class + "/" + strings.ReplaceAll(r.name, " ", "-") + "/" + r.handler
}

// blame keeps what is not as it should be.
func (o *outcome) blame(format string, a ...any) {
	o.problems = append(o.problems, fmt.Sprintf(format, a...))
}

// with is the row with a warning that it brings with it.
func (r row) with(id doctor.ID) row {
	r.also = id
	return r
}

// examine plays one row.
func (t *table) examine(r row) (o outcome) {
	o.row = r
	if err := t.prepare(r); err != nil {
		o.blame("breaking it: %v", err)
		return o
	}
	mountErr := t.mount()
	o.mount = word(mountErr)
	if (mountErr == nil) != r.mounts {
		o.blame("the mount: %s", say(mountErr))
	}
	report, err := diagnose()
	if err != nil {
		o.blame("%v", err)
		return o
	}
	o.judge(report)
	if r.mend == "" || len(o.problems) > 0 {
		return o
	}
	t.cure(&o)
	return o
}

// word is the mount in the table.
func word(err error) string {
	if err != nil {
		return "fails"
	}
	return "works"
}

// say is the mount in a complaint.
func say(err error) string {
	if err == nil {
		return "it works"
	}
	return err.Error()
}

// printTable prints what came of all rows; fix is cut to what fits on a line.
func printTable(all []outcome) {
	const format = "table: %-33s %-2s %-6s  %-5s  %-6s  %-17s  %-25s %s\n"
	fmt.Printf(format, "break", "", "answer", "mount", "doctor", "first cause", "afterwards", "fix")
	for _, o := range all {
		fix := o.advice
		if len(fix) > 90 {
			fix = fix[:90] + "..."
		}
		fmt.Printf(format, o.name, o.class, o.handler, o.mount, o.doctor, o.named, o.after, fix)
	}
}
