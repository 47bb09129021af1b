package fault

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// selfEvident are the kinds whose line says all: the problem is in the line, and there is one way out.
var selfEvident = []ID{
	"AZF-USAGE", "AZF-CALL-INVALID", "AZF-NOT-ROOT", "AZF-ARC-SYSTEM-ONLY", "AZF-MOUNT-CIFS-MISSING", "AZF-UPCALL-KEY",
	"AZF-SETUP-INCLUDE", "AZF-SETUP-PROGRAM", "AZF-SETUP-TOOL", "AZF-INTERRUPTED", "AZF-INTERNAL",
}

// names are capital words with which a cause can begin.
var names = []string{"Microsoft", "Azure,", "Entra", "Kerberos", "Allow", "KRB5_CC_NAME", "USER_UID", "NTP", "FIPS", "SMB", "SELinux", "LimitFSIZE="}

// Every kind but those has causes and how to tell them apart; no detail is of a kind that does not exist.
func TestDetails(t *testing.T) {
	for _, k := range Table() {
		d, found := Details(k.ID)
		if found == slices.Contains(selfEvident, k.ID) {
			t.Errorf("%s: has details: %t", k.ID, found)
		}
		if found && len(d.Causes) == 0 {
			t.Errorf("%s: no causes", k.ID)
		}
		for _, c := range d.Causes {
			for _, text := range []string{c.What, c.Tell} {
				if text == "" || strings.HasSuffix(text, ".") || strings.Contains(text, "\n") {
					t.Errorf("%s: %q is empty, ends with a full stop or has a line end", k.ID, text)
				}
			}
			if word, _, _ := strings.Cut(c.What, " "); unicode.IsUpper([]rune(word + "x")[0]) && !slices.Contains(names, word) {
				t.Errorf("%s: %q starts with a capital", k.ID, c.What)
			}
		}
	}
	seen := map[ID]bool{}
	for _, part := range [][]Detail{localDetails, identityDetails, networkDetails, mountDetails} {
		for _, d := range part {
			if _, known := Lookup(d.ID); !known || seen[d.ID] {
				t.Errorf("%s: no such kind, or twice", d.ID)
			}
			seen[d.ID] = true
		}
	}
}

// Where two causes are told apart by the same look, that look tells nothing.
func TestCausesDiffer(t *testing.T) {
	for _, k := range Table() {
		d, _ := Details(k.ID)
		seen := map[string]bool{}
		for _, c := range d.Causes {
			if seen[c.Tell] {
				t.Errorf("%s: %q tells two causes", k.ID, c.Tell)
			}
			seen[c.Tell] = true
		}
	}
}

// minimal are the programs that a minimal installation of Debian and of RHEL has, or that come with azfilesauth's own
// dependencies (cifs-utils, keyutils): coreutils, util-linux, iproute2, kmod, procps, passwd, findutils, grep, systemd and the
// package manager of each.
const minimal = `apt-get azfilesauth bash cat chmod chown df dirname dmesg dnf echo find findmnt free getent grep ip journalctl ls mkdir mktemp modprobe mount
	mv prlimit rm su sysctl systemctl tail tdnf timedatectl timeout ulimit umount uname useradd usermod zypper`

// elsewhere are run where they are: az where one is logged in to Azure, the others beside what they manage.
const elsewhere = `az azcmagent docker kubectl`

// brought are named with the package that brings them.
var brought = map[string]string{
	"auditctl": "auditd", "ausearch": "auditd", "chronyc": "chrony", "openssl": "openssl",
	"update-ca-certificates": "ca-certificates", "update-ca-trust": "ca-certificates",
}

// prose are words with which a part of a fix begins that is no command.
const prose = `0 10s a add after an any ask azure check correct do edit elsewhere fix for give have if in install into is it leave let look make many name
	native of on or outside please put remove run see send set smb sudo that the then there to true try use where with without write`

var (
	parts  = regexp.MustCompile(`; |: | && | \| |\$\(|, then `)
	values = regexp.MustCompile(`^(\{.*|https://\S+|identity=\w+|<.*)$`)
)

// A fix names only programs that are there, or the package that brings them. Every word with which a part begins is in one of
// the lists: a new one is judged here.
func TestFixesUseToolsThatAreThere(t *testing.T) {
	for _, k := range Table() {
		for _, part := range parts.Split(k.Fix, -1) {
			word := strings.Trim(strings.Fields(part + " ;")[0], `"',();`)
			pkg, comes := brought[word]
			if comes && !strings.Contains(k.Fix, pkg) {
				t.Errorf("%s: %s comes with the package %s, which the fix does not name: %s", k.ID, word, pkg, k.Fix)
			}
			known := slices.Contains(strings.Fields(minimal+" "+elsewhere+" "+prose), strings.ToLower(word))
			if !comes && !known && !values.MatchString(word) {
				t.Errorf("%s: %q is in no list of programs or words: %s", k.ID, word, k.Fix)
			}
		}
	}
}

// switches are those of Azure CLI 2.78 that texts use: each was looked up in the sources of its command.
const switches = `--account-name --all --append --assignee --audiences --auth-methods --cert --create-cert --enable-smb-oauth --filter
	--id --identities --identity-name --is-fallback-public-client --issuer --kerb-ticket-encryption --method --name --query --resource --role
	--scope --set --storage-account --subject --subnet --subscription --url`

var (
	azure    = regexp.MustCompile(`\baz [^;|]*`)
	azSwitch = regexp.MustCompile(`--[a-z-]+`)
)

// A switch of az that does not exist makes the whole command fail.
func TestSwitchesOfAzureAreThere(t *testing.T) {
	for _, k := range Table() {
		texts := []string{k.Fix}
		d, _ := Details(k.ID)
		texts = append(texts, d.Example)
		for _, c := range d.Causes {
			texts = append(texts, c.What, c.Tell)
		}
		for _, command := range azure.FindAllString(strings.Join(texts, ";"), -1) {
			for _, name := range azSwitch.FindAllString(command, -1) {
				if !slices.Contains(strings.Fields(switches), name) {
					t.Errorf("%s: %s is no switch that was looked up: %s", k.ID, name, command)
				}
			}
		}
	}
}
