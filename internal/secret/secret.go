// Package secret holds the bytes that must never be shown: access tokens, session keys, tickets.
//
// A Value prints as REDACTED however it is formatted, logged or marshalled, so that a careless
// %+v of a structure that contains one cannot leak it. The bytes come out by Reveal alone, which
// makes every place that handles them easy to find.
package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what every formatting of a Value prints.
const Redacted = "REDACTED"

// Value is a secret. The zero Value is empty and ready to use.
type Value struct{ b []byte }

// New takes ownership of b: the caller must not keep or change it, or Wipe would surprise it.
func New(b []byte) Value { return Value{b: b} }

// FromString copies s into a Value.
func FromString(s string) Value { return Value{b: []byte(s)} }

// Reveal returns the bytes themselves, not a copy.
func (v Value) Reveal() []byte { return v.b }

// RevealString returns the bytes as a string. The copy it makes cannot be wiped.
func (v Value) RevealString() string { return string(v.b) }

// Len is the number of bytes.
func (v Value) Len() int { return len(v.b) }

// Empty reports whether there is nothing to hide.
func (v Value) Empty() bool { return len(v.b) == 0 }

// Equal compares in constant time for values of the same length.
func (v Value) Equal(o Value) bool { return subtle.ConstantTimeCompare(v.b, o.b) == 1 }

// Wipe overwrites the bytes, for every copy of v that shares them.
func (v Value) Wipe() { clear(v.b) }

// Format prints Redacted for every verb and flag.
func (Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// String prints Redacted.
func (Value) String() string { return Redacted }

// MarshalText writes Redacted, which also covers encoding/json and yaml.v3.
func (Value) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// LogValue logs Redacted.
func (Value) LogValue() slog.Value { return slog.StringValue(Redacted) }
