package dropin

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/legible"
)

// row is a ticket as a list shows it. Programs rely on the names and on "(epoch: <seconds>)" at the
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

// NoTickets is the list of programs when there is nothing in it, or when it cannot be had: whoever
// parses it gets something to parse.
const NoTickets = "[]\n"

// Text is the list for people: the path of the cache, and its tickets with their times in zone. Without
// tickets it is empty, as scripts expect.
func Text(cache string, tickets []ccache.Credential, zone *time.Location) string {
	if len(tickets) == 0 {
		return ""
	}
	var out strings.Builder
	_, _ = fmt.Fprintf(&out, "Using Kerberos cache: %s\n", cache)
	for i, t := range tickets {
		r := rowOf(t, zone)
		_, _ = fmt.Fprintf(&out, "Credential %d:\n  Server: %s\n  Client: %s\n  Realm: %s\n  Ticket flags: %d\n"+
			"  Ticket start time: %s\n  Ticket end time:   %s\n  Ticket renew till: %s\n",
			i+1, legible.Line(r.Server), legible.Line(r.Client), legible.Line(r.Realm), r.Flags, r.Start, r.End, r.Renew)
	}
	return out.String()
}

// JSON is the list for programs: an array with one key on a line, since some of them read lines.
func JSON(tickets []ccache.Credential, zone *time.Location) string {
	rows := make([]row, len(tickets))
	for i, t := range tickets {
		rows[i] = rowOf(t, zone)
	}
	text, _ := json.MarshalIndent(rows, "", "  ") // texts and a number: there is nothing that could fail
	return string(legible.JSON(text)) + "\n"
}

func rowOf(c ccache.Credential, zone *time.Location) row {
	start := c.StartTime
	if start.IsZero() { // it starts when the login was (RFC 4120, 5.3)
		start = c.AuthTime
	}
	return row{
		Server: c.Server.String(),
		Client: client(c.Client),
		Realm:  c.Server.Realm,
		Flags:  c.Flags,
		Start:  stamp(start, zone),
		End:    stamp(c.EndTime, zone),
		Renew:  stamp(c.RenewTill, zone),
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

// stamp is a time in the form of strftime(3)'s "%m/%d/%y %H:%M:%S %Z", with the seconds since 1970
// behind it.
func stamp(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return t.In(zone).Format("01/02/06 15:04:05 MST") + " (epoch: " + strconv.FormatInt(t.Unix(), 10) + ")"
}
