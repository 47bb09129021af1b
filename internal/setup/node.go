package setup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/requestkey"
)

// Node is a machine of a cluster that a pod gives what its mounts need: the program, its names, the rule of
// request-key, and layers of the configuration. A Node owns the paths that its record names, while they hold what it
// put there; everything else, such as a package's, stays as it is.
type Node struct {
	Host
	Program string // the binary that the node gets, a path in this process
	Version string // of Program
	Layers  string // the directory of the layers, a path in this process; "" is none
}

const (
	configPath  = config.DefaultPath
	layersDir   = host.ConfigDir + "/config.d"
	programName = "azfilesauth"
)

// nodeAction is the Action of a Change of a Node.
const nodeAction = "node"

// piece is one thing that a node is to have.
type piece struct {
	path    string
	state   state
	content []byte
	program bool // it is replaced by a newer version alone
}

// Install gives the node what it lacks, and a newer version of what it was given before. It writes to out what it
// changes and what it leaves alone, and gives the changes. Nothing is changed on a node without the programs that
// a mount needs, which is the fault NodePrograms, nor with layers that cannot be read. The rule comes last. Errors are faults.
func (n Node) Install(ctx context.Context, out io.Writer) ([]Change, error) {
	if err := n.needPrograms(); err != nil {
		return nil, err
	}
	j, done, err := n.openJournal(ctx, host.NodeRecord)
	if err != nil {
		return nil, failed(host.NodeRecord, err)
	}
	defer done()
	j.leavePackaged(n.Host, out)
	pieces, err := n.pieces(j, out)
	if err != nil {
		return nil, failed(n.Root, err)
	}
	if err := n.needConfig(pieces); err != nil {
		return nil, err
	}
	var changes []Change
	for _, p := range pieces {
		done, err := n.installPiece(ctx, j, p, out)
		changes = append(changes, done...)
		if err != nil {
			return changes, failed(p.path, err)
		}
	}
	gone, err := n.removeObsolete(ctx, j, pieces, out)
	if err != nil {
		return changes, failed(host.NodeRecord, err)
	}
	return append(changes, gone...), nil
}

// RemoveNode removes what Install gave, the rule first, and writes to out what it does. What somebody changed since
// stays, and is named by the error, a fault of the kind SetupChanged. The configuration is no fault: the CSI driver
// writes over it at each start.
func RemoveNode(ctx context.Context, h Host, out io.Writer) error {
	return undoAll(ctx, h, host.NodeRecord, out)
}

// dropConfig takes a configuration out of a node's record that is not what the node was given.
func (j *journal) dropConfig(h Host, out io.Writer) error {
	now, err := h.viewOf(configPath)
	if err != nil {
		return failed(configPath, err)
	}
	if i := j.find(configPath); i >= 0 && now.state != nil && !same(now.state, j.Entries[i].After) {
		j.Entries = slices.Delete(j.Entries, i, i+1)
		printLine(out, configPath+": kept, because "+errChanged.Error())
	}
	return nil
}

// nodePrograms are what a mount needs of a node, and the packages of them.
var nodePrograms = []struct{ program, pkg string }{{"mount.cifs", "cifs-utils"}, {"request-key", "keyutils"}}

func (n Node) needPrograms() error {
	var programs, packages []string
	for _, need := range nodePrograms {
		if _, err := n.Host.Program(need.program); err != nil {
			programs, packages = append(programs, need.program), append(packages, need.pkg)
		}
	}
	if len(programs) == 0 {
		return nil
	}
	return fault.NodePrograms.New(strings.Join(programs, " and "), strings.Join(packages, ","))
}

// needConfig refuses layers that cannot be read: every login of the node would fail with them.
func (n Node) needConfig(pieces []piece) error {
	contents := map[string][]byte{}
	for _, p := range pieces {
		if filepath.Dir(p.path) == layersDir {
			contents[p.path] = p.content
		}
	}
	_, err := config.ReadWith(n.Host.Host, contents)
	return err
}

