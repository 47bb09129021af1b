package upcall

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	machine "github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// Some kernels do not name the server when they log in on further channels of a session: before 5.16 its address stands
// in the name's place, from 5.19 to 6.15 nothing (commits 5112d80c162f, 4c14d7043fed and 306cb65bb0cb, which stable branches
// took over). The channel of a mount that is still being made is found by a note of the login that was just answered, others
// in the mount table.

// noteAge is for how long a note tells to whom a further channel belongs.
const noteAge = time.Minute

// channel finds the endpoint of a request without a host.
//
// The thread that logs in again after a session has ended is one of the kernel's, which logs in for many mounts: what it was
// answered for a moment ago counts only as far as the mount table does not contradict.
func (r *request) channel() (endpoint.Endpoint, error) {
	hosts, err := r.candidates()
	if err != nil {
		return endpoint.Endpoint{}, err
	}
	switch len(hosts) {
	case 0:
		return endpoint.Endpoint{}, fault.UpcallChannel.New("no mount fits")
	case 1:
		return mounts.Resolve(hosts[0], r.cfg.Resolver)
	}
	return endpoint.Endpoint{}, fault.UpcallChannel.New(fmt.Sprintf("%d accounts fit", len(hosts)))
}

// candidates are the hosts that a request without a host can belong to.
func (r *request) candidates() ([]string, error) {
	noted := r.noted()
	fit, several, err := r.mounted()
	if err != nil && len(noted) != 1 {
		return nil, err
	}
	hosts := fit
	if len(several) > 0 {
		hosts = several
	}
	noted = slices.DeleteFunc(noted, func(n note) bool {
		elsewhere := len(fit) > 0 && n.ip.IsValid() && n.ip != r.desc.ip // the thread has logged in for another mount
		return elsewhere || slices.Contains(fit, n.host) && !slices.Contains(hosts, n.host)
	})
	if len(noted) == 1 && !slices.Contains(hosts, noted[0].host) {
		hosts = []string{noted[0].host} // of a mount that is being made
	}
	return hosts, nil
}

// isOurChannel reports whether a request that names its server by the address can be for a further channel of a login of
// ours. Others mount by address too. Whatever goes wrong means that it is theirs.
func (r *request) isOurChannel(text string) (ours bool) {
	defer func() {
		if recover() != nil {
			ours = false
		}
	}()
	d, err := parseDescription(text)
	if err != nil || d.host == "" || d.named() {
		return false
	}
	cfg, err := config.Read(r.Host)
	if err != nil {
		return false
	}
	r.desc, r.cfg = d, cfg
	hosts, err := r.candidates()
	return err == nil && len(hosts) > 0
}

// mounted gives the hosts of the mounts that a request can belong to, each account once, and those of them that the
// kernel shows with several channels.
func (r *request) mounted() (fit, several []string, err error) {
	all, err := mounts.ListFrom(r.Mounts, r.cfg.Resolver)
	if err != nil {
		return nil, nil, fault.Internal.New().Because(err)
	}
	for _, m := range all {
		addr, err := netip.ParseAddr(m.Addr)
		if err != nil || addr.Unmap().WithZone("") != r.desc.ip || !m.IsKerberos() ||
			m.CRUID != int(r.desc.creduid) || m.Username != r.desc.user {
			continue
		}
		host := m.Endpoint.Host()
		if !slices.Contains(fit, host) {
			fit = append(fit, host)
		}
		if _, more := m.Options.Get("multichannel"); more && !slices.Contains(several, host) {
			several = append(several, host)
		}
	}
	return fit, several, nil
}

// A note is a file in a directory that only root can enter. Its name is a hash of who logged in and a
// hash of where, its content the canonical host and the server's address, its time that of the answer.
type note struct {
	host string
	ip   netip.Addr // not valid where the request named none, or the note was written by an earlier version
}

const (
	noteMode = 0o600
	maxNote  = 253 + 40 // bytes of a host's name (RFC 1035, 2.3.4) and of an address behind a space
	swept    = ".swept" // is no note; its time is when old ones were removed
)

func (h *handler) notes() (*machine.Dir, error) { return h.OwnDir(filepath.Join(h.Run, "answered")) }

// who is the start of the names of all notes with the same credential uid, user, thread and uid.
func (r *request) who() string {
	d := r.desc
	return digest(fmt.Sprintf("%d %d %d %s", d.creduid, d.uid, d.pid, d.user)) + "-"
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// remember leaves a note of this login. Without it a mount has
// fewer channels, so its failure is no failure of the login.
func (r *request) remember() {
	d, err := r.notes()
	if err != nil {
		return
	}
	defer d.Close()
	_ = d.Replace(r.who()+digest(r.endpoint.Host()), r.Own(noteMode), machine.Content([]byte(r.endpoint.Host()+" "+r.desc.ip.String())))
	r.sweep(d)
}

// sweep removes the notes that are too old, at most once in noteAge: where hundreds of mounts log in at once, each login
// would look at the notes of all others.
func (r *request) sweep(d *machine.Dir) {
	if r.isRecent(d, swept) {
		return
	}
	_ = d.Replace(swept, r.Own(noteMode), machine.Content(nil))
	names, _ := d.Names()
	for _, name := range names {
		if !r.isRecent(d, name) {
			_ = d.Remove(name)
		}
	}
}

// noted gives what was answered a moment ago to who asks now.
func (r *request) noted() (notes []note) {
	d, err := r.notes()
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Names()
	for _, name := range names {
		if !strings.HasPrefix(name, r.who()) || !r.isRecent(d, name) {
			continue
		}
		if text, err := d.Read(name, maxNote); err == nil {
			host, address, _ := strings.Cut(string(text), " ")
			ip, _ := netip.ParseAddr(address)
			notes = append(notes, note{host, ip})
		}
	}
	return notes
}

// isRecent reports whether a note still counts. One from the future is from before the clock was set back.
func (r *request) isRecent(d *machine.Dir, name string) bool {
	st, err := d.Stat(name)
	age := r.Now().Sub(time.Unix(st.Mtim.Unix()))
	return err == nil && age >= 0 && age <= noteAge
}
