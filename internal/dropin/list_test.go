package dropin

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/legible"
)

// What is written by hand is what encoding/json would write.
func TestListIsIndentedJSON(t *testing.T) {
	begin := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	var tickets []*ccache.Credential
	for _, name := range []string{"plain", "gr\u00f6\u00dfe <&> \"\\", "\u009b2J\u202e\n\t\x00\xff\x7f", ""} {
		tickets = append(tickets, &ccache.Credential{
			Client:   ccache.Principal{Realm: name, Components: []string{name}},
			Server:   ccache.Principal{Realm: name, Components: []string{"cifs", name}},
			AuthTime: begin, EndTime: begin.Add(time.Hour), Flags: 0xffffffff,
		})
	}
	for n := range tickets {
		got := inJSON(t, tickets[:n+1])
		var indented bytes.Buffer
		if err := json.Indent(&indented, got, "", "  "); err != nil {
			t.Fatalf("%v: %s", err, got)
		}
		if indented.String() != string(got) {
			t.Errorf("%s, want %s", got, indented.String())
		}
		var rows []struct {
			Server string `json:"server"`
			Flags  uint32 `json:"ticket_flags"`
			Start  string `json:"ticket_start_time"`
		}
		if err := json.Unmarshal(got, &rows); err != nil || len(rows) != n+1 {
			t.Fatal(len(rows), err)
		}
		if want := "11/27/26 10:00:00 UTC (epoch: 1795773600)"; rows[n].Start != want || rows[n].Flags != 0xffffffff {
			t.Errorf("%+v", rows[n])
		}
		wanted, _ := json.Marshal(tickets[n].Server.String())
		if have := `"` + escape(tickets[n].Server.String()) + `"`; have != string(legible.JSON(wanted)) {
			t.Errorf("%s, want %s", have, wanted)
		}
	}
	if got := string(inJSON(t, nil)); got != "[]\n" {
		t.Errorf("%q", got)
	}
}

func inJSON(t *testing.T, tickets []*ccache.Credential) []byte {
	var out bytes.Buffer
	if err := JSON(&out, tickets, time.UTC); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
