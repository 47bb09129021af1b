package compat

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
)

// row is a ticket as list shows it. Programs rely on the names and on "(epoch: <seconds>)" at the
// end of each time.
type row struct {
	Server string `json:"server"`
	Client string `json:"client"`
	Realm  string `json:"realm"`
	Flags  uint32 `json:"ticket_flags"`
	Start  string `json:"ticket_start_time"`
	End    string `json:"ticket_end_time"`
	Renew  string `json:"ticket_renew_till"`
}

// list shows the tickets. Whatever is wrong is known before the first byte is written.
func (s *session) list() error {
	l, err := s.manager.List(s.cfg.CredentialUID())
	if err != nil {
		return err
	}
	rows := make([]row, len(l.Tickets))
	for i, t := range l.Tickets {
		rows[i] = s.row(t.Credential)
	}
	if s.inv.flags.json {
		s.listJSON(rows)
		return nil
	}
	_, _ = fmt.Fprintf(s.Stdout, "Using Kerberos cache: %s\n", l.CCache)
	for i, r := range rows {
		_, _ = fmt.Fprintf(s.Stdout, "Credential %d:\n  Server: %s\n  Client: %s\n  Realm: %s\n  Ticket flags: %d\n"+
			"  Ticket start time: %s\n  Ticket end time:   %s\n  Ticket renew till: %s\n",
			i+1, printable(r.Server), printable(r.Client), printable(r.Realm), r.Flags, r.Start, r.End, r.Renew)
	}
	return nil
}

// listJSON prints one ticket on a line.
func (s *session) listJSON(rows []row) {
	out := bufio.NewWriter(s.Stdout)
	separator := "\n  "
	_ = out.WriteByte('[')
	for _, r := range rows {
		line, _ := json.Marshal(r) // texts and a number: there is nothing that could fail
		_, _ = out.WriteString(separator)
		_, _ = out.Write(line)
		separator = ",\n  "
	}
	if len(rows) > 0 {
		_ = out.WriteByte('\n')
	}
	_, _ = out.WriteString("]\n")
	_ = out.Flush() // fails only with Stdout, and then there is nobody to tell
}

func (s *session) row(c ccache.Credential) row {
	start := c.StartTime
	if start.IsZero() { // it starts when the login was (RFC 4120, 5.3)
		start = c.AuthTime
	}
	return row{
		Server: c.Server.String(),
		Client: client(c.Client),
		Realm:  c.Server.Realm,
		Flags:  c.Flags,
		Start:  s.time(start),
		End:    s.time(c.EndTime),
		Renew:  s.time(c.RenewTill),
	}
}

// client is the client's name with its realm. Azure puts the realm into the name itself; then it is
// not written twice.
func client(p ccache.Principal) string {
	if len(p.Components) == 1 && strings.HasSuffix(p.Components[0], "@"+p.Realm) {
		return p.Components[0]
	}
	return p.String()
}

// time is that of strftime(3)'s "%m/%d/%y %H:%M:%S %Z", with the seconds since 1970 behind it.
func (s *session) time(t time.Time) string {
	zone := s.Zone
	if zone == nil {
		zone = time.Local
	}
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return t.In(zone).Format("01/02/06 15:04:05 MST") + " (epoch: " + strconv.FormatInt(t.Unix(), 10) + ")"
}

// printable keeps a name in a cache from making lines of its own or driving the terminal.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, name)
}
