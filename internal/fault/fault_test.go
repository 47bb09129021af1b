package fault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"
)

func TestTableIsComplete(t *testing.T) {
	seen := map[ID]bool{}
	form := regexp.MustCompile(`^AZF(-[A-Z0-9]+)+$`)
	for _, k := range Table() {
		if !form.MatchString(string(k.ID)) || seen[k.ID] {
			t.Errorf("%s: malformed or twice in the table", k.ID)
		}
		seen[k.ID] = true
		if k.What == "" || k.Fix == "" || strings.HasSuffix(k.What, ".") || strings.HasSuffix(k.Fix, ".") {
			t.Errorf("%s: a text is missing or ends with a full stop", k.ID)
		}
		switch k.Exit {
		case ExitUsage, ExitSystem, ExitInternal, ExitInterrupted, ExitMount:
		default:
			t.Errorf("%s: exit status %d is not one of mount(8)'s", k.ID, k.Exit)
		}
		if r := []rune(k.What)[0]; unicode.IsUpper(r) && !strings.HasPrefix(k.What, "SMB") {
			t.Errorf("%s: %q starts with a capital", k.ID, k.What)
		}
	}
}

func TestError(t *testing.T) {
	f := RoleMissing.New("system", "acct", "").Because(errors.New("403 AuthorizationFailure"))
	want := `AZF-ROLE-MISSING: the identity system has no role on acct that allows SMB (403 AuthorizationFailure); ` +
		`fix: az role assignment create --assignee <principal> --role "Storage File Data SMB MI Admin" ` +
		`--scope $(az storage account show -n acct --query id -o tsv); an assignment takes up to ten minutes; azfilesauth doctor acct shows the object id`
	if got := f.Error(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if f.Exit() != ExitMount || f.Retryable() || f.ID() != RoleMissing.ID {
		t.Error("the fault does not carry its kind")
	}
}

// config.yaml is others' file, so what we advise to write stands in a file of its own.
func TestFixesNameADropIn(t *testing.T) {
	for _, k := range Table() {
		if strings.Contains(k.Fix, "/config.yaml") {
			t.Errorf("%s: %s", k.ID, k.Fix)
		}
	}
}

// What cannot be opened because nothing can is not at fault.
func TestOpenFiles(t *testing.T) {
	for _, err := range []error{&fs.PathError{Op: "open", Path: "/x", Err: syscall.EMFILE}, &net.OpError{Op: "dial", Err: syscall.ENFILE}} {
		f := ConfigInvalid.New("/x", "it cannot be opened").Because(err)
		if f.ID() != OpenFiles.ID || strings.Contains(f.What()+f.Fix(), "/x") || !f.Retryable() {
			t.Errorf("got %s", f)
		}
	}
}

// Nor is what lacks memory, or may not grow.
func TestExhausted(t *testing.T) {
	for errno, want := range map[syscall.Errno]ID{syscall.ENOMEM: "AZF-OUT-OF-MEMORY", syscall.EFBIG: "AZF-FILE-LIMIT", syscall.EIO: "AZF-CCACHE-IO"} {
		if f := CCacheIO.New("/x").Because(&fs.PathError{Op: "write", Path: "/x", Err: errno}); f.ID() != want {
			t.Errorf("%v: got %s", errno, f)
		}
	}
	if f := From(syscall.ENOMEM); f.ID() != OutOfMemory.ID {
		t.Errorf("got %s", f)
	}
}

func TestValuesDoNotExpandAgain(t *testing.T) {
	f := SourceInvalid.New("{problem}{", "p")
	if got, want := f.What(), "{problem}{ is not an Azure Files share: p"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOneBoundedCleanLine(t *testing.T) {
	evil := "a\r\nNov 23 root: forged\x1b[2J\u202e\u2028\x00" + strings.Repeat("ä", 3000) + "\xff"
	f := AzureRefused.New(evil).Because(errors.New(evil))
	got := f.Error()
	if len(got) > MaxLine {
		t.Errorf("%d bytes", len(got))
	}
	for _, r := range got {
		if unicode.IsControl(r) || r == unicode.ReplacementChar || r == '\u202e' || r == '\u2028' {
			t.Errorf("holds %U", r)
		}
	}
}

func TestFrom(t *testing.T) {
	if From(nil) != nil {
		t.Error("From(nil) is not nil")
	}
	f := DNSFailed.New("")
	if From(fmt.Errorf("wrapped: %w", f)) != f {
		t.Error("a wrapped fault is not found")
	}
	for err, want := range map[error]Named{context.Canceled: Interrupted, context.DeadlineExceeded: Timeout, errors.New("x"): Internal} {
		if got := From(err); !Is(got, want) {
			t.Errorf("From(%v) = %s, want %s", err, got.ID(), want)
		}
	}
	if !Is(fmt.Errorf("w: %w", f), DNSFailed) || Is(errors.New("x"), DNSFailed) {
		t.Error("Is")
	}
}

// The compiler counts as many values as the texts have places.
func TestPlaces(t *testing.T) {
	for _, k := range Table() {
		if n := len(k.names()); n != k.values {
			t.Errorf("%s: its texts have %d places, its type %d", k.ID, n, k.values)
		}
	}
}

// A fault knows which bound it hit, and who set that knows how it is widened.
// The zone of a private endpoint is that of the account's cloud, here of kubernetes-sigs/azurefile-csi-driver issue 2944.
func TestDomainOfTheAccount(t *testing.T) {
	for host, want := range map[string]string{
		"acct.file.core.chinacloudapi.cn":        "file.core.chinacloudapi.cn",
		"acct.file.core.usgovcloudapi.net":       "file.core.usgovcloudapi.net",
		"acct.z24.file.storage.azure.net":        "z24.file.storage.azure.net",
		"acct.privatelink.file.core.windows.net": "file.core.windows.net",
		"files.contoso.com":                      "file.core.windows.net",
		"acct.file.core.$(reboot).net":           "file.core.windows.net",
		"":                                       "file.core.windows.net",
	} {
		if fix := DNSFailed.New(host).Fix(); !strings.Contains(fix, "link the zone privatelink."+want+" to") {
			t.Errorf("%s: %s", host, fix)
		}
		if fix := IPv6Only.New(host).Fix(); !strings.Contains(fix, "//<account>-ipv6."+want+"/<share>") {
			t.Errorf("%s: %s", host, fix)
		}
	}
	if fix := DNSFailed.Blank().Fix(); !strings.Contains(fix, "privatelink.file.core.windows.net") {
		t.Error(fix)
	}
}

func TestBounds(t *testing.T) {
	outer, cancel := WithTimeout(t.Context(), time.Nanosecond, BoundFlag)
	defer cancel()
	inner, cancel := WithTimeout(outer, time.Hour, BoundTotal)
	defer cancel()
	<-inner.Done()
	if f := Ended(inner); !Is(f, Timeout) || f.Fix() != "try again; a longer --timeout may help" {
		t.Error(f)
	}
	fixed, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	<-fixed.Done()
	if f := Ended(fixed); !Is(f, Timeout) || f.Fix() != "try again" {
		t.Errorf("a limit that nobody can widen: %v", f)
	}
	gone, cancel := WithTimeout(t.Context(), time.Hour, BoundFlag)
	cancel()
	if f := Ended(gone); !Is(f, Interrupted) {
		t.Error(f)
	}
	if _, late := Late(gone); late {
		t.Error("what was interrupted is late")
	}
	if got := EndpointTimeout.Blank().Fix(); !strings.Contains(got, "a longer azfiles_timeout= or --timeout may help") {
		t.Errorf("the manual says %q", got)
	}
}

// The packages have the tickets in krb5cc_0: to name that file is no fix where it is the one with another client's tickets.
func TestCacheOfItsOwnIsAnother(t *testing.T) {
	const usual = "/run/azfilesauth/krb5cc_0"
	if fix := CCachePrincipal.New(usual, "its client is bob@EXAMPLE").Fix(); !strings.Contains(fix, "/run/azfilesauth/krb5cc") || strings.Contains(fix, usual) {
		t.Error(fix)
	}
}
