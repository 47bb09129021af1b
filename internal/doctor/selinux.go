package doctor

import (
	"context"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
)

func selinuxCheck() Check {
	return Check{
		ID: "selinux", Group: Surroundings, Title: "denials of SELinux and AppArmor", Severity: Latent,
		Proves: "Neither SELinux nor AppArmor has denied anything to azfilesauth or request-key within the last hour.",
		Why:    "The kernel starts request-key in a domain of its own, whose policy may forbid our handler to use the network or to read its files.",
		Run:    checkSELinux,
	}
}

// auditLog is where auditd(8) writes.
const auditLog = "/var/log/audit/audit.log"

// maxAudit is how much of its end is looked at, in bytes.
const maxAudit = 1 << 20

func checkSELinux(_ context.Context, s *Subject) Result {
	enforcing, _ := s.ReadFile("/sys/fs/selinux/enforce")
	apparmor, _ := s.ReadFile("/sys/module/apparmor/parameters/enabled")
	if len(enforcing) == 0 && strings.TrimSpace(string(apparmor)) != "Y" {
		return Good("neither is active")
	}
	lines, err := s.denials()
	if err != nil {
		return s.CannotSee(auditLog, err)
	}
	if len(lines) == 0 {
		return Good("none")
	}
	fix := "ausearch -m avc -ts recent | audit2why; restorecon -Rv /usr/bin/azfilesauth /usr/sbin/azfiles.upcall /etc/azfilesauth /run/azfilesauth"
	if len(enforcing) == 0 {
		fix = "aa-status; add the access that is missing to the profile, or aa-complain it"
	}
	r := Warned(fix, "%s", lines[len(lines)-1])
	if strings.TrimSpace(string(enforcing)) == "0" {
		r = r.And("SELinux only warns now (permissive): it would deny this when enforcing")
	}
	return r
}

// denials are the lines about our programs within the last hour, from the log of auditd or, without
// one, from the kernel's.
func (s *Subject) denials() ([]string, error) {
	var all []string
	f, err := s.Open(auditLog)
	if err != nil {
		log, kernelErr := s.Kernel.Log()
		if kernelErr != nil {
			return nil, err
		}
		for _, l := range log {
			all = append(all, l.Text)
		}
	} else {
		defer func() { _ = f.Close() }() // only read
		if info, err := f.Stat(); err == nil && info.Size() > maxAudit {
			_, _ = f.Seek(-maxAudit, io.SeekEnd) // else from the start, as far as the bound
		}
		content, err := io.ReadAll(io.LimitReader(f, maxAudit))
		if err != nil {
			return nil, err
		}
		all = strings.Split(string(content), "\n")
	}
	return s.denied(all), nil
}

// denied picks the recent denials of our programs: "avc:  denied ... comm=" and "apparmor="DENIED"".
func (s *Subject) denied(lines []string) []string {
	ours := regexp.MustCompile(`(comm|exe|profile)="[^"]*(azfiles|request-key|mount\.cifs)`)
	stamp := regexp.MustCompile(`audit\((\d+)[.:]`)
	var found []string
	for _, l := range lines {
		if !strings.Contains(l, "avc:  denied") && !strings.Contains(l, `apparmor="DENIED"`) || !ours.MatchString(l) {
			continue
		}
		m := stamp.FindStringSubmatch(l)
		if m == nil {
			continue
		}
		if at, err := strconv.ParseInt(m[1], 10, 64); err == nil && s.Now().Sub(time.Unix(at, 0)) < recent {
			found = append(found, l)
		}
	}
	return found
}
