package dropin

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
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

// NoTickets is the list of programs when there is nothing in it, or when it cannot be had: whoever
// parses it gets something to parse.
const NoTickets = "[]\n"

// Text is the list for people: the path of the cache, and its tickets with their times in zone. Without
// tickets it is empty, as scripts expect.
func Text(cache string, tickets []*ccache.Credential, zone *time.Location) string {
	if len(tickets) == 0 {
		return ""
	}
	var out strings.Builder
	rows := rows{zone: zone, form: legible.Line}
	_, _ = fmt.Fprintf(&out, "Using Kerberos cache: %s\n", cache)
	for i, t := range tickets {
		r := rows.of(t)
		_, _ = fmt.Fprintf(&out, "Credential %d:\n  Server: %s\n  Client: %s\n  Realm: %s\n  Ticket flags: %d\n"+
			"  Ticket start time: %s\n  Ticket end time:   %s\n  Ticket renew till: %s\n",
			i+1, r.server, r.client, r.realm, r.flags, r.start, r.end, r.renew)
	}
	return out.String()
}

// pieces is how much of a list is written at a time, in bytes.
const pieces = 32 << 10

// JSON writes the list for programs: an array with one key on a line, since some of them read lines. They rely on the names
// and on "(epoch: <seconds>)" at the end of each time. It looks as encoding/json would indent it, which for thousands of
// tickets takes many times as long, and as much memory. The error is that of w.
func JSON(w io.Writer, tickets []*ccache.Credential, zone *time.Location) error {
	if len(tickets) == 0 {
		_, err := io.WriteString(w, NoTickets)
		return err
	}
	out, rows, before := bufio.NewWriterSize(w, pieces), rows{zone: zone, form: escape}, "[\n"
	for _, t := range tickets {
		r := rows.of(t)
		for _, text := range [...]string{
			before, "  {\n    \"server\": \"", r.server,
			"\",\n    \"client\": \"", r.client,
			"\",\n    \"realm\": \"", r.realm,
			"\",\n    \"ticket_flags\": ", strconv.FormatUint(uint64(r.flags), 10),
			",\n    \"ticket_start_time\": \"", r.start,
			"\",\n    \"ticket_end_time\": \"", r.end,
			"\",\n    \"ticket_renew_till\": \"", r.renew, "\"\n  }",
		} {
			_, _ = out.WriteString(text) // Flush tells
		}
		before = ",\n"
	}
	_, _ = out.WriteString("\n]\n")
	return out.Flush()
}

// escape is what stands between the quotes of a text in JSON, which steers no terminal.
func escape(text string) string {
	if isPlain(text) {
		return text
	}
	encoded, _ := json.Marshal(text) // a text: there is nothing that could fail
	shown := legible.JSON(encoded)
	return string(shown[1 : len(shown)-1])
}

// isPlain reports whether a text is in JSON what it is outside. It is asked of many values, so it is no search by runes.
func isPlain(text string) bool {
	for i := range len(text) {
		if b := text[i]; b < ' ' || b > '~' || b == '"' || b == '\\' || b == '<' || b == '>' || b == '&' {
			return false
		}
	}
	return true
}

// rows makes rows of tickets. Those of a machine share their client, their realm and most of their times, of which each is
// formatted once.
type rows struct {
	zone *time.Location
	form func(text string) string // how a text is shown

	last          *ccache.Credential
	client, realm string // of last
	times         map[int64]string
}

func (r *rows) of(c *ccache.Credential) row {
	if r.last == nil || !c.Client.Equal(r.last.Client) {
		r.client = r.form(client(c.Client))
	}
	if r.last == nil || c.Server.Realm != r.last.Server.Realm {
		r.realm = r.form(c.Server.Realm)
	}
	r.last = c
	return row{
		server: r.form(c.Server.String()), client: r.client, realm: r.realm, flags: c.Flags,
		start: r.stamp(c.ValidFrom()), end: r.stamp(c.EndTime), renew: r.stamp(c.RenewTill),
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

// stamp gives a time in the form of strftime(3)'s "%m/%d/%y %H:%M:%S %Z", with the seconds since 1970 behind it.
func (r *rows) stamp(t time.Time) string {
	if t.IsZero() || t.Unix() == 0 {
		return never
	}
	text, ok := r.times[t.Unix()]
	if ok {
		return text
	}
	text = r.form(t.In(r.zone).Format("01/02/06 15:04:05 MST") + " (epoch: " + strconv.FormatInt(t.Unix(), 10) + ")")
	if r.times == nil {
		r.times = make(map[int64]string)
	}
	r.times[t.Unix()] = text
	return text
}
