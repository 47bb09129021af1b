package mounts

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/azfilesauth/azfilesauth/internal/endpoint"
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
	UNC   string // in the form //host/share[/dir], the very text that was read if it had that form
	Typed bool   // it had
}

// ParseSource reads the forms //host/share[/dir], \\host\share[\dir] and https:// or smb:// with
// host/share[/dir] and percent signs decoded. As in the kernel (fs/smb/client/fs_context.c,
// cifs_sanitize_prepath), slashes at the end and repeated slashes in the directory are no part of the
// name; a share without a name and the directories "." and ".." are refused. The host is not
// checked. Its errors are of kind SourceInvalid and repeat no user name, password or signature.
func ParseSource(text string) (Source, error) {
	unc, typed, problem := toUNC(text)
	if problem != "" {
		return Source{}, sourceInvalid(Presentable(text), problem)
	}
	host, share, dir := split(unc)
	if problem := examine(unc, host, share, dir); problem != "" {
		return Source{}, sourceInvalid(unc, problem)
	}
	return Source{Host: host, Share: share, Dir: dir, UNC: unc, Typed: typed}, nil
}

// Mountable finds the endpoint of a source, and the source in the form in which mount.cifs gets it:
// //host/share[/dir] is kept as typed, since mount -a and systemd recognise their line in the mount
// table by its text; the forms that the kernel does not take get the host in lower case and without
// port. The errors are of the kinds SourceInvalid and HostUnknown.
func Mountable(text string, res endpoint.Resolver) (Source, endpoint.Endpoint, error) {
	s, err := ParseSource(text)
	if err != nil {
		return Source{}, endpoint.Endpoint{}, err
	}
	if strings.Contains(s.Share+s.Dir, ",") { // mount.cifs puts both between commas into the kernel's options
		return Source{}, endpoint.Endpoint{}, sourceInvalid(s.UNC, "mount.cifs cannot take a comma")
	}
	e, err := Resolve(s.Host, res)
	if err != nil {
		return Source{}, endpoint.Endpoint{}, err
	}
	if s.Typed && strings.Contains(s.Host, ":") {
		return Source{}, endpoint.Endpoint{}, sourceInvalid(s.UNC, "ports are not supported here")
	}
	if !s.Typed {
		host := e.Alias()
		if host == "" {
			host = e.Host()
		}
		s.UNC, s.Host = "//"+host+strings.TrimPrefix(s.UNC, "//"+s.Host), host
	}
	return s, e, nil
}

