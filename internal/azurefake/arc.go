package azurefake

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// What clients know of Azure Arc's agent, which listens at a fixed place and writes its challenges to
// a folder that only root and the agent's group can read.
const (
	arcPort             = "40342"
	DefaultArcKeyFolder = "/var/opt/azcmagent/tokens"
)

// arcVersions are those of the agent's interface that are in use.
var arcVersions = []string{"2019-11-01", "2020-06-01"}

// serveArc is the metadata service of Azure Arc's agent (HIMDS). It knows one identity, that of the
// machine, and like the agent ignores the parameters that ask for another. A client proves that it
// may read the key folder: the first request is answered with the path of a new file there, the
// second one must bring the file's content.
func (f *Fake) serveArc(w http.ResponseWriter, r *http.Request) {
	key, answered := strings.CutPrefix(r.Header.Get("Authorization"), "Basic ")
	who := ManagedIdentity{SystemClientID, SystemObjectID, ""}
	answer := f.log.enter(w, r, Request{Time: f.now(), Target: TargetArc, Identity: who.name()})
	var o Order
	if answered {
		o = f.orders.forRequest(TargetArc, "", who.name())
	}
	if f.obey(answer, r, o, imdsFailure) {
		return
	}
	status, message := imdsProblem(r, arcVersions...)
	switch {
	case status != 0:
		imdsFailure(answer, status, "invalid_request", message)
	case !f.challenges.spend(key):
		f.challenge(answer)
	case f.opt.NoSystem:
		imdsFailure(answer, http.StatusBadRequest, "invalid_request", "Identity not found")
	default:
		f.sendToken(answer, r.URL.Query().Get("resource"), who, o)
	}
}

func (f *Fake) challenge(w http.ResponseWriter) {
	path, err := f.challenges.write()
	if err != nil {
		imdsFailure(w, http.StatusInternalServerError, "server_error", err.Error())
		return
	}
	w.Header().Set("WWW-Authenticate", "Basic realm="+path)
	imdsFailure(w, http.StatusUnauthorized, "unauthorized_client", "Missing Basic Authorization header")
}

// challenges are the key files that nobody has answered yet, by their content.
type challenges struct {
	folder string

	mu   sync.Mutex
	open map[string]string
}

func newChallenges(folder string) (*challenges, error) {
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return nil, fmt.Errorf("azurefake: %w", err)
	}
	return &challenges{folder: folder, open: make(map[string]string)}, nil
}

// write makes a key file, readable for owner and group as the agent's are.
func (c *challenges) write() (path string, err error) {
	path = filepath.Join(c.folder, newGUID()+".key")
	key := rand.Text() + rand.Text()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := os.WriteFile(path, []byte(key), 0o640); err != nil {
		return "", err
	}
	c.open[key] = path
	return path, nil
}

// spend reports whether this is the content of a key file, which is then of no further use.
func (c *challenges) spend(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	path, ok := c.open[key]
	if ok {
		delete(c.open, key)
		_ = os.Remove(path) // what is left of it opens nothing
	}
	return ok
}

// remove takes the files away that nobody asked about.
func (c *challenges) remove() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, path := range c.open {
		_ = os.Remove(path) // the folder may be gone already
	}
	clear(c.open)
}
