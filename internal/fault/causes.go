package fault

import (
	"slices"
	"strings"
)

// Cause is one reason for a failure.
type Cause struct {
	What string // a sentence that starts in lower case and has no full stop
	Tell string // how to recognise it, in the same form; often a command
}

// Detail is what a line of a failure has no room for.
type Detail struct {
	ID      ID
	Causes  []Cause // the most likely first
	Example string  // lines of a file or a command that are right, "" where the fix is one
}

// Details is what is known beyond the line of the kind named id, false where the line says all.
// The tables are constants, which cost the programs that do not ask nothing.
func Details(id ID) (Detail, bool) {
	for _, part := range [][]Detail{localDetails, identityDetails, networkDetails, mountDetails} {
		if i := slices.IndexFunc(part, func(d Detail) bool { return d.ID == id }); i >= 0 {
			return part[i], true
		}
	}
	return Detail{}, false
}

// Docs is the page of all failures, with the base that the alerts' runbook links have.
const Docs = "https://azfilesauth.github.io/azfilesauth/faults/"

// Page is where the documentation tells of the kind named id: each has a heading of its own.
func (id ID) Page() string { return Docs + "#" + strings.ToLower(string(id)) }
