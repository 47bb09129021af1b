package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Where a credential cache may be, and what else belongs to one story; nothing of it may be left.
var leftovers = []string{"/tmp/*", "/tmp/.krb5cc*", "/run/azfilesauth", "/mnt/*", "/srv/share/*"}

// machine is the guest with one of its profiles.
type machine struct {
	profile
	azure  *azure
	server *server
	log    *logs
	long   bool // see longRun

	patient bool // see patientRun

	// What belongs to one story.
	workers map[string]*worker   // by the path of their logs
	marks   map[string]time.Time // by name
	daemon  *daemon
	tap     *tap

	part      string // of the story that is under way
	partStart time.Time
}

// newMachines gives the same guest with each profile.
func newMachines() ([]*machine, error) {
	profiles, err := newProfiles()
	if err != nil {
		return nil, err
	}
	samba, err := newServer()
	if err != nil {
		return nil, err
	}
	azure := newAzure()
	var all []*machine
	for _, p := range profiles {
		all = append(all, &machine{profile: p, azure: azure, server: samba, log: &logs{}})
	}
	return all, nil
}

// reset makes the machine as it was: nothing mounted, no ticket, no key, no order.
func (m *machine) reset() error {
	m.workers, m.marks, m.tap = make(map[string]*worker), make(map[string]time.Time), nil
	errs := []error{m.azure.forgetOrders(), unmountAll()}
	awaitHandlers() // or one would ask for a ticket when the caches are gone, and be counted in the next story
	errs = append(errs, m.apply(), m.server.configured())
	for _, p := range leftovers {
		found, err := filepath.Glob(p)
		errs = append(errs, err)
		for _, f := range found {
			errs = append(errs, os.RemoveAll(f))
		}
	}
	errs = append(errs, clearSpnego(), syncRun("keyctl", "clear", "@u"), os.Mkdir("/srv/share/sub", 0o777), os.Chmod("/srv/share/sub", 0o777))
	return errors.Join(append(errs, m.azure.reset())...)
}

// handlersTime bounds the wait for the kernel's last requests: longer than the deadline of our handler.
const handlersTime = 10 * time.Second

// awaitHandlers waits until no request of the kernel for a ticket is under way: a session that was lost right before the
// unmount is still set up again.
func awaitHandlers() {
	for began := time.Now(); time.Since(began) < handlersTime && requested(); {
		time.Sleep(50 * time.Millisecond)
	}
}

// requested reports whether the kernel has started a program for a request.
func requested() bool {
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	return slices.ContainsFunc(names, func(name string) bool {
		comm, _ := os.ReadFile(name) // of a process that has ended meanwhile
		return slices.Contains([]string{"request-key", "azfiles.upcall", "cifs.upcall"}, strings.TrimSpace(string(comm)))
	})
}

// unmountAll unmounts what is left, by force where it must: the next story needs it gone.
func unmountAll() error {
	lines, err := cifsMounts()
	errs := []error{err}
	for _, line := range lines {
		if err := syncRun("umount", target(line)); err != nil {
			errs = append(errs, err, syncRun("umount", "-l", target(line)))
		}
	}
	return errors.Join(errs...)
}

// clearSpnego forgets the kernel's failed requests for tickets, which it remembers for a minute.
func clearSpnego() error {
	keys, err := os.ReadFile("/proc/keys")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(keys)) {
		if f := strings.Fields(line); len(f) > 8 && slices.Contains(f, ".cifs_spnego:") {
			return syncRun("keyctl", "clear", "0x"+f[0])
		}
	}
	return nil
}

// cifsMounts are the lines of mountinfo with a cifs mount, the newest first.
func cifsMounts() (lines []string, err error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, " - cifs ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	slices.Reverse(lines)
	return lines, err
}

// target is the mount point in a line of mountinfo (proc(5), field 5), where octal escapes stand
// for white space.
func target(line string) string {
	f := strings.Fields(line)
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(f[4])
}

// syncRun runs a command and turns what it said into the error.
func syncRun(name string, args ...string) error {
	c := exec.Command(name, args...)
	c.WaitDelay = time.Second
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", c, err, bytes.TrimSpace(out))
	}
	return nil
}
