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
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
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

	values int
}

// Kind0 is a Kind whose texts have no place.
//
// The number of places is a type, so that the compiler counts the values. New takes them in the order in
// which What and then Fix first name them; an empty one shows as <name>.
type Kind0 struct{ *Kind }

// Kind1 is a Kind whose texts have one place.
type Kind1 struct{ *Kind }

// Kind2 is a Kind whose texts have two places.
type Kind2 struct{ *Kind }

// Kind3 is a Kind whose texts have three places.
type Kind3 struct{ *Kind }

// Kind4 is a Kind whose texts have four places.
type Kind4 struct{ *Kind }

// Kind5 is a Kind whose texts have five places.
type Kind5 struct{ *Kind }

// New makes a Fault of the kind.
func (k Kind0) New() *Fault { return &Fault{kind: k.Kind} }

// New makes a Fault of the kind with the value of its place.
func (k Kind1) New(a string) *Fault { return &Fault{kind: k.Kind, values: []string{a}} }

// New makes a Fault of the kind with the values of its places.
func (k Kind2) New(a, b string) *Fault { return &Fault{kind: k.Kind, values: []string{a, b}} }

// New makes a Fault of the kind with the values of its places.
func (k Kind3) New(a, b, c string) *Fault { return &Fault{kind: k.Kind, values: []string{a, b, c}} }

// New makes a Fault of the kind with the values of its places.
func (k Kind4) New(a, b, c, d string) *Fault {
	return &Fault{kind: k.Kind, values: []string{a, b, c, d}}
}

// New makes a Fault of the kind with the values of its places.
func (k Kind5) New(a, b, c, d, e string) *Fault {
	return &Fault{kind: k.Kind, values: []string{a, b, c, d, e}}
}

func (Kind0) places() int { return 0 }
func (Kind1) places() int { return 1 }
func (Kind2) places() int { return 2 }
func (Kind3) places() int { return 3 }
func (Kind4) places() int { return 4 }
func (Kind5) places() int { return 5 }

// row adds a Kind to the table.
func row[K interface {
	~struct{ *Kind }
	places() int
}](id ID, what, fix string, exit Exit, retryable bool) K {
	var k K
	kind := &Kind{id, what, fix, exit, retryable, k.places()}
	table = append(table, kind)
	return K(struct{ *Kind }{kind})
}

// Blank is a Fault of the kind whose places show their names, for manuals.
func (k *Kind) Blank() *Fault { return &Fault{kind: k, bound: anyBound} }

// String is the kind's id.
func (k *Kind) String() string { return string(k.ID) }

func (k *Kind) itself() *Kind { return k }

// Named is a Kind of any number of places.
type Named interface {
	String() string
	itself() *Kind
}

// Fault is one failure: a Kind, the values that fill its texts, and the error that caused it.
type Fault struct {
	kind   *Kind
	values []string
	cause  error
	bound  Bound  // that was hit, "" when none was
	first  string // a step before the fix
	advice string

	// RetryAfter is how long the other side asked us to wait; zero when it did not say.
	RetryAfter time.Duration
}

// exhausted is what the errors mean that say that this process gets no more of something (errno(3)).
var exhausted = map[syscall.Errno]Kind0{
	syscall.EMFILE: OpenFiles, syscall.ENFILE: OpenFiles, syscall.ENOMEM: OutOfMemory, syscall.EFBIG: FileLimit,
}

// Because names the error that caused the fault, which may be nil and must hold no secret. It returns f.
// Where nothing more can be had of something, that is what is wrong, and not the first file or host that it
// hits: the fault becomes OpenFiles, OutOfMemory or FileLimit.
func (f *Fault) Because(err error) *Fault {
	for errno, kind := range exhausted {
		if errors.Is(err, errno) {
			f.kind, f.values, f.bound = kind.Kind, nil, ""
		}
	}
	f.cause = err
	return f
}

// Advise adds to the fix what may help as well, "" for nothing. It returns f.
func (f *Fault) Advise(advice string) *Fault {
	f.advice = advice
	return f
}

// First puts a step before the fix, such as the installation of the program that the fix runs; where the fix is another
// one in a pod, the step is left out. It returns f.
func (f *Fault) First(step string) *Fault {
	f.first = step
	return f
}

// Reword passes the values and the text of the cause through clean, such as one that takes out what is secret; a cause
// that clean leaves as it is stays the error that it is. It returns f.
func (f *Fault) Reword(clean func(string) string) *Fault {
	for n, v := range f.values {
		f.values[n] = clean(v)
	}
	if f.cause != nil {
		if text := Line(f.cause.Error()); clean(text) != text { // what Line joins can be secret only then
			f.cause = errors.New(clean(text))
		}
	}
	return f
}

