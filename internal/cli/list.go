package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/azfilesauth/azfilesauth/internal/legible"
	"github.com/azfilesauth/azfilesauth/internal/tickets"
)

// listed is one ticket as list --json shows it.
type listed struct {
	Endpoint    string   `json:"endpoint"`     // the host that the ticket is for
	Server      string   `json:"server"`       // the service principal
	Client      string   `json:"client"`       // the client principal
	Identity    *string  `json:"identity"`     // who obtained it, null when that is not known
	Refreshable bool     `json:"refreshable"`  // a new one can be had without a person
	State       string   `json:"state"`        // "ok", "expired" or "unknown origin"
	Encryption  string   `json:"encryption"`   // of the session key, as RFC 3961 names it
	ObtainedAt  *string  `json:"obtained_at"`  // RFC 3339, null when that is not known
	StartsAt    *string  `json:"starts_at"`    // RFC 3339
	ExpiresAt   *string  `json:"ends_at"`      // RFC 3339
	SecondsLeft int64    `json:"seconds_left"` // to ends_at, negative after it
	Trusted     bool     `json:"trusted"`      // nobody but root can have written this
	Aliases     []string `json:"aliases"`      // the other hosts under which it is stored
	CCache      string   `json:"ccache"`       // path of the credential cache

	expires time.Time
}

// listing is the result of list.
type listing struct {
	Tickets []listed `json:"tickets"` // by endpoint
}

// The states of a ticket.
const (
	stateOK      = "ok"
	stateExpired = "expired"
	stateUnknown = "unknown origin"
)

// list shows the tickets of a cache, by endpoint.
func (s *session) list(*cobra.Command, []string) error {
	_, m, uid, err := s.openCache()
	if err != nil {
		return err
	}
	found, err := m.List(uid)
	if err != nil {
		return err
	}
	all := make([]listed, 0, len(found.Tickets)+len(found.Further))
	for _, t := range slices.Concat(found.Tickets, found.Further) {
		all = append(all, describe(t, s.Now(), found.CCache))
	}
	slices.SortStableFunc(all, func(a, b listed) int { return strings.Compare(a.Endpoint, b.Endpoint) })
	return s.result(listing{all}, func(w io.Writer) {
		if len(all) == 0 {
			_, _ = fmt.Fprintf(w, "there are no tickets in %s\n", found.CCache)
			return
		}
		table(w, s.rows(all))
	})
}

// describe tells all that is fit to be shown of a ticket.
func describe(t tickets.Ticket, now time.Time, ccache string) listed {
	l := listed{
		Endpoint: t.Host(), Server: t.Server.String(), Client: t.Client.String(), Refreshable: t.Refreshable,
		State: stateOK, Encryption: encryption(t.Key.Etype),
		ObtainedAt: formatTime(t.ObtainedAt), StartsAt: formatTime(t.ValidFrom()), ExpiresAt: formatTime(t.EndTime),
		SecondsLeft: secondsLeft(now, t.EndTime), Trusted: t.Trusted,
		Aliases: append([]string{}, t.Aliases...), CCache: ccache, expires: t.EndTime,
	}
	if t.Known {
		l.Identity = &t.Identity
	}
	if l.SecondsLeft <= 0 {
		l.State = stateExpired
	} else if !t.Known || !t.Trusted {
		l.State = stateUnknown
	}
	return l
}

// rows is the table for people.
func (s *session) rows(all []listed) [][]string {
	rows := [][]string{{"ENDPOINT", "IDENTITY", "TIME LEFT", "END", "ENCRYPTION", "STATE"}}
	colours := map[string]string{stateOK: green, stateExpired: red, stateUnknown: yellow}
	for _, l := range all {
		identity := "?"
		if l.Identity != nil && l.Trusted {
			identity = *l.Identity
		} else if l.Identity != nil {
			identity = *l.Identity + " ?"
		}
		rows = append(rows, []string{
			legible.Line(l.Endpoint), legible.Line(identity), timeLeft(s.Now(), l.expires), localTime(l.expires),
			l.Encryption, s.colour(colours[l.State], l.State),
		})
	}
	return rows
}

func secondsLeft(now, expiry time.Time) int64 { return int64(expiry.Sub(now) / time.Second) }

// encryption is the name of a Kerberos encryption type (RFC 3962, 8009 and 4757).
func encryption(etype uint16) string {
	name := map[uint16]string{
		17: "aes128-cts-hmac-sha1-96", 18: "aes256-cts-hmac-sha1-96",
		19: "aes128-cts-hmac-sha256-128", 20: "aes256-cts-hmac-sha384-192", 23: "rc4-hmac",
	}[etype]
	return cmp.Or(name, fmt.Sprintf("etype %d", etype))
}
