package lab

import (
	"fmt"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

// untried is a kernel that people run and that no guest can have.
type untried struct {
	name, release string
	channels      string // what the request for a further channel has as host
	handlers      string // who can answer the kernel
}

// What stands for the host follows commits of Linux: 5112d80c162f (5.16) put the name where the address was, 4c14d7043fed
// (5.19) nothing, and 306cb65bb0cb (6.16) the name again; the last one was sent for 6.6 and 6.12 in June 2025.
const (
	addressHost = "the address, as 5.10 by its source, or nothing where 4c14d7043fed was taken over"
	emptyHost   = "nothing, or the name where 306cb65bb0cb was taken over"
	namedHost   = "the name since 306cb65bb0cb was taken over, June 2025; nothing before"
	unknownCIFS = "our handler; `cifs.upcall` not verified, 7.0 or newer finds a ticket without a TGT"
)

var untriedKernels = []untried{
	{"Red Hat Enterprise Linux 9", "5.14", addressHost, unknownCIFS},
	{"Ubuntu 22.04", "5.15", addressHost, "our handler alone: `cifs.upcall` 6.14 finds no ticket without a TGT"},
	{"SLES 15 SP6", "6.4", emptyHost, unknownCIFS},
	{"Azure Linux 3", "6.6", namedHost, "our handler alone: `cifs.upcall` is not packaged"},
	{"Ubuntu 24.04, and 22.04 with the newer kernel", "6.8", emptyHost, "our handler; with 24.04 `cifs.upcall` 7.0 as well, not verified"},
}

// watched are options that this program adds or its documents speak of, whose column tells which of them a release refuses.
var watched = []string{"multichannel", "acregmax", "rasize", "closetimeo", "max_cached_dirs", "retrans", "reparse", mounts.UpcallTarget}

// untriedTable tells what this program does on the kernels that cannot be had, by the tables of mounts.
func untriedTable() string {
	var b strings.Builder
	b.WriteString("|  | release | added by default | mounts of another identity of the account | came with later releases | host in the request of a further channel | who can answer the kernel |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, k := range untriedKernels {
		var added, later []string
		for _, d := range mounts.Defaults() {
			if d.Usable(k.release + ".0") {
				added = append(added, "`"+d.Option+"`")
			}
		}
		for _, option := range watched {
			if since := mounts.Since(option); !mounts.AtLeast(k.release+".0", since) {
				later = append(later, fmt.Sprintf("`%s` (%s)", option, since))
			}
		}
		shares := "get `nosharesock`"
		if mounts.TellsUsers(k.release+".0", "") {
			shares = "share nothing"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n",
			k.name, k.release, strings.Join(added, ", "), shares, strings.Join(later, ", "), k.channels, k.handlers)
	}
	return b.String()
}
