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

// row is a ticket as a list shows it.
type row struct {
	server, client, realm string
	flags                 uint32
	start, end, renew     string
}

// names are those of a row in the list for programs, which rely on them and on "(epoch: <seconds>)" at the end of each
// time.
var names = [...]string{"server", "client", "realm", "ticket_flags", "ticket_start_time", "ticket_end_time", "ticket_renew_till"}

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
	stamp := stamps(zone)
	_, _ = fmt.Fprintf(&out, "Using Kerberos cache: %s\n", cache)
	for i, t := range tickets {
		r := rowOf(t, stamp)
		_, _ = fmt.Fprintf(&out, "Credential %d:\n  Server: %s\n  Client: %s\n  Realm: %s\n  Ticket flags: %d\n"+
			"  Ticket start time: %s\n  Ticket end time:   %s\n  Ticket renew till: %s\n",
			i+1, legible.Line(r.server), legible.Line(r.client), legible.Line(r.realm), r.flags, r.start, r.end, r.renew)
	}
	return out.String()
}

// typicalRow is the length of a ticket in the list for programs, in bytes: a guess that saves copying.
const typicalRow = 400

// JSON is the list for programs: an array with one key on a line, since some of them read lines. It looks as
// encoding/json would indent it, which for thousands of tickets takes many times as long, and as much memory.
func JSON(tickets []ccache.Credential, zone *time.Location) string {
	if len(tickets) == 0 {
		return NoTickets
	}
	var out strings.Builder
	stamp := stamps(zone)
	out.Grow(len(tickets) * typicalRow)
	for i, t := range tickets {
		r, before := rowOf(t, stamp), ",\n  {"
		if i == 0 {
			before = "[\n  {"
		}
		for n, value := range [len(names)]string{
			quote(r.server), quote(r.client), quote(r.realm), strconv.FormatUint(uint64(r.flags), 10), quote(r.start), quote(r.end), quote(r.renew),
		} {
			for _, text := range [...]string{before, "\n    \"", names[n], "\": ", value} {
				out.WriteString(text)
			}
			before = ","
		}
		out.WriteString("\n  }")
	}
	out.WriteString("\n]\n")
	return out.String()
}

// quote is a text in JSON that steers no terminal.
func quote(text string) string {
	if isPlain(text) {
		return `"` + text + `"`
	}
	encoded, _ := json.Marshal(text) // a text: there is nothing that could fail
	return string(legible.JSON(encoded))
}

// isPlain reports whether a text is in JSON what it is outside. It is asked of every value, so it is no search by runes.
func isPlain(text string) bool {
	for i := range len(text) {
		if b := text[i]; b < ' ' || b > '~' || b == '"' || b == '\\' || b == '<' || b == '>' || b == '&' {
			return false
		}
	}
	return true
}

func rowOf(c ccache.Credential, stamp func(time.Time) string) row {
	start := c.StartTime
	if start.IsZero() { // it starts when the login was (RFC 4120, 5.3)
		start = c.AuthTime
	}
	return row{
		server: c.Server.String(),
		client: client(c.Client),
		realm:  c.Server.Realm,
		flags:  c.Flags,
		start:  stamp(start),
		end:    stamp(c.EndTime),
		renew:  stamp(c.RenewTill),
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

// never is the time that a ticket does not have, as AzFilesAuthenticator's library prints it.
const never = "N/A (epoch: 0)"

// stamps gives times in the form of strftime(3)'s "%m/%d/%y %H:%M:%S %Z", with the seconds since 1970 behind it. The
// tickets of a machine share most of their times, which are formatted once.
func stamps(zone *time.Location) func(time.Time) string {
	known := make(map[int64]string)
	return func(t time.Time) string {
		if t.IsZero() || t.Unix() == 0 {
			return never
		}
		text, ok := known[t.Unix()]
		if !ok {
			text = t.In(zone).Format("01/02/06 15:04:05 MST") + " (epoch: " + strconv.FormatInt(t.Unix(), 10) + ")"
			known[t.Unix()] = text
		}
		return text
	}
}
