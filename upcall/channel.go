package upcall

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// Some kernels (6.1) do not name the server when they log in on further channels of a session. The
// channel of a mount that is still being made is found by a note of the login that was just
// answered, others in the mount table.

// noteAge is for how long a note tells to whom a further channel belongs.
const noteAge = time.Minute

// channel finds the endpoint of a request without a host.
func (r *request) channel() (endpoint.Endpoint, error) {
	hosts := r.noted()
	if len(hosts) != 1 {
		found, err := r.mounted()
		if err != nil {
			return endpoint.Endpoint{}, err
		}
		hosts = found
	}
	switch len(hosts) {
	case 0:
		return endpoint.Endpoint{}, noChannel("no mount fits")
	case 1:
		return r.cfg.Resolver().Resolve(hosts[0])
	}
	return endpoint.Endpoint{}, noChannel(fmt.Sprintf("%d accounts fit", len(hosts)))
}

func noChannel(problem string) error {
	return fault.UpcallChannel.New(problem)
}

// mounted gives the hosts of the mounts that a further channel can belong to, one for each account.
func (r *request) mounted() ([]string, error) {
	all, err := r.mounts()
	if err != nil {
		return nil, fault.Internal.New().Because(err)
	}
	var hosts []string
	seen := map[string]bool{}
	for _, m := range all {
		addr, err := netip.ParseAddr(m.Addr)
		if err != nil || addr.Unmap().WithZone("") != r.desc.ip || !strings.HasPrefix(m.Sec, "krb5") ||
			m.CRUID != int(r.desc.creduid) || m.Username != r.desc.user || seen[m.Endpoint.Host()] {
			continue
		}
		seen[m.Endpoint.Host()] = true
		hosts = append(hosts, m.Endpoint.Host())
	}
	return hosts, nil
}

// A note is a file in a folder that only root can enter. Its name is a hash of who logged in and a
// hash of where, its content the canonical host and its time that of the answer.

func (h *handler) notes() string { return filepath.Join(h.run, "answered") }

// who is the start of the names of all notes with the same credential uid, user, thread and uid.
func (r *request) who() string {
	d := r.desc
	return digest(fmt.Sprintf("%d %d %d %s", d.creduid, d.uid, d.pid, d.user)) + "-"
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// remember leaves a note of this login, and removes those that are too old. Without it a mount has
// fewer channels, so its failure is no failure of the login.
func (r *request) remember() {
	if err := r.notesFolder(); err != nil {
		return
	}
	name := filepath.Join(r.notes(), r.who()+digest(r.endpoint.Host()))
	temp := fmt.Sprintf("%s.%d.tmp", name, os.Getpid())
	if os.WriteFile(temp, []byte(r.endpoint.Host()), 0o600) == nil {
		_ = os.Rename(temp, name)
	}
	entries, _ := os.ReadDir(r.notes())
	for _, e := range entries {
		if info, err := e.Info(); err == nil && !young(info.ModTime()) {
			_ = os.Remove(filepath.Join(r.notes(), e.Name()))
		}
	}
}

func (r *request) notesFolder() error {
	// First the outer one: users pass through it to their caches.
	if err := os.MkdirAll(r.run, 0o711); err != nil {
		return err
	}
	if err := os.MkdirAll(r.notes(), 0o700); err != nil {
		return err
	}
	return r.checkNotes()
}

// checkNotes refuses a folder in which others than root could have put something.
func (r *request) checkNotes() error {
	var st unix.Stat_t
	if err := unix.Lstat(r.notes(), &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Uid != 0 || st.Mode&0o077 != 0 {
		return fmt.Errorf("%s is not a folder of root's alone", r.notes())
	}
	return nil
}

// noted gives the hosts that were answered for a moment ago to who asks now.
func (r *request) noted() []string {
	if r.checkNotes() != nil {
		return nil
	}
	names, _ := filepath.Glob(filepath.Join(r.notes(), r.who()+"*"))
	var hosts []string
	for _, name := range names {
		info, err := os.Lstat(name)
		if err != nil || !info.Mode().IsRegular() || !young(info.ModTime()) || strings.HasSuffix(name, ".tmp") {
			continue
		}
		if host, err := os.ReadFile(name); err == nil {
			hosts = append(hosts, string(host))
		}
	}
	return hosts
}

// young reports whether a note still counts. One from the future is from before the clock was set back.
func young(at time.Time) bool {
	age := time.Since(at)
	return age >= 0 && age <= noteAge
}
