package doctor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// cacheFile is the credential cache of one uid as it was found.
type cacheFile struct {
	cruid   int
	name    string      // as the configuration has it
	path    string      // "" when the name is none of a file
	info    fs.FileInfo // of the file, its link not followed; nil when there is none
	err     error       // why the file could not be looked at or read
	cache   *ccache.Cache
	damage  error // why it cannot be parsed, a fault
	trusted bool  // nobody but root could have written it
}

// cruids are the credential uids in use, the usual one first.
func (s *Subject) cruids() []int {
	uids := []int{s.Config.CredentialUID()}
	for i := range s.Targets {
		for _, use := range s.logins(&s.Targets[i]) {
			if !slices.Contains(uids, use.cruid) {
				uids = append(uids, use.cruid)
			}
		}
	}
	slices.Sort(uids[1:])
	return uids
}

// cacheOf reads the credential cache of a uid beneath the root.
func (s *Subject) cacheOf(cruid int) *cacheFile {
	return once(s, "cache "+strconv.Itoa(cruid), func() *cacheFile {
		c := &cacheFile{cruid: cruid, name: s.Config.CCacheName(cruid)}
		c.path = strings.TrimPrefix(c.name, "FILE:")
		if !filepath.IsAbs(c.path) {
			c.path = ""
			return c
		}
		if c.info, c.err = s.Lstat(c.path); c.err != nil {
			c.info = nil
			if errors.Is(c.err, fs.ErrNotExist) {
				c.err = nil
			}
			return c
		}
		c.read(s)
		return c
	})
}

func (c *cacheFile) read(s *Subject) {
	if !c.info.Mode().IsRegular() { // said by the check of the file
		return
	}
	c.trusted = s.Exposed(c.info) == nil
	f, err := s.Open(c.path)
	if c.err = err; err != nil {
		return
	}
	defer func() { _ = f.Close() }() // only read
	data, err := io.ReadAll(io.LimitReader(f, ccache.MaxSize+1))
	if c.err = err; err == nil {
		if c.cache, err = ccache.Parse(data); err != nil {
			c.damage = c.fault(fault.CCacheDamaged, err.Error())
		}
	}
}

// refusal says why every face refuses the file without reading it, or "".
func (c *cacheFile) refusal(trusted int) string {
	st, ok := c.info.Sys().(*syscall.Stat_t)
	uid := owner(c.info)
	if c.info.Mode()&fs.ModeSymlink != 0 {
		return "it is a symbolic link"
	}
	if !c.info.Mode().IsRegular() {
		return "it is no regular file"
	}
	if uid != 0 && uid != trusted && uid != c.cruid {
		return fmt.Sprintf("it belongs to uid %d, neither to root nor to the credential uid %d", uid, c.cruid)
	}
	if c.info.Mode().Perm()&0o022 != 0 {
		return fmt.Sprintf("others than its owner can write to it, its mode is %04o", c.info.Mode().Perm())
	}
	if ok && st.Nlink > 1 {
		return fmt.Sprintf("it has %d names (hard links)", st.Nlink)
	}
	return ""
}

// owner is the uid that a file belongs to.
func owner(info fs.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}

// eachCache judges the credential caches in use.
func (s *Subject) eachCache(examine func(*cacheFile) Result) Result {
	var found []Result
	for _, uid := range s.cruids() {
		found = append(found, examine(s.cacheOf(uid)))
	}
	return worst(found...)
}

// above are the folders on the way to a path, from the top, without /.
func above(path string) []string {
	var dirs []string
	for dir := filepath.Dir(path); dir != "/"; dir = filepath.Dir(dir) {
		dirs = append(dirs, dir)
	}
	slices.Reverse(dirs)
	return dirs
}

// mending names the action that moves the cache aside, which serves that of USER_UID.
func (s *Subject) mending(c *cacheFile, r Result) Result {
	if c.cruid == s.Config.CredentialUID() {
		return r.By("ccache")
	}
	return r
}

func (c *cacheFile) fault(kind fault.Kind2, problem string) error {
	name := c.path
	if name == "" {
		name = c.name
	}
	return kind.New(name, problem)
}
