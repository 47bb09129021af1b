package doctor

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"time"
)

func kernelLogCheck() Check {
	return Check{
		ID: "kernel-log", Group: Surroundings, Title: "the kernel's log", Severity: Tells,
		Proves: "The kernel has not complained of SMB logins within the last hour.",
		Why:    "What the kernel logs tells on which side the last failure was.",
		Run:    checkKernelLog,
	}
}

// recent is how old a message of the kernel, or a denial, may be to count.
const recent = time.Hour

// hint is what a message of the SMB client means (fs/smb/client of the kernel).
type hint struct {
	pattern *regexp.Regexp
	means   string
}

func hints() []hint {
	return []hint{
		{regexp.MustCompile(`(?i)cifs.*bad cifs\.upcall version`), "a handler of another version answered: look at request-key-rule"},
		{regexp.MustCompile(`(?i)cifs.*upcall support disabled`), "the kernel is built without CONFIG_CIFS_UPCALL"},
		{regexp.MustCompile(`(?i)cifs.*Unknown parameter '?([A-Za-z_]+)`), "the kernel does not know a mount option"},
		{regexp.MustCompile(`(?i)(cifs.*session.*|Send error in SessSetup = )-(126|127|128|129)\b`), "the handler had no ticket: azfilesauth status shows its last fault"},
		{regexp.MustCompile(`(?i)(cifs.*session.*|Send error in SessSetup = )-13\b`), "the ticket reached Azure and was refused: role, SMBOAuth or clock"},
		{regexp.MustCompile(`(?i)(cifs.*session.*|Send error in SessSetup = )-5\b`), "the server wanted another login or the encryption type is not accepted"},
		{regexp.MustCompile(`(?i)cifs.*Verify user has a krb5 ticket`), "the handler had no ticket: azfilesauth status shows its last fault"},
		{regexp.MustCompile(`(?i)cifs_mount failed w/return code = -(101|110|111|113|115)\b`), "the server cannot be reached on port 445"},
	}
}

func checkKernelLog(_ context.Context, s *Subject) Result {
	lines, err := s.Kernel.Log()
	if err != nil {
		return s.CannotSee("the kernel's log", err)
	}
	up, ok := s.uptime()
	r, seen := Known(""), map[string]bool{}
	r.Evidence = nil
	for _, l := range lines {
		if ok && up-l.At > recent {
			continue
		}
		for _, h := range hints() {
			if h.pattern.MatchString(l.Text) && !seen[h.means] {
				seen[h.means] = true
				r = r.And("%s (%s)", shorten(l.Text, 200), h.means)
			}
		}
	}
	if len(r.Evidence) == 0 {
		return Good("no complaint within the last hour")
	}
	return r
}

// uptime is for how long the machine has been running.
func (s *Subject) uptime() (time.Duration, bool) {
	content, _ := s.ReadFile("/proc/uptime")
	first, _, _ := strings.Cut(string(content), " ")
	seconds, err := strconv.ParseFloat(first, 64)
	return time.Duration(seconds * float64(time.Second)), err == nil
}
