// Command azfilesauth mounts Azure Files SMB shares with an Entra identity.
//
// It is one static binary with several names; the name it is called by selects the face. README.md
// is the front page, docs the guide, packaging/man the reference.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/cli"
	"github.com/azfilesauth/azfilesauth/internal/compat"
	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/confine"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/mounthelper"
	"github.com/azfilesauth/azfilesauth/upcall"
	"github.com/azfilesauth/azfilesauth/watcher"
)

// version is set by the Makefile.
var version = "2.0.0-dev"

func main() {
	ignored := config.IgnoreEnvironment()
	fault.InPod = host.Real().InPod
	if confine.IsSetUID() {
		f := fault.NotRoot.New(filepath.Base(os.Args[0])).Because(errors.New("and not by a set-user-id bit, which gives everybody all that root may do here: chmod ug-s it"))
		fmt.Fprintln(os.Stderr, f)
		os.Exit(int(f.Exit()))
	}
	// Who is killed by a file that may not grow says nothing of it; who gets EFBIG says AZF-FILE-LIMIT. To ignore the
	// signal costs nothing, to be notified of it a thread at each start. What is started ignores it too, as Python does.
	signal.Ignore(unix.SIGXFSZ)
	// Each face ends in milliseconds with a few megabytes: collecting garbage would be a third of the work.
	debug.SetGCPercent(400)
	face := commands
	switch filepath.Base(os.Args[0]) {
	case "mount.azfiles":
		face = mounthelper.Main
	case "azfiles.upcall":
		face = func(args []string, version string, _ map[string]string) int { return upcall.Main(args, version) }
	case "azfilesauthmanager":
		face = compat.Main
	case "azfilesrefresh":
		face = watcher.Main
	}
	os.Exit(face(os.Args, version, ignored))
}

// commands is azfilesauth, one of whose commands is the daemon.
func commands(args []string, version string, ignored map[string]string) int {
	return cli.Main(args, version, ignored, func(h host.Host, socket string) int { return watcher.Watch(h, version, socket) })
}
