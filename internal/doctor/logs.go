package doctor

import (
	"context"
	"errors"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// recent is how old a message of the kernel, or a denial, may be to count.
const recent = time.Hour

// hints are what messages of the SMB client mean (fs/smb/client of the kernel).
var hints = []struct{ pattern, means string }{
	{`cifs.*bad cifs\.upcall version`, "a handler of another version answered: look at request-key-rule"},
	{`cifs.*upcall support disabled`, "the kernel is built without CONFIG_CIFS_UPCALL"},
	{`cifs.*Unknown parameter '?([A-Za-z_]+)`, "the kernel does not know a mount option"},
	{`(cifs.*session.*|Send error in SessSetup = )-(126|127|128|129)\b`, noTicket},
	{`(cifs.*session.*|Send error in SessSetup = )-13\b`, "the ticket reached Azure and was refused: role, SMBOAuth or clock"},
	{`(cifs.*session.*|Send error in SessSetup = )-5\b`, "the server wanted another login or the encryption type is not accepted"},
	{`cifs.*Verify user has a krb5 ticket`, noTicket},
	{`cifs_mount failed w/return code = -(101|110|111|113|115)\b`, "the server cannot be reached on port 445"},
}

const noTicket = "the handler had no ticket: azfilesauth status shows its last fault"

func checkKernelLog(_ context.Context, s *Subject) Result {
	lines, err := s.recentLog()
	if err != nil {
		return s.CannotSee("the kernel's log", err)
	}
	r, seen := Result{Status: Info}, map[string]bool{}
	for _, h := range hints {
		pattern := regexp.MustCompile("(?i)" + h.pattern)
		if i := slices.IndexFunc(lines, pattern.MatchString); i >= 0 && !seen[h.means] {
			seen[h.means] = true
			r = r.And("%s (%s)", fault.Shorten(lines[i], 200), h.means)
		}
	}
	for _, t := range s.Targets {
		r = s.examineRefusal(r, lines, t.Endpoint)
	}
	if len(r.Evidence) == 0 {
		return Good("no complaint within the last hour")
	}
	return r
}

// recentLog gives the kernel's messages within the last hour, or all where its age is not known.
func (s *Subject) recentLog() ([]string, error) {
	first, _, _ := strings.Cut(s.text("/proc/uptime"), " ")
	began := time.Duration(0)
	if seconds, err := strconv.ParseFloat(first, 64); err == nil {
		began = time.Duration(seconds*float64(time.Second)) - recent
	}
	log, err := s.Kernel.Log()
	var lines []string
	for _, l := range log {
		if l.At >= began {
			lines = append(lines, l.Text)
		}
	}
	return lines, err
}

// refusals are what the kernel says of a login that reached the server, in lower case
// (fs/smb/client/sess.c and smb2maperror.c).
var refusals = []string{"status_logon_failure", "status_access_denied", "setup = -13", "kerberos: -13", "status_more_processing_required", "setup = -5"}

// examineRefusal adds what to look at in Azure where the server refused a login to an endpoint.
func (s *Subject) examineRefusal(r Result, lines []string, e endpoint.Endpoint) Result {
	refused := slices.IndexFunc(lines, func(text string) bool {
		line := strings.ToLower(text)
		return strings.Contains(line, e.Host()) && slices.ContainsFunc(refusals, func(r string) bool { return strings.Contains(line, r) })
	})
	if refused < 0 {
		return r
	}
	unasked := "" // of accounts that allow AES-256-GCM alone, which the kernel does not offer unasked
	if s.text(cifsParameters+"require_gcm_256") == "N" {
		unasked = "; with AES-256-GCM alone: echo 1 > " + cifsParameters + "require_gcm_256"
	}
	return r.And("role, which has to be \"Storage File Data SMB MI Admin\": az role assignment list --scope $(az storage account show -n %s --query id -o tsv) --query \"[].[principalId,roleDefinitionName]\"", e.Account()).
		And("SMB with OAuth: az storage account show -n %s --query azureFilesIdentityBasedAuthentication.smbOAuthSettings.isSmbOAuthEnabled", e.Account()).
		And("encryption: az storage account file-service-properties show -n %s -g <resource-group> --query protocolSettings.smb.channelEncryption%s", e.Account(), unasked)
}

// Log reads /dev/kmsg to its end, one record for each read (the kernel's
// Documentation/ABI/testing/dev-kmsg: "level,sequence,time,flags;text" and lines of properties).
func (kernel) Log() ([]LogLine, error) {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/dev/kmsg", Err: err}
	}
	defer func() { _ = unix.Close(fd) }() // only read
	const most = 20_000
	var lines []LogLine
	record := make([]byte, 16<<10)
	for range most {
		n, err := unix.Read(fd, record)
		if errors.Is(err, unix.EPIPE) { // records were overwritten meanwhile
			continue
		}
		if errors.Is(err, unix.EAGAIN) || err == nil && n == 0 {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
		lines = append(lines, parseRecord(string(record[:n])))
	}
	return lines, nil
}

// parseRecord reads one record; the time is in microseconds.
func parseRecord(record string) LogLine {
	head, text, _ := strings.Cut(record, ";")
	text, _, _ = strings.Cut(text, "\n")
	fields := strings.SplitN(head, ",", 4)
	var at int64
	if len(fields) > 2 {
		at, _ = strconv.ParseInt(fields[2], 10, 64) // 0 for what is not a number: long ago
	}
	return LogLine{At: time.Duration(at) * time.Microsecond, Text: text}
}

// auditLog is where auditd(8) writes.
const auditLog = "/var/log/audit/audit.log"

// maxAudit is how much of its end is looked at, in bytes.
const maxAudit = 1 << 20

func checkSELinux(_ context.Context, s *Subject) Result {
	enforcing := s.text("/sys/fs/selinux/enforce")
	if enforcing == "" && s.text("/sys/module/apparmor/parameters/enabled") != "Y" {
		return Good("neither is active")
	}
	log, err := s.auditLog()
	if err != nil {
		return s.CannotSee(auditLog, err)
	}
	lines := s.denials(log)
	if len(lines) == 0 {
		return Good("none")
	}
	fix := "ausearch -m avc -ts recent | audit2why; restorecon -Rv /usr/bin/azfilesauth /usr/sbin/azfiles.upcall /etc/azfilesauth /run/azfilesauth"
	if enforcing == "" {
		fix = "aa-status; add the access that is missing to the profile, or aa-complain it"
	}
	r := Warned(fix, "%s", lines[len(lines)-1])
	if enforcing == "0" {
		r = r.And("SELinux only warns now (permissive): it would deny this when enforcing")
	}
	return r
}

// auditLog gives the lines of the log of auditd or, without one, of the kernel's.
func (s *Subject) auditLog() ([]string, error) {
	content, err := s.ReadEnd(auditLog, maxAudit)
	if content == nil {
		log, kernelErr := s.Kernel.Log()
		if kernelErr != nil {
			return nil, err
		}
		var lines []string
		for _, l := range log {
			lines = append(lines, l.Text)
		}
		return lines, nil
	}
	return strings.Split(string(content), "\n"), err
}

// denials picks the denials of our programs within the last hour: "avc:  denied ... comm=" and
// "apparmor="DENIED"".
func (s *Subject) denials(lines []string) []string {
	ours := regexp.MustCompile(`(comm|exe|profile)="[^"]*(azfiles|request-key|mount\.cifs)`)
	stamp := regexp.MustCompile(`audit\((\d+)[.:]`)
	var found []string
	for _, l := range lines {
		m := stamp.FindStringSubmatch(l)
		if m == nil || !strings.Contains(l, "avc:  denied") && !strings.Contains(l, `apparmor="DENIED"`) || !ours.MatchString(l) {
			continue
		}
		if at, err := strconv.ParseInt(m[1], 10, 64); err == nil && s.Now().Sub(time.Unix(at, 0)) < recent {
			found = append(found, l)
		}
	}
	return found
}
