// Package fault is the one table of everything that can go wrong for a user.
//
// Every failure has a Kind: a stable, greppable id such as AZF-ROLE-MISSING, a sentence that says
// what happened, the command that fixes it, an exit status and whether trying again may help. The
// mount helper, the commands, the log and the manual all speak from this table, so a user who
// meets an id anywhere finds the same words everywhere.
//
// Invariants: an id never changes its meaning and is never reused; no Fault ever carries a secret;
// a rendered Fault is one line without control characters, at most MaxLine bytes.
// The package imports nothing of this project.
package fault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// MaxLine bounds the text of a rendered Fault, in bytes: it ends up in pod events and unit states.
const MaxLine = 1024

// maxCause bounds the underlying error's share of that line.
const maxCause = 320

// ID names a Kind.
type ID string

// Exit is a process exit status as mount(8) documents it.
type Exit int

// The exit statuses that a Kind can have; see "EXIT STATUS" in mount(8).
const (
	ExitUsage       Exit = 1  // incorrect invocation or permissions
	ExitSystem      Exit = 2  // system error
	ExitInternal    Exit = 4  // a bug of ours
	ExitInterrupted Exit = 8  // the user or a signal ended it
	ExitMount       Exit = 32 // the mount failed
)

// Kind is one row of the table.
type Kind struct {
	ID        ID
	What      string // a sentence without its full stop; {name} stands for a value
	Fix       string // the command to run or the line to change; {name} as above
	Exit      Exit
	Retryable bool // the same request may succeed later without anybody changing anything
}

// V holds the values for the {name} places of a Kind's texts. A name that is missing shows as <name>.
type V map[string]string

// Fault is one failure: a Kind, the values that fill its texts, and the error that caused it.
type Fault struct {
	kind  Kind
	v     V
	cause error

	// RetryAfter is how long the other side asked us to wait; zero when it did not say.
	RetryAfter time.Duration
}

// New makes a Fault of the kind id.
func New(id ID, v V) *Fault { return Wrap(id, nil, v) }

// Wrap makes a Fault of the kind id that was caused by err, which may be nil and must hold no secret.
func Wrap(id ID, err error, v V) *Fault {
	k, ok := Lookup(id)
	if !ok {
		k, _ = Lookup(Internal)
		err = errors.Join(fmt.Errorf("unknown fault id %q", string(id)), err)
	}
	return &Fault{kind: k, v: v, cause: err}
}

// From gives the Fault in err's tree. An error that holds none is a bug of ours and becomes
// Internal; a context that ended becomes Interrupted or Timeout. From(nil) is nil.
func From(err error) *Fault {
	var f *Fault
	switch {
	case err == nil:
		return nil
	case errors.As(err, &f):
		return f
	case errors.Is(err, context.Canceled):
		return Wrap(Interrupted, err, nil)
	case errors.Is(err, context.DeadlineExceeded):
		return Wrap(Timeout, err, nil)
	}
	return Wrap(Internal, err, nil)
}

// Is reports whether err's tree holds a Fault of the kind id.
func Is(err error, id ID) bool {
	var f *Fault
	return errors.As(err, &f) && f.kind.ID == id
}

// ID is the fault's stable id.
func (f *Fault) ID() ID { return f.kind.ID }

// Exit is the exit status of a mount helper that ends with this fault.
func (f *Fault) Exit() Exit { return f.kind.Exit }

// Retryable reports whether the same request may succeed later without anybody changing anything.
func (f *Fault) Retryable() bool { return f.kind.Retryable }

// What says what happened, in one sentence.
func (f *Fault) What() string { return line(expand(f.kind.What, f.v)) }

// Cause is the text of the error behind the fault, or "".
func (f *Fault) Cause() string {
	if f.cause == nil {
		return ""
	}
	return shorten(line(f.cause.Error()), maxCause)
}

// Fix is the command that mends it, with the values filled in.
func (f *Fault) Fix() string { return line(expand(f.kind.Fix, f.v)) }

// Error is id, sentence, cause and fix on one line of at most MaxLine bytes.
func (f *Fault) Error() string {
	var b strings.Builder
	b.WriteString(string(f.kind.ID) + ": " + f.What())
	if c := f.Cause(); c != "" {
		b.WriteString(" (" + c + ")")
	}
	b.WriteString("; fix: " + f.Fix())
	return shorten(b.String(), MaxLine)
}

// Unwrap gives the cause to errors.Is and errors.As.
func (f *Fault) Unwrap() error { return f.cause }

// expand fills the {name} places of a text, in one pass so that a value cannot bring places of its own.
func expand(text string, v V) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			b.WriteString("{" + rest)
			return b.String()
		}
		if val := v[name]; val != "" {
			b.WriteString(val)
		} else {
			b.WriteString("<" + name + ">")
		}
		text = after
	}
}

// line makes s printable on one line: what a peer sends must not forge log lines or drive a terminal.
func line(s string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError || r == '\ufeff':
			return -1
		case unicode.IsControl(r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) || unicode.Is(unicode.Cf, r):
			return ' '
		}
		return r
	}, s)
	return strings.Join(strings.Fields(clean), " ")
}

// shorten cuts s to at most n bytes at the start of a character.
func shorten(s string, n int) string {
	const mark = "..."
	if len(s) <= n {
		return s
	}
	cut := n - len(mark)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + mark
}
