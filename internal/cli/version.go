package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// commit and committed are set by the Makefile: the commit, with "+changes" behind it when there were
// some, and its date. The Go toolchain notes them only where it sees the repository, which the build
// of a package does not.
var commit, committed string

func (s *session) showVersion(*cobra.Command, []string) error {
	info, _ := debug.ReadBuildInfo()
	v := versionOf(s.Version, info)
	return s.result(v, v.write)
}

// version is the result of version.
type version struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`   // absent when the build did not know it
	Modified bool   `json:"modified,omitempty"` // there were changes beside the commit
	Date     string `json:"date,omitempty"`     // of the commit, RFC 3339
	Go       string `json:"go"`
	Platform string `json:"platform"` // operating system and processor
}

// versionOf takes what the Makefile gave, or what the Go toolchain noted in the binary, see "go help
// buildvcs".
func versionOf(number string, info *debug.BuildInfo) version {
	v := version{Version: number, Date: committed, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	v.Commit, v.Modified = strings.CutSuffix(commit, "+changes")
	if v.Commit != "" || info == nil {
		return v
	}
	for _, kv := range info.Settings {
		switch kv.Key {
		case "vcs.revision":
			v.Commit = kv.Value
		case "vcs.time":
			v.Date = kv.Value
		case "vcs.modified":
			v.Modified = kv.Value == "true"
		}
	}
	return v
}

func (v version) write(w io.Writer) {
	_, _ = fmt.Fprintf(w, "%s %s (", program, v.Version)
	if v.Commit != "" {
		_, _ = fmt.Fprintf(w, "commit %.12s", v.Commit)
		if v.Modified {
			_, _ = io.WriteString(w, " and changes")
		}
		_, _ = fmt.Fprintf(w, ", %s, ", v.Date)
	}
	_, _ = fmt.Fprintf(w, "%s, %s)\n", v.Go, v.Platform)
}
