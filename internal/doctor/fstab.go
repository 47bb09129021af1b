package doctor

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/identity"
	"github.com/azfilesauth/azfilesauth/internal/mounts"
)

const fstabPath = "/etc/fstab"

func checkFstab(_ context.Context, s *Subject) Result {
	if s.FstabErr != nil && !errors.Is(s.FstabErr, fs.ErrNotExist) {
		return s.CannotSee(fstabPath, s.FstabErr)
	}
	var found []Result
	for _, l := range s.Flaws {
		e, err := s.Config.Resolver.Resolve(hostOf(l.Fields[0]))
		if err == nil || slices.Contains(l.Fields, "azfiles") {
			place := fileLine(fstabPath, l.Line)
			found = s.addOfLine(found, e, strings.Join(l.Fields[1:min(2, len(l.Fields))], ""), Broken("correct "+place+": no space in the options, and numbers or nothing after them",
				"%s: mount(8) ignores the line: %s", place, l.Problem).And("systemd mounts what it makes of it at boot, with the options before the space"))
		}
	}
	for _, l := range s.Fstab {
		e, err := s.Config.Resolver.Resolve(hostOf(l.Spec))
		if l.IsOurs() {
			found = s.addOfLine(found, e, l.Target, s.examineLine(l))
		} else if r := examineMisread(l); r.Status == Problem {
			found = s.addOfLine(found, e, l.Target, r)
		} else if err == nil && l.IsSMB() {
			found = s.addOfLine(found, e, l.Target, examineCIFSLine(l, e))
		}
	}
	if len(found) == 0 {
		return Good("there are none")
	}
	return worst(found...)
}

// addOfLine adds what was found of a line of fstab for an endpoint, the zero one where its host is none: nothing of other
// accounts than the one that was named, and nothing worse than a warning of other mount points.
func (s *Subject) addOfLine(found []Result, e endpoint.Endpoint, target string, r Result) []Result {
	isPlace := s.place != "" && filepath.Clean(target) == s.place
	if !isPlace && !s.tests(e.Host()) {
		return found
	}
	if s.place != "" && !isPlace {
		r = r.aside()
	}
	return append(found, r)
}

// examineMisread judges a line that was meant for mount.azfiles, and of which mount(8) makes something else.
func examineMisread(l mounts.FstabLine) Result {
	place := entryPlace(l)
	if l.Target == mounts.OurType {
		return Broken("type the space between source and mount point of "+place+" again", "%s: mount(8) takes %q for the source and azfiles for the mount point: it knows no other spaces than those of a keyboard", place, mounts.Presentable(l.Spec))
	}
	if strings.EqualFold(l.Type, mounts.OurType) {
		return Broken("write azfiles as the type of "+place, "%s: mount(8) knows no type %s", place, l.Type)
	}
	return quiet
}

// examineLine judges a line of type azfiles. What a line says of the identity is judged elsewhere.
func (s *Subject) examineLine(l mounts.FstabLine) Result {
	found := []Result{s.examineSource(l)}
	for _, problem := range l.Options.Login().Problems {
		found = append(found, Failed(problem).at(entryPlace(l)))
	}
	place := entryPlace(l)
	for _, note := range l.Options.Login().Notes {
		found = append(found, Known("%s: %s", place, note))
	}
	if len(l.MountOnly) > 0 {
		found = append(found, Warned("write the characters themselves in "+place, "%s: systemd does not decode %s as mount(8) does, so that at boot the line says something else", place, strings.Join(l.MountOnly, ", ")))
	}
	_, network := l.Options.Get("_netdev")
	if _, byHand := l.Options.Get("noauto"); !network && !byHand {
		found = append(found, Warned("add _netdev to the options of "+place, "%s: without _netdev the share is mounted at boot before the network is there", place))
	}
	found = append(found, s.examineTwin(l))
	for _, o := range l.Options {
		if o.RequiresDaemon() {
			found = append(found, Warned("remove "+o.String()+" from "+place, "%s: with %s a restart of the daemon, which every upgrade is, unmounts the share", place, o))
		}
	}
	target := filepath.Clean(l.Target)
	for _, m := range s.Mounts {
		if m.Target == target && m.Source != l.Spec {
			found = append(found, Warned("write "+mounts.EscapeFstab(m.Source)+" as the source of "+place, "%s: on %s is mounted %s, which mount -a does not recognise as %s", place, m.Target, m.Source, l.Spec))
		}
	}
	return worst(append(found, s.examineTarget(place, l))...)
}

// examineTwin looks for an earlier line that is mounted at boot on the same mount point.
func (s *Subject) examineTwin(l mounts.FstabLine) Result {
	atBoot := func(l mounts.FstabLine) bool {
		_, byHand := l.Options.Get("noauto")
		return !byHand
	}
	for _, other := range s.Fstab {
		if other.Line < l.Line && filepath.Clean(other.Target) == filepath.Clean(l.Target) && atBoot(other) && atBoot(l) {
			return Warned("remove line "+strconv.Itoa(other.Line)+" or "+strconv.Itoa(l.Line)+" of "+fstabPath, "%s: line %d has the mount point %s already: mount -a mounts one over the other, and systemd the first one alone", entryPlace(l), other.Line, l.Target)
		}
	}
	return quiet
}

