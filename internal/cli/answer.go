package cli

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/legible"
)

// answerSchema is the version of what --json prints. Keys may join; none changes its meaning or goes without
// another number. packaging/schema/output.schema.json describes it, and a test generates it from the types.
const answerSchema = 1

// answer is what every JSON value of this program begins with; the keys of the command's result follow.
type answer struct {
	Schema   int      `json:"schema"`   // 1
	Command  string   `json:"command"`  // such as "config check"; azfilesauth when it was not recognized
	Time     *string  `json:"time"`     // RFC 3339, in seconds, UTC
	Warnings []string `json:"warnings"` // sentences
	Fault    *failure `json:"fault,omitempty"`
	Notes    []string `json:"notes,omitempty"` // what belongs to a failure beside its fault
}

// failure is a fault as --json shows it.
type failure struct {
	ID        fault.ID `json:"id"`
	What      string   `json:"what"`
	Cause     string   `json:"cause"` // "" when there is none to tell
	Fix       string   `json:"fix"`
	Exit      int      `json:"exit"`      // exit status
	Retryable bool     `json:"retryable"` // the same may succeed later without anybody changing anything
}

func failureOf(f *fault.Fault, exit int) *failure {
	return &failure{f.ID(), f.What(), f.Cause(), f.Fix(), exit, f.Retryable()}
}

// failureOfDaemon is a fault that the daemon, maybe of another version, told of.
func failureOfDaemon(f *control.Fault) *failure {
	kind, ok := fault.Lookup(fault.ID(f.ID))
	return &failure{ID: fault.ID(f.ID), What: f.What, Fix: f.Fix, Exit: exitOf(f), Retryable: ok && kind.Retryable}
}

// warn adds a warning to the result of this run.
func (s *session) warn(text string) { s.warnings = append(s.warnings, text) }

// encode writes a command's result, an object or nil for none, as --json prints it, on one line.
func (s *session) encode(command string, result any) ([]byte, error) {
	head := answer{
		Schema: answerSchema, Command: strings.TrimPrefix(command, program+" "), Time: formatTime(s.Now()),
		Warnings: append([]string{}, s.warnings...), Fault: s.failure, Notes: s.notes,
	}
	if head.Fault == nil {
		head.Notes = nil
	}
	text, err := marshal(head)
	if err != nil || result == nil {
		return text, err
	}
	body, err := marshal(result)
	if err == nil && len(body) > len("{}") {
		text = append(append(text[:len(text)-1], ','), body[1:]...)
	}
	return text, err
}

// marshal is json.Marshal for those who read it in a terminal: <, > and & stay as they are.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fault.Internal.New().Because(err)
	}
	return legible.JSON(bytes.TrimSpace(b.Bytes())), nil
}

func (s *session) encodeIndented(command string, result any) ([]byte, error) {
	text, err := s.encode(command, result)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		return nil, fault.Internal.New().Because(err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

func (s *session) printCompact(result any) error {
	text, err := s.encode(s.path, result)
	if err != nil {
		return err
	}
	return s.print(append(text, '\n'))
}

func (s *session) printJSON(result any) error {
	text, err := s.encodeIndented(s.path, result)
	if err != nil {
		return err
	}
	return s.print(text)
}