// paths are the path of the program and those of its other names, the kernel's handler last.
func (n Node) paths(j *journal) (path string, names []string, err error) {
	program := host.Bin(programName)
	names = []string{host.Bin("azfilesauthmanager"), mountHelper, host.Sbin("azfiles.upcall")}
	now, err := n.viewOf(program)
	if err != nil || now.state != nil && !j.hasEntry(program) || n.writable(filepath.Dir(program)) && n.writable(filepath.Dir(mountHelper)) {
		return program, names, err
	}
	for _, dir := range host.Elsewhere {
		if !n.writable(dir) {
			continue
		}
		for i, name := range names {
			names[i] = filepath.Join(dir, filepath.Base(name))
		}
		return filepath.Join(dir, programName), names, nil
	}
	return "", nil, &fs.PathError{Op: "write", Path: filepath.Dir(program), Err: errReadOnly}
}

var errReadOnly = errors.New("it is read-only, and so is, or takes no programs, " + strings.Join(host.Elsewhere, " and "))

// pieces are what the node is to have, in the order in which it gets it.
func (n Node) pieces(j *journal, out io.Writer) ([]piece, error) {
	path, names, err := n.paths(j)
	if err != nil {
		return nil, err
	}
	if path != host.Bin(programName) && !j.hasEntry(path) {
		printLine(out, fmt.Sprintf("/usr is read-only: the program goes to %s, where mount(8) does not look for mount.azfiles", filepath.Dir(path)))
	}
	binary, err := os.ReadFile(n.Program)
	if err != nil {
		return nil, err
	}
	all := []piece{n.file(path, binary, 0o755)}
	all[0].program = true
	for _, name := range names {
		all = append(all, piece{path: name, state: n.linkState(path)})
	}
	shipped, err := wholeConfig()
	if err != nil {
		return nil, err
	}
	layers, err := n.layers()
	if err != nil {
		return nil, err
	}
	all = append(all, n.file(configPath, shipped, 0o600))
	rule, err := shippedFile("request-key.d/azfiles.conf")
	if err != nil {
		return nil, err
	}
	rule = []byte(strings.ReplaceAll(string(rule), host.Sbin("azfiles.upcall"), names[len(names)-1]))
	return append(append(all, layers...), n.file(requestkey.OurFile, rule, 0o644)), nil
}

func (n Node) file(path string, content []byte, mode uint32) piece {
	s := n.ownedState(isFile, mode)
	s.Sum = sum(content)
	return piece{path: path, state: s, content: content}
}

// layers are the files of Layers. A volume of a ConfigMap has others beside them, whose names begin with a point.
func (n Node) layers() ([]piece, error) {
	if n.Layers == "" {
		return nil, nil
	}
	found, err := filepath.Glob(filepath.Join(n.Layers, "[^.]*.yaml"))
	if err != nil {
		return nil, err
	}
	var all []piece
	for _, name := range found {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		all = append(all, n.file(filepath.Join(layersDir, filepath.Base(name)), content, 0o600))
	}
	return all, nil
}

// installPiece puts one piece in its place, unless what is there is not the node's record's, or is as new.
func (n Node) installPiece(ctx context.Context, j *journal, p piece, out io.Writer) ([]Change, error) {
	now, err := n.viewOf(p.path)
	if err != nil {
		return nil, err
	}
	if now.state == nil {
		return n.add(ctx, j, p, out)
	}
	i := j.find(p.path)
	if i < 0 || !same(now.state, j.Entries[i].After) && !same(now.state, j.Entries[i].Was) {
		if !same(now.state, &p.state) {
			printLine(out, p.path+": kept, because this installation did not put it there")
		}
		return nil, nil
	}
	if p.program && compareVersions(j.Version, n.Version) >= 0 {
		return nil, nil
	}
	if !same(now.state, &p.state) {
		c := Change{Action: nodeAction, Path: p.path, What: "replace the " + p.state.Kind, step: step{Kind: p.state.Kind, After: &p.state, Was: now.state}, content: p.content}
		if err := j.replace(n.Host, i, c); err != nil {
			return nil, err
		}
		printLine(out, c.Path+": "+c.What)
		return []Change{c}, j.release(n.Host, p.program, n.Version)
	}
	return nil, j.release(n.Host, p.program, n.Version)
}

