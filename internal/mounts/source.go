package mounts

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// Bounds of mount.cifs, which gets the source after us (mount.cifs.c: MAX_UNC_LEN, MAX_SHARE_LEN).
const (
	maxSource = 1024 // bytes
	maxShare  = 80   // characters
)

// Source is what a mount line names: a share or a directory in it.
type Source struct {
	Host  string // as typed
	Share string
	Dir   string // without slashes at its ends, single ones between its components; "" is the share's root
}

// ParseSource reads the form //host/share[/dir]. As in the kernel (fs/smb/client/fs_context.c,
// cifs_sanitize_prepath), slashes at the end and repeated slashes in the directory are no part of the
// name; a share without a name and the directories "." and ".." are refused. The host is not
// checked. Its errors are of kind SourceInvalid.
func ParseSource(s string) (Source, error) {
	host, share, dir := split(s)
	if problem := examine(s, host, share, dir); problem != "" {
		return Source{}, fault.SourceInvalid.New(shown(s), problem)
	}
	return Source{Host: host, Share: share, Dir: dir}, nil
}

// shown is a source short enough to leave room in a message for what is wrong with it.
func shown(s string) string {
	const most = 200 // bytes
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

// split takes //host/share/dir apart. A part that is missing is "".
func split(s string) (host, share, dir string) {
	rest, ok := strings.CutPrefix(s, "//")
	if !ok {
		return "", "", ""
	}
	host, rest, _ = strings.Cut(rest, "/")
	share, rest, _ = strings.Cut(rest, "/")
	return host, share, strings.Join(strings.FieldsFunc(rest, func(r rune) bool { return r == '/' }), "/")
}

// examine says what is wrong with a source, or "".
func examine(s, host, share, dir string) string {
	switch {
	case len(s) > maxSource:
		return fmt.Sprintf("it is longer than %d bytes", maxSource)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return "it holds control characters or is not UTF-8"
	case !strings.HasPrefix(s, "//"):
		return "it does not begin with //"
	case strings.Contains(s, `\`):
		return `it mixes / and \`
	case host == "":
		return "the host is missing"
	case share == "":
		return "the share is missing"
	case utf8.RuneCountInString(share) > maxShare:
		return fmt.Sprintf("the name of the share is longer than %d characters", maxShare)
	}
	for component := range strings.SplitSeq(share+"/"+dir, "/") {
		if component == "." || component == ".." {
			return `"." and ".." are no names`
		}
	}
	return ""
}
