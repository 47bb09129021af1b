package log

import (
	"errors"
	"log/slog"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
)

// messageFault is the MESSAGE_ID of every entry that tells of a failure; which one is in AZF_FAULT.
const messageFault = "5d0a3f6c1b7e4c0f9a2b8e64d1c7f3a9"

// devLog is where System leads when journald is the system's log.
const devLog = "/run/systemd/journal/dev-log"

// fieldNames are the fields of the attributes whose names differ from theirs (see fieldName).
var fieldNames = map[string]string{"host": "AZF_ENDPOINT", "server": "AZF_ENDPOINT"}

// StderrIsJournal reports whether what is written to stderr becomes entries of the journal
// (JOURNAL_STREAM in systemd.exec(5)): then nothing that is sent to the journal may be written there, too.
func StderrIsJournal() bool {
	is, err := journal.StderrIsJournalStream()
	return is && err == nil
}

// isSystem reports whether journald is what listens at System.
func isSystem() bool {
	to, err := os.Readlink(System)
	return err == nil && to == devLog && journal.Enabled()
}

// newJournal gives a handler that sends entries to journald in its native form: program is
// SYSLOG_IDENTIFIER, and attributes are fields (AZF_FAULT, AZF_ENDPOINT, AZF_IDENTITY, ...). MESSAGE is the line that
// lines makes of a record without the keys that it leaves out.
func newJournal(program string, facility int, least slog.Level, form form) slog.Handler {
	return newLines(least, form.without, func(r slog.Record, text string, with []slog.Attr) {
		_ = sendJournal(program, facility, r.Level, form.line(r, text), fieldsOf(r, with)) // a log that cannot be written stops nobody
	})
}

// form is how a line is made of a record and of its attributes in the form of slog's text handler, which leaves out keys.
type form struct {
	without []string
	line    func(r slog.Record, text string) string
}

var (
	// datedForm is that of azfilesrefresh.log, after the time.
	datedForm = form{[]string{slog.TimeKey, slog.LevelKey, slog.MessageKey}, func(r slog.Record, attrs string) string {
		return strings.TrimSpace("[" + rankOf(r.Level).name + "] " + oneLine(r.Message) + " " + attrs)
	}}
	// syslogForm is that of the drop-in's lines in syslog.
	syslogForm = form{[]string{slog.TimeKey, slog.LevelKey}, func(_ slog.Record, text string) string { return text }}
)

// sendJournal sends one entry. It waits for a journald that is stopped.
func sendJournal(program string, facility int, level slog.Level, message string, fields map[string]string) error {
	fields["SYSLOG_IDENTIFIER"] = program
	fields["SYSLOG_FACILITY"] = strconv.Itoa(facility)
	if fields["AZF_FAULT"] != "" {
		fields["MESSAGE_ID"] = messageFault
	}
	if unit := ownUnit(); unit != "" {
		// journald finds the unit by the sender's process, which may have ended by then. journalctl -u takes this
		// field of root's entries as well.
		fields["OBJECT_SYSTEMD_UNIT"] = unit
	}
	return journal.Send(oneLine(message), journal.Priority(rankOf(level).severity), fields)
}

func fieldsOf(r slog.Record, with []slog.Attr) map[string]string {
	fields := map[string]string{}
	add := func(a slog.Attr) bool {
		if value := valueOf(a.Value.Resolve()); value != "" {
			fields[fieldName(a.Key)] = value
		}
		return true
	}
	for _, a := range with {
		add(a)
	}
	r.Attrs(add)
	return fields
}

// valueOf is a value as a field shows it. A service principal shows as its host.
func valueOf(v slog.Value) string {
	if v.Kind() == slog.KindTime {
		return v.Time().UTC().Format(time.RFC3339)
	}
	return strings.TrimPrefix(v.String(), "cifs/")
}

// fieldName makes the name of a field, of which systemd.journal-fields(7) allows capitals, digits and _.
func fieldName(key string) string {
	if name := fieldNames[key]; name != "" {
		return name
	}
	return "AZF_" + strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(key))
}

// ownUnit is the unit of systemd that this process belongs to, from its control group (cgroups(7)); "" is none.
func ownUnit() string {
	groups, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(groups)) {
		unit := path.Base(strings.TrimSpace(line))
		if strings.HasSuffix(unit, ".mount") || strings.HasSuffix(unit, ".service") {
			return unit
		}
	}
	return ""
}

// Event is what a program that runs once has to tell the system's log.
type Event struct {
	Program string // the identifier
	Level   slog.Level
	Message string
	Fields  []slog.Attr // for the journal; a syslog daemon gets the message alone
}

// Send sends an event to the log at socket and waits for it no longer than limit. At System it goes to journald
// with its fields where that runs, else in the form of syslog(3).
func (e Event) Send(socket string, limit time.Duration) error {
	if socket == System && journal.Enabled() {
		r := slog.NewRecord(time.Time{}, e.Level, e.Message, 0)
		r.AddAttrs(e.Fields...)
		return within(limit, func() error {
			return sendJournal(e.Program, facilityDaemon, e.Level, e.Message, fieldsOf(r, nil))
		})
	}
	s, err := dial(socket)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	err = s.send(limit, e.Level, facilityDaemon, e.Program, oneLine(e.Message))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ErrHangs
	}
	return err
}
