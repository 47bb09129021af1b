// Package waiting ends the silence of a program that waits: after two seconds it says for what, and how long still.
//
// Invariants: nothing is said before Silence is over; on a terminal there is one line, which never fills it, is written again
// each second and erased before anything else is written and at the end; on one that cannot erase, and elsewhere for those
// who asked for details, there is a line for each thing that is waited for. No text holds a secret: it names hosts.
package waiting

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/legible"
)

// Silence is how long nothing is said.
const Silence = 2 * time.Second

// erase goes to the start of the line and clears it (ECMA-48, 8.3.41).
const erase = "\r\x1b[K"

// Line is what is said of the waiting. It is also the writer for all else that goes to the same place. Its
// methods can be called at the same time.
type Line struct {
	mu       sync.Mutex
	out      io.Writer
	program  string
	terminal bool
	end      time.Time // of the waiting, zero is not known
	what     string
	attempt  int
	said     string // elsewhere than on a terminal: what was said last
	shown    bool   // it stands on the terminal
	timer    *time.Timer
}

// New gives the Line of a program that writes to out. It says nothing unless out is a terminal or details are wanted.
func New(out io.Writer, program string, terminal, details bool) *Line {
	dumb := terminal && os.Getenv("TERM") == "dumb" // it would show what is to erase the line
	l := &Line{out: out, program: program, terminal: terminal && !dumb}
	if !terminal && !details {
		l.program = ""
	}
	return l
}

// Until names the end of the waiting; zero is not known.
func (l *Line) Until(end time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = end
}

// For says what is waited for from now on. The same again is another attempt.
func (l *Line) For(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.program == "" {
		return
	}
	if l.what != what {
		l.what, l.attempt = what, 0
	}
	l.attempt++
	if l.timer == nil {
		l.timer = time.AfterFunc(Silence, l.show)
	}
}

// Done ends the waiting.
func (l *Line) Done() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
	}
	l.what, l.timer = "", nil
	l.clear()
}

// Write writes something else.
func (l *Line) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
	return l.out.Write(p)
}

func (l *Line) clear() {
	if l.shown {
		_, _ = io.WriteString(l.out, erase)
		l.shown = false
	}
}

func (l *Line) show() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer == nil { // it is over
		return
	}
	defer l.timer.Reset(time.Second)
	text := l.program + ": waiting for " + l.what
	if l.attempt > 1 {
		text += fmt.Sprintf(", attempt %d", l.attempt)
	}
	same := text == l.said
	l.said = text
	if left := time.Until(l.end); left > 0 {
		text += fmt.Sprintf(", %d s left", int(left.Round(time.Second)/time.Second))
	}
	if l.terminal {
		l.clear()
		_, _ = io.WriteString(l.out, legible.Shorten(text, width(l.out)-1))
		l.shown = true
	} else if !same {
		_, _ = io.WriteString(l.out, text+"\n")
	}
}

// width is that of the terminal behind w, in columns, without bounds where it is none. What is erased is one row of it.
func width(w io.Writer) int {
	const usual = 80 // where the terminal does not know, as a serial one
	f, ok := w.(interface{ Fd() uintptr })
	if !ok {
		return math.MaxInt
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return math.MaxInt
	}
	return cmp.Or(int(size.Col), usual)
}

// Transport tells waits of each request that way is given, by the name of its host.
func Transport(way http.RoundTripper, waits func(host string)) http.RoundTripper {
	return asking{way, waits}
}

type asking struct {
	http.RoundTripper
	waits func(host string)
}

func (a asking) RoundTrip(r *http.Request) (*http.Response, error) {
	a.waits(r.URL.Hostname())
	return a.RoundTripper.RoundTrip(r)
}

// IsTerminal reports whether a file descriptor is one of a terminal.
func IsTerminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}