// From gives the Fault in err's tree. An error that holds none is a bug of ours and becomes
// Internal; a context that ended becomes Interrupted or Timeout. From(nil) is nil.
func From(err error) *Fault {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*Fault](err); ok {
		return f
	}
	if errors.Is(err, context.Canceled) {
		return Interrupted.New().Because(err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return Timeout.New().Because(err)
	}
	return Internal.New().Because(err)
}

// Is reports whether err's tree holds a Fault of one of the kinds.
func Is(err error, kinds ...Named) bool {
	f, ok := errors.AsType[*Fault](err)
	return ok && slices.ContainsFunc(kinds, func(k Named) bool { return k.itself() == f.kind })
}

// ID is the fault's stable id.
func (f *Fault) ID() ID { return f.kind.ID }

// Exit is the exit status of a mount helper that ends with this fault.
func (f *Fault) Exit() Exit { return f.kind.Exit }

// Retryable reports whether the same request may succeed later without anybody changing anything.
func (f *Fault) Retryable() bool { return f.kind.Retryable }

// What says what happened, in one sentence.
func (f *Fault) What() string {
	return Line(f.fill(f.kind.What, func(name, value, _ string) string { return cmp.Or(value, "<"+name+">") }))
}

// Cause is the text of the error behind the fault without jargon, or "".
func (f *Fault) Cause() string {
	if f.cause == nil {
		return ""
	}
	text := f.cause.Error()
	if inner, ok := errors.AsType[*Fault](f.cause); ok { // one fix is enough
		text = string(inner.ID()) + ": " + inner.What()
		if c := inner.Cause(); c != "" {
			text += ": " + c
		}
	}
	return Shorten(Plain(Line(text)), maxCause)
}

// Sentence is What with Cause in parentheses, if there is one that says more.
func (f *Fault) Sentence() string {
	cause := f.Cause()
	said := strings.Contains(f.What(), cause) || cause == late && strings.Contains(f.What(), "in time")
	if !said {
		return f.What() + " (" + cause + ")"
	}
	return f.What()
}

// Fix is the command that repairs it where this process runs, see InPod, with the values filled in, or how to widen
// the bound that was hit.
// Values are words for a shell, see Word, also where the text has a place between single quotes.
func (f *Fault) Fix() string {
	fix := Line(f.fill(f.kind.fix(), func(name, value, before string) string {
		if slices.Contains(commands, name) && value != "" {
			return value
		}
		if strings.Count(before, "'")%2 == 1 && presentable(name, value) {
			return quoteInner(value)
		}
		return Word(name, value)
	}))
	if f.first != "" && f.kind.fix() == f.kind.Fix {
		fix = f.first + "; then: " + fix
	}
	if f.advice != "" {
		fix += "; " + f.advice
	}
	return fix
}

// Error is id, sentence, cause and fix on one line of at most MaxLine bytes.
func (f *Fault) Error() string {
	return Shorten(string(f.kind.ID)+": "+f.Sentence()+"; fix: "+f.Fix(), MaxLine)
}

// Unwrap gives the cause to errors.Is and errors.As.
func (f *Fault) Unwrap() error { return f.cause }

// fill puts the values into the {name} places of one of the kind's texts, as write shows them; before is
// the text that stands before the place.
func (f *Fault) fill(text string, write func(name, value, before string) string) string {
	names := f.kind.names()
	return expand(text, func(before, name string) string {
		if name == longer {
			return f.bound.advice()
		}
		if name == domain {
			return domainOf(f.values)
		}
		value := ""
		if n := slices.Index(names, name); n < len(f.values) {
			value = f.values[n]
		}
		return write(name, value, before)
	})
}

// names are those of the places in both texts in the order of the values, each once.
func (k *Kind) names() (names []string) {
	expand(k.What+k.Fix, func(_, name string) string {
		if name != longer && name != domain && !slices.Contains(names, name) {
			names = append(names, name)
		}
		return ""
	})
	return names
}

// expand replaces the {name} places of a text, in one pass so that a value cannot bring places of its own.
func expand(text string, value func(before, name string) string) string {
	var b strings.Builder
	for at := 0; ; {
		before, rest, _ := strings.Cut(text[at:], "{")
		name, _, closed := strings.Cut(rest, "}")
		b.WriteString(before)
		if !closed {
			return b.String()
		}
		at += len(before)
		b.WriteString(value(text[:at], name))
		at += len(name) + len("{}")
	}
}

// Line makes s printable on one line: what a peer sends must not forge log lines or drive a terminal.
func Line(s string) string {
	clean := strings.Map(func(r rune) rune {
		if r == utf8.RuneError || r == '\ufeff' {
			return -1
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, s)
	return strings.Join(strings.Fields(clean), " ")
}

// Shorten cuts s to at most n bytes, at the start of a character, and marks that by three dots at its end.
func Shorten(s string, n int) string {
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