// HostOf takes the host out of what a person names an endpoint by: the host itself, an https URL as the
// portal shows it, or a share in one of the forms of a source. What follows the host does not matter.
// With a problem, host is what may be repeated of the text.
func HostOf(text string) (host, problem string) {
	slashed := strings.ReplaceAll(text, `\`, "/")
	if strings.HasPrefix(slashed, "/") && !strings.HasPrefix(slashed, "//") {
		return text, "no share is mounted there, and /etc/fstab has no line for it; mount the share, add the line, or name the account"
	}
	if !strings.HasPrefix(slashed, "//") && !strings.Contains(slashed, "://") {
		return text, ""
	}
	u, err := url.Parse(slashed)
	if err != nil || u.Host == "" {
		return "what was given", "it is not a host and not a URL"
	}
	if u.Scheme != "" && u.Scheme != "https" { // Parse makes it lower case
		return u.Host, "the URL must begin with https://"
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return u.Host, "the URL must not contain a login, a query or a fragment"
	}
	return u.Host, ""
}

// Named finds the endpoint that a person names, see HostOf. The errors are of kind HostUnknown.
func Named(text string, res endpoint.Resolver) (endpoint.Endpoint, error) {
	host, problem := HostOf(text)
	if problem != "" {
		return endpoint.Endpoint{}, fault.HostUnknown.New(host, problem)
	}
	return Resolve(host, res)
}

// NamedAmong is Named, and takes the bare name of an account as well: among the hosts that are known if it is one of theirs.
func NamedAmong(text string, res endpoint.Resolver, known []string) (endpoint.Endpoint, error) {
	e, err := Named(text, res)
	if err != nil && endpoint.IsAccount(text) {
		return Named(endpoint.HostOfAccount(text, known), res)
	}
	return e, err
}

// toUNC gives a source the form //host/share[/dir]; typed reports whether it had it.
func toUNC(text string) (unc string, typed bool, problem string) {
	scheme, rest, isURL := strings.Cut(text, "://")
	isURL = isURL && (strings.EqualFold(scheme, "https") || strings.EqualFold(scheme, "smb"))
	typed = strings.HasPrefix(text, "//")
	if !typed && !isURL && !strings.HasPrefix(text, `\\`) {
		if strings.IndexFunc(text, isHidden) == 0 {
			return "", false, "it begins with a character that cannot be seen, such as the mark that some editors put at the start of a file"
		}
		if !strings.HasPrefix(text, "/") && strings.Contains(strings.Replace(text, "://", "", 1), ":/") {
			return "", false, "it is in the form of NFS, by which nobody logs in: mount such a share with the type nfs; one of SMB begins with //"
		}
		return "", false, "it does not begin with //"
	}
	unc = text
	if isURL {
		path, err := url.PathUnescape(rest)
		if err != nil || strings.Count(path, "/") != strings.Count(rest, "/") {
			return "", false, "its percent signs do not make sense"
		}
		unc = "//" + path
	} else if !typed {
		unc = strings.ReplaceAll(text, `\`, "/")
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(unc, "//"), "/")
	if strings.Contains(host, "@") {
		return "", false, "user names are not supported here"
	}
	if strings.Contains(unc, "?") {
		return "", false, "queries are not supported here, and a shared access signature cannot be used to log in"
	}
	if isURL && strings.Contains(rest, "#") {
		return "", false, "fragments are not supported here"
	}
	return unc, typed, ""
}

// Resolve is Resolve of a Resolver whose errors are faults of the kind HostUnknown.
func Resolve(host string, res endpoint.Resolver) (endpoint.Endpoint, error) {
	e, err := res.Resolve(host)
	if unknown, ok := errors.AsType[*endpoint.Error](err); ok {
		return e, fault.HostUnknown.New(host, unknown.Problem)
	}
	return e, err
}

// isHidden reports whether a character looks like a space or like nothing, and is no space that a keyboard makes. The names
// of directories may have such ones; those of accounts and shares never do.
func isHidden(r rune) bool { return !unicode.IsPrint(r) }

// Presentable is a source, in whatever form, without what may be a password or a signature.
func Presentable(text string) string {
	text, _, _ = strings.Cut(text, "?")
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		return "..." + text[i:]
	}
	return text
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

// examine says what is wrong with a source in the form //host/share[/dir], or "".
func examine(unc, host, share, dir string) string {
	for _, p := range []struct {
		wrong   bool
		problem string
	}{
		{len(unc) > maxSource, fmt.Sprintf("it is longer than %d bytes", maxSource)},
		{!utf8.ValidString(unc) || strings.ContainsFunc(unc, unicode.IsControl), "it holds control characters or is not UTF-8"},
		{strings.ContainsFunc(host+share, isHidden), "the name of the host or of the share has a character that cannot be seen, such as a space that was pasted"},
		{strings.Contains(unc, `\`), `it mixes / and \`},
		{host == "", "the host is missing"},
		{share == "", "the share is missing"},
		{utf8.RuneCountInString(share) > maxShare, fmt.Sprintf("the name of the share is longer than %d characters", maxShare)},
	} {
		if p.wrong {
			return p.problem
		}
	}
	for component := range strings.SplitSeq(share+"/"+dir, "/") {
		if component == "." || component == ".." {
			return `"." and ".." are not valid names`
		}
	}
	return ""
}

// sourceInvalid shows a source short enough to leave room in a message for what is wrong with it.
func sourceInvalid(source, problem string) error {
	const most = 200 // bytes
	return fault.SourceInvalid.New(fault.Shorten(source, most), problem)
}