// add makes what is missing, and the directories that it needs.
func (n Node) add(ctx context.Context, j *journal, p piece, out io.Writer) ([]Change, error) {
	var changes []Change
	for dir := filepath.Dir(p.path); !n.there(dir) && dir != filepath.Dir(host.NodeRecord); dir = filepath.Dir(dir) { // the record comes with its own
		s := n.ownedState(isDirectory, 0o755)
		changes = append(changes, Change{Action: nodeAction, Path: dir, What: "make the directory, " + by(s), step: step{Kind: isDirectory, After: &s}})
	}
	slices.Reverse(changes)
	what := "make the " + p.state.Kind + ", " + by(p.state)
	if p.state.Kind == isLink {
		what = "link to " + p.state.Link
	}
	changes = append(changes, Change{Action: nodeAction, Path: p.path, What: what, step: step{Kind: p.state.Kind, After: &p.state}, content: p.content})
	for i, c := range changes {
		j.Entries = slices.DeleteFunc(j.Entries, func(e entry) bool { return e.Path == c.Path }) // of one that somebody took away
		if err := j.do(ctx, n.Host, c); err != nil {
			return changes[:i], err
		}
		printLine(out, c.Path+": "+c.What)
	}
	return changes, j.release(n.Host, p.program, n.Version)
}

// removeObsolete takes away what the node was given and is not to have any more, such as a layer.
func (n Node) removeObsolete(ctx context.Context, j *journal, pieces []piece, out io.Writer) ([]Change, error) {
	var changes []Change
	for _, e := range slices.Clone(j.Entries) {
		if e.Kind == isDirectory || slices.ContainsFunc(pieces, func(p piece) bool { return p.path == e.Path }) {
			continue
		}
		err := e.undo(ctx, n.Host, e.Path)
		if errors.Is(err, errChanged) {
			printLine(out, e.Path+": kept, because "+err.Error())
			continue
		} else if err != nil {
			return changes, err
		}
		j.Entries = slices.DeleteFunc(j.Entries, func(o entry) bool { return o.Path == e.Path })
		printLine(out, e.Path+": removed")
		changes = append(changes, Change{Action: nodeAction, Path: e.Path, What: "remove it", step: step{Kind: e.Kind, Before: e.After}})
	}
	if len(changes) == 0 {
		return nil, nil
	}
	return changes, j.write(n.Host)
}

// writable reports whether programs can be put into a directory and run from there. One that is missing is what the one
// above it is.
func (n Node) writable(dir string) bool {
	for !n.there(dir) {
		dir = filepath.Dir(dir)
	}
	var fs unix.Statfs_t
	return unix.Access(n.Path(dir), unix.W_OK) == nil && unix.Statfs(n.Path(dir), &fs) == nil && fs.Flags&unix.ST_NOEXEC == 0
}

func (n Node) there(dir string) bool {
	_, err := os.Stat(n.Path(dir))
	return err == nil
}

// find gives the index of the entry of a path, -1 when there is none.
func (j *journal) find(path string) int {
	return slices.IndexFunc(j.Entries, func(e entry) bool { return e.Path == path })
}

func (j *journal) hasEntry(path string) bool { return j.find(path) >= 0 }

// release notes the version that the node has now.
func (j *journal) release(h Host, isProgram bool, version string) error {
	if !isProgram || j.Version == version {
		return nil
	}
	j.Version = version
	return j.write(h)
}

// replace makes a change of what entry i put there. The record allows both states while it lasts.
func (j *journal) replace(h Host, i int, c Change) error {
	j.Entries[i].Was, j.Entries[i].After = c.Was, c.After
	if err := j.write(h); err != nil {
		return err
	}
	if c.Kind == isLink { // a link cannot be written over
		if err := h.applyState(c.Path, nil, nil); err != nil {
			return err
		}
	}
	if err := h.applyState(c.Path, c.After, c.content); err != nil {
		return err
	}
	j.Entries[i].Was = nil
	return j.write(h)
}

// compareVersions orders versions such as 2.0.1, 2.1.0-rc1 and 2.1.0~git20261127: by their numbers, and one with a suffix
// before the one without.
func compareVersions(a, b string) int {
	split := func(v string) (n [3]int, suffix string) {
		if i := strings.IndexAny(v, "-~"); i >= 0 {
			v, suffix = v[:i], v[i+1:]
		}
		_, _ = fmt.Sscanf(v, "%d.%d.%d", &n[0], &n[1], &n[2]) // what is no number is 0
		return n, suffix
	}
	one, suffixOne := split(a)
	other, suffixOther := split(b)
	if c := slices.Compare(one[:], other[:]); c != 0 {
		return c
	}
	if (suffixOne == "") != (suffixOther == "") {
		return cmp.Compare(suffixOther, suffixOne) // "" is the release
	}
	return cmp.Compare(suffixOne, suffixOther)
}
