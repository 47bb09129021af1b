package mounts

import (
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/config"
	"github.com/azfilesauth/azfilesauth/internal/endpoint"
	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// Default is an option that a mount gets although its line does not have it.
type Default struct {
	Option    string // as mount.cifs gets it; for an unused one as it would be written
	Since     string // the kernel from which on it is used, such as "6.4"; "" is every kernel
	Why       string // a sentence, or two
	Figure    string // what it changes
	Source    string // where that is from
	Unused    bool   // it is in the table for its reason alone: people ask for it
	Negatable bool   // the kernel knows its negation
	Instead   string // names of options that take its place, beside its own and its negation
}

// Defaults gives the table of default options. The manual, mount -v and "azfilesauth explain options" speak from it.
func Defaults() []Default { return defaults }

// defaults is the one place that knows which options are used when nobody says so. What an option that is not in it does
// by default, the kernel decides: file_mode, dir_mode, uid and gid are the administrator's, and locks are never left
// to the client alone (nobrl).
//
// The kernel's own defaults are those of smb3_init_fs_context in its fs/smb/client/fs_context.c.
var defaults = []Default{
	{
		Option: "mfsymlinks", Instead: "sfu symlink",
		Why:    "Symbolic links work; Azure Files has none of its own.",
		Figure: "ln -s fails without it",
		Source: "Microsoft, Mount SMB Azure file shares on Linux clients, which adds it where links are wanted",
	},
	{
		Option: "actimeo=30", Instead: "acregmax acdirmax noac",
		Why:    "A file's size and times are cached for this many seconds, unless this machine changes them. Use actimeo=1 for shares whose files other machines change often.",
		Figure: "measured on 6.1: a walk over 100 files, 2 s after another one, sends 40 requests instead of 376 and takes 22% of the time, because an unchanged file is asked for every 30 s instead of every second, the kernel's default",
		Source: "Microsoft's line for fstab, same page",
	},
	{
		Option: "serverino", Negatable: true,
		Why:    "Inode numbers are the server's, so that hard links and tools for backups see the same file as the same.",
		Figure: "none, it is the kernel's own default, written so that a remount keeps it",
		Source: "Microsoft's line for fstab, same page",
	},
	{
		Option: "rasize=8388608", Since: "6.4",
		Why:    "A sequential read of a large file has more requests in flight. Kernels from 5.13 to 6.3 accept it when it is set; whether it helps them is not known.",
		Figure: "8 MiB are read ahead instead of twice rsize, which is 2 MiB at Azure Files",
		Source: "cifs_read_super in the kernel's fs/smb/client/cifsfs.c",
	},
	{
		Option: "max_channels=4,multichannel", Negatable: true, Unused: true,
		Why:    "More connections for one share, each with a login of its own. The server has them for SSD shares alone, and whether they survive a reconnect depends on the distribution: write it on Ubuntu 22.04 and 24.04, Azure Linux 3.0, RHEL 9.7 and 10.1, with kernel 6.8 or later.",
		Figure: "measured on 6.1 against Samba: the same requests, 86% to 119% of the time of one connection; the gain on an SSD share over a real network was not measured",
		Source: "Microsoft, Improve performance for SMB Azure file shares, Linux SMB Multichannel",
	},
	{
		Option: UnsharedSocket, Unused: true,
		Why:    "A connection and a login of its own for each mount. It is added where another identity has the account mounted, and on kernels that would share the login of another identity. It costs a login for each share.",
		Figure: "one login for each mount instead of one for each account",
		Source: "Microsoft's line for fstab has it always; match_session in the kernel's fs/smb/client/connect.c",
	},
	{
		Option: "nolease", Unused: true,
		Why:    "Before Linux 6.9 the kernel renames a file without naming its lease. A server that keeps a lease of a session that has ended under the file's old name then refuses to open it by its new name (EINVAL), until it is replaced again or the share is mounted again; without leases that cannot be. Whether Azure Files keeps such leases is not known; Samba does.",
		Figure: "measured on 6.1: 4,107 requests instead of 4,102 where a file is replaced and read back 205 times, with two reads for each instead of one",
		Source: "measured in guests, docs/sessions.md",
	},
	{
		Option: "nobrl", Unused: true,
		Why:    "Locks of one machine would not be seen by the others, and files that rely on them, such as databases, would be damaged.",
		Figure: "not measured: correctness comes before speed",
		Source: "mount.cifs(8)",
	},
}

// noDefaults is the option that switches the defaults off.
const noDefaults = "azfiles_defaults"

// Usable reports whether a kernel, by its release such as "6.1.0-56-amd64", gets the option. An unknown kernel gets
// what every kernel has.
func (d Default) Usable(release string) bool { return !d.Unused && AtLeast(release, d.Since) }

// Given tells which options a line gets beside those that it has: those of mount_options of its account, of mount_options
// for all, and of the table of Defaults, where a kernel has them. Each is left out where the line, or what was given
// before, says something of the same. The error is of kind OptionInvalid or OptionRefused.
func (l Login) Given(cfg *config.Config, e endpoint.Endpoint, release string) (Options, error) {
	if l.Plain {
		return nil, nil
	}
	var given Options
	said := slices.Concat(l.Rest, l.off)
	add := func(more Options) {
		more = more.unsaidBy(said)
		given, said = append(given, more...), append(said, more...)
	}
	builtIn := true
	for _, list := range cfg.MountOptionsOf(e.Host()) {
		site, err := siteOptions(list)
		if err != nil {
			return nil, err
		}
		add(site.Rest)
		said = append(said, site.off...)
		builtIn = builtIn && !site.Plain
	}
	for _, d := range defaults {
		if builtIn && d.Usable(release) {
			add(ParseOptions(d.Option))
		}
	}
	return given, nil
}

func siteOptions(list string) (Login, error) {
	const key = "mount_options"
	all := ParseOptions(list)
	l := all.Login()
	for _, o := range all {
		rule, ruled := ruleOf(o)
		if !rule.refuses(o) && ruled && rule.Name != noDefaults && rule.Fate != Passed || o.Is("remount") {
			l.addProblem(invalid(key, o.Name+" of the configuration is no option for every mount; it belongs on a line of fstab"))
		}
	}
	if err := l.Err(); err != nil {
		return l, fault.From(err).Advise("where it is in mount_options: azfilesauth config check")
	}
	return l, nil
}

// CheckSite judges mount_options of the configuration as every mount does: what a mount would be refused for, and sentences
// with the key in front of what nobody knows here.
func CheckSite(cfg *config.Config) (problems []config.Misuse, notes []string) {
	keys, lists := cfg.SiteOptions()
	for i, key := range keys {
		l, _ := siteOptions(lists[i])
		for _, err := range l.Problems {
			problems = append(problems, config.Misuse{Key: key, Problem: fault.From(err).What()})
		}
		for _, note := range l.Notes {
			notes = append(notes, key+": "+note)
		}
	}
	return problems, notes
}

// switchesOff tells a bare negation, such as nomfsymlinks, that can only mean the default: mount.cifs and the kernel refuse
// it (smb3_fs_parameters in fs/smb/client/fs_context.c has a negation for flags of the kind fsparam_flag_no alone).
func switchesOff(o Option) bool {
	positive, negated := strings.CutPrefix(strings.ToLower(o.Name), "no")
	return negated && !o.Valued && slices.ContainsFunc(defaults, func(d Default) bool {
		return !d.Unused && !d.Negatable && subjectOf(o) == positive && d.name() == positive
	})
}

// name is that of the option alone.
func (d Default) name() string {
	name, _, _ := strings.Cut(d.Option, "=")
	return name
}

// unsaidBy gives the options of which other ones say nothing.
func (all Options) unsaidBy(others Options) Options {
	var left Options
	for _, o := range all {
		if !slices.ContainsFunc(others, func(other Option) bool { return subjectOf(other) == subjectOf(o) }) {
			left = append(left, o)
		}
	}
	return left
}

// subjectOf is what an option is about: an option, its negation and those that take its place are about the same.
func subjectOf(o Option) string {
	name := strings.ToLower(o.Name)
	for _, d := range defaults {
		if slices.Contains(strings.Fields(d.Instead), name) {
			return d.name()
		}
	}
	if positive, negated := strings.CutPrefix(name, "no"); negated {
		if _, known := lookUp(positive); known {
			return positive
		}
	}
	return name
}

// AtLeast compares the release of a kernel, or the version of a program, with another one of two numbers; "" is every one.
func AtLeast(release, since string) bool {
	return since == "" || slices.Compare(numbers(release), numbers(since)) >= 0
}

func takeDefaults(l *Login, o Option) error {
	if o.Text() != "none" {
		return invalid(o.Name, "it can only be none")
	}
	l.Plain = true
	return nil
}