// examineTarget tells of a mount point that mount(8) would not find.
func (s *Subject) examineTarget(place string, l mounts.FstabLine) Result {
	if !filepath.IsAbs(l.Target) {
		return Broken("write the mount point of "+place+" with / in front", "%s: the mount point %s does not begin with /: mount(8) looks for it where it is run, and systemd does not mount it", place, l.Target)
	}
	target := filepath.Clean(l.Target)
	err := l.CheckTarget(s.Host, s.Mounts)
	if err == nil || errors.Is(err, fs.ErrPermission) {
		return quiet
	} else if !errors.Is(err, fs.ErrNotExist) {
		return Failed(mounts.TargetInvalid(target, err)).at(place)
	}
	return Warned("mkdir -p "+fault.Word("target", target), "%s: the mount point %s is missing: mount refuses it, and only systemd makes it, at boot", place, target)
}

func (s *Subject) examineSource(l mounts.FstabLine) Result {
	src, e, err := mounts.Mountable(l.Spec, s.Config.Resolver)
	if err != nil {
		return Failed(err).And("%s", entryPlace(l))
	}
	if !src.Typed {
		r := Warned("write "+mounts.EscapeFstab(src.UNC)+" as the source of "+entryPlace(l), "%s: the kernel shows %s in another form, by which findmnt, umount and systemd do not recognise the line", entryPlace(l), l.Spec)
		if strings.HasPrefix(l.Spec, `\\`) {
			r = r.And("systemd reads two backslashes as one, so that at boot it is another name")
		}
		return r
	}
	return Good("%s: %s", entryPlace(l), e)
}

func examineCIFSLine(l mounts.FstabLine, e endpoint.Endpoint) Result {
	if ours := l.Options.OnlyOurs(); len(ours) > 0 {
		return Broken("write azfiles as the type of "+entryPlace(l), "%s: %s is an option of the type azfiles, and the kernel refuses it on a line of type %s", entryPlace(l), ours[0].Name, l.Type)
	}
	if !l.IsKerberos() {
		return Known("%s mounts %s with the account's key; with the type azfiles and without username=, password= and credentials= an identity logs in", entryPlace(l), e)
	}
	if l.Options.LeavesUserName() {
		return Warned("add username=root to the options of "+entryPlace(l)+", or username= with the client id of the identity that is to log in",
			"%s: users can mount it, and with a client ID in the variable USER they choose which managed identity of this machine logs in", entryPlace(l))
	}
	r := Known("%s mounts %s with the ticket that its login finds; with the type azfiles the mount fetches it, and tells why it fails", entryPlace(l), e)
	if l.WantsTicket() {
		r = Known("%s mounts %s with a ticket that azfilesrefresh fetches at boot", entryPlace(l), e)
	}
	return r
}

func checkHostForm(_ context.Context, s *Subject) Result {
	found := []Result{Good("every one is an account's own name, or one that the configuration knows")}
	for _, t := range s.Targets {
		for _, from := range t.From {
			if from.Fstab != nil { // before the mounts, which may be made by such a line
				found = append(found, examineHost(t.Endpoint, from.Host, entryPlace(*from.Fstab), "edit "+entryPlace(*from.Fstab)))
			}
		}
		for _, from := range t.From {
			if from.Mount != nil {
				found = append(found, examineHost(t.Endpoint, from.Host, "the mount "+from.Mount.Target, "umount "+fault.Word("mountpoint", from.Mount.Target)+" and mount it again"))
			}
		}
	}
	for _, l := range s.Fstab {
		found = s.addOfLine(found, endpoint.Endpoint{}, l.Target, addressLine(l))
	}
	s.mountUnits(func(path, host string) {
		if e, err := s.Config.Resolver.Resolve(host); err == nil && s.tests(e.Host()) {
			found = append(found, examineHost(e, host, path, "edit "+path))
		}
	})
	return worst(found...)
}

// examineHost judges the host that a share is mounted by.
func examineHost(e endpoint.Endpoint, host, where, how string) Result {
	own := e.Host()
	if host == own {
		return quiet
	}
	if strings.Contains(strings.ToLower(host), ".privatelink.") {
		return Warned(how+": the host is "+own, "%s has %s, the name of the private endpoint; the ticket is for %s", where, host, own)
	}
	if host != strings.ToLower(host) {
		return Warned(how+": the host is "+strings.ToLower(host), "%s has %s with upper-case letters", where, host)
	}
	return Result{Status: OK, Evidence: []string{where + ": " + host + " is a name of " + own + " by the configuration"}}
}

// addressLine finds a line of type cifs that has an address for a host and logs in as a managed identity.
func addressLine(l mounts.FstabLine) Result {
	host := hostOf(l.Spec)
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if _, username := l.Options.MountCIFS(); err != nil || !l.IsKerberos() || identity.ClientID(username) == "" {
		return quiet
	}
	return Warned("edit "+entryPlace(l)+": the host is <account>.file.core.windows.net, and ip="+host+" may stay as an option",
		"%s has the address %s, for which there can be no ticket", entryPlace(l), host)
}

// mountUnits gives the hosts of the shares that an administrator's units mount (systemd.mount(5)).
func (s *Subject) mountUnits(do func(path, host string)) {
	const dir = "/etc/systemd/system"
	entries, _ := s.ReadDir(dir) // none is none
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".mount") {
			continue
		}
		path := dir + "/" + entry.Name()
		text, _ := s.ReadFile(path)
		for line := range strings.Lines(string(text)) {
			if key, value, ok := strings.Cut(line, "="); ok && strings.TrimSpace(key) == "What" {
				do(path, hostOf(strings.TrimSpace(value)))
			}
		}
	}
}
