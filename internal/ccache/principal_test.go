package ccache

import "testing"

// The comparisons that searches make agree with the place that a name means, in every case of letters.
func TestComparisonsAgreeWithThePlace(t *testing.T) {
	servers := []Principal{
		{},
		{Realm: "R", Components: []string{"cifs"}},
		{Realm: "R", Components: []string{"cifs", ""}},
		{Realm: "R", Components: []string{"cifs", "a.net"}},
		{Realm: "R", Components: []string{"CIFS", "A.Net"}},
		{Realm: "R", Components: []string{"host", "a.net"}},
		{Realm: "R", Components: []string{"cifs", "a.ne"}},
		{Realm: configRealm, Components: []string{"cifs", "a.net"}},
		{Realm: "R", Components: []string{"azfiles", "A.net", "User"}},
		{Realm: "R", Components: []string{"azfiles", "a.net", "user"}},
		{Realm: "R", Components: []string{"AZFILES", "a.net", "user"}},
		{Realm: "R", Components: []string{"cifs", "a.net", "user"}},
		{Realm: "R", Components: []string{"cifs", "a.\xff\xffnet"}},
		{Realm: "R", Components: []string{"cifs", "\u0130.\u212a"}},
		{Realm: "R", Components: []string{"cifs", "A.\u023a"}},
	}
	for _, name := range []string{
		"", "cifs/", "cifs/a.net", "cifs/a.net@R", "CIFS/A.NET@R", "cifs/a.net.example@R", "cifs/a.ne@R", "host/a.net@R",
		"azfiles/a.net/user@R", "azfiles/A.NET/user@R", "azfiles/a.net/User@R", "azfiles/a.net@R",
		"cifs/a.\xff\xffnet@R", "cifs/\u0130.\u212a@R", "cifs/A.\u023a@R",
	} {
		servers = append(servers,
			Principal{Realm: configRealm, Components: []string{configName, recordKey, name}},
			Principal{Realm: "R", Components: []string{configName, recordKey, name}})
	}
	found := 0
	for _, place := range []string{"", "a.net", "a.ne", "a.net.example", "a.net/user", "a.net/User", "/", "user", placeOf("cifs/a.\xff\xffnet"), placeOf("cifs/\u0130.\u212a"), placeOf("cifs/A.\u023a")} {
		for _, server := range servers {
			cred := Credential{Server: server}
			if got, want := server.isAt(place), place != "" && server.place() == place; got != want {
				t.Errorf("%v is at %q: %t, not %t", server, place, got, want)
			} else if got {
				found++
			}
			if got, want := isRecordOf(&cred, place), place != "" && recordPlace(&cred) == place; got != want {
				t.Errorf("%v is a record of %q: %t, not %t", server, place, got, want)
			} else if got {
				found++
			}
		}
	}
	if found < 18 {
		t.Errorf("only %d were found", found)
	}
}
