package mounthelper

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/host"
)

// maxSaid bounds what is kept of mount.cifs' messages, in bytes.
const maxSaid = 16 << 10

// endings are the signals that ask a mount to stop.
var endings = []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP}

// unignored leaves out what the caller wants ignored, as nohup does with SIGHUP.
func unignored(signals []os.Signal) []os.Signal {
	var heeded []os.Signal
	for _, s := range signals {
		if !signal.Ignored(s) {
			heeded = append(heeded, s)
		}
	}
	return heeded
}

// ending is how mount.cifs came to its end.
type ending struct {
	status   int    // its exit status; -1 when a signal ended it
	text     string // the same in words
	said     string // the end of what it wrote to standard error
	signaled bool   // we passed a signal on to it
}

// run starts mount.cifs with args, passes on the signals that we get, and waits for its end. A
// mount that waits for the kernel's helper does not react before the helper has ended.
func run(ctx context.Context, path string, args []string, stdout, stderr io.Writer) (ending, error) {
	signals := make(chan os.Signal, len(endings))
	if heeded := unignored(endings); len(heeded) > 0 {
		signal.Notify(signals, heeded...)
		defer signal.Stop(signals)
	}
	if err := ctx.Err(); err != nil {
		return ending{}, err
	}
	var said bounded
	cmd := exec.Command(path)
	cmd.Args = append([]string{"mount.cifs"}, args...) // the name selects the type of file system
	cmd.Env = host.Environ()                           // it would take a password from PASSWD, a user name from USER and a credential uid from SUDO_UID
	cmd.Stdout = stdout
	cmd.Stderr = io.MultiWriter(stderr, &said)
	cmd.WaitDelay = time.Second // for a process that mount.cifs leaves behind with our pipe
	if err := cmd.Start(); err != nil {
		return ending{}, err
	}
	stop := make(chan struct{})
	signaled := make(chan bool)
	go func() { signaled <- forward(cmd.Process, signals, stop) }()
	err := cmd.Wait()
	close(stop)
	end := ending{signaled: <-signaled, said: string(said.text)}
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited && !errors.Is(err, exec.ErrWaitDelay) {
		return end, err
	}
	end.status, end.text = cmd.ProcessState.ExitCode(), cmd.ProcessState.String()
	return end, nil
}

// forward passes signals on until stop, and reports whether there were any.
func forward(p *os.Process, signals <-chan os.Signal, stop <-chan struct{}) (any bool) {
	for {
		select {
		case s := <-signals:
			any = true
			_ = p.Signal(s) // fails only when the process has ended
		case <-stop:
			return any
		}
	}
}

// bounded keeps the last bytes that are written to it.
type bounded struct{ text []byte }

func (b *bounded) Write(p []byte) (int, error) {
	b.text = append(b.text, p...)
	if extra := len(b.text) - maxSaid; extra > 0 {
		b.text = append(b.text[:0], b.text[extra:]...)
	}
	return len(p), nil
}
