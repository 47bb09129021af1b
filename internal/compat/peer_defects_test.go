package compat

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

// defectRows are those that no other row shows.
func defectRows() []peerRow {
	return []peerRow{
		{"defect_03_user_in_group_sudo", "the user that is made when `USER_UID` is not set", "azfilesuser, by any command, with a login shell, in group sudo or wheel", func(m *machine) string {
			m.write("useradd", "#!/bin/sh\necho \"$@\" >"+m.in("useradd.args")+"\nexit 1\n")
			must(m.T, os.Chmod(m.in("useradd"), 0o700))
			m.write("passwd", "root:x:0:0:root:/root:/bin/sh\n")
			m.tool.Provision = m.provision
			m.works("list")
			if _, err := os.Stat(m.in("useradd.args")); err == nil {
				m.Error("list makes a user")
			}
			m.works("set", uri, m.token)
			args, err := os.ReadFile(m.in("useradd.args"))
			must(m.T, err)
			for _, bad := range []string{"-G", "--groups", "sudo", "wheel", "--create-home"} {
				if slices.Contains(strings.Fields(string(args)), bad) {
					m.Errorf("%s", args)
				}
			}
			if !strings.Contains(string(args), "--shell /usr/sbin/nologin ") {
				m.Errorf("%s", args)
			}
			return "azfilesuser, by `set`, without shell, home and any group but its own"
		}},
		{"defect_06_identity_is_guessed", "who obtained a ticket", "guessed from the mount's user name at each refresh", func(m *machine) string {
			m.works("set", uri, "--imds-client-id", clientID)
			rec, _ := m.cache().Record("cifs/" + storageHost)
			if rec.Identity != "user-assigned client_id="+clientID || !rec.Refreshable {
				m.Errorf("%+v", rec)
			}
			m.works("set", otherURI, m.token)
			if rec, _ := m.cache().Record("cifs/" + other); rec.Identity != "token" || rec.Refreshable {
				m.Errorf("%+v", rec)
			}
			m.mounted(clientID)
			m.fails(fault.IdentityConflict, "set", uri, "--system")
			r := m.run("set", uri, "--system", "--force")
			if r.status != 0 || strings.Count(r.err, "\n") != 1 || !strings.Contains(r.err, "warning: the ticket for "+storageHost) {
				m.Error(r)
			}
			return "stored beside the ticket; 3 while the share of another identity is mounted, unless `--force`"
		}},
		{"defect_07_imds_through_a_proxy", "IMDS with `http_proxy` in the environment", "asked through the proxy, which sees the token", func(m *machine) string {
			t, err := transport.New(transport.Options{})
			must(m.T, err)
			if t.Proxy != nil {
				m.Error("there is a proxy")
			}
			return "asked directly; a proxy is for Entra and the accounts alone"
		}},
		{"defect_08_no_privilege_drop", "the cache of `USER_UID: 65534`", "group root; written under a switched euid", func(m *machine) string {
			m.configure("USER_UID: 65534")
			m.works("set", uri, m.token)
			var st syscall.Stat_t
			must(m.T, syscall.Stat(m.ccache, &st))
			if int(st.Uid) != os.Geteuid() || st.Uid == 0 && (st.Gid != 0 || st.Mode&0o777 != 0o640) {
				m.Errorf("owner %d:%d, mode %o", st.Uid, st.Gid, st.Mode&0o777)
			}
			return "root's, with an access control list that names the uid: it can be read and not forged; no uid is switched"
		}},
		{"defect_10_log_forging", "line breaks and escapes in an answer", "as they are, in the log", func(m *machine) string {
			body := "<Error><Code>X</Code><Message>a\r\nNov 23 root: forged\x1b[2J " + strings.Repeat("x", 5000) + "</Message></Error>"
			m.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Status: 403, Body: &body, ContentType: "application/xml"})
			if r := m.run("set", uri, m.token); r.status != 1 || strings.Count(r.err, "\n") != 1 {
				m.Error(r)
			}
			return "one line of at most 1 KiB without control characters"
		}},
		{"defect_29_realm", "krb5.conf has no default realm, or another", "found", func(m *machine) string {
			m.works("set", uri, m.token)
			for _, conf := range []string{"", " default_realm = EXAMPLE.COM\n"} {
				if out, err := m.mit(conf, "kvno", "--cached-only", "-c", "FILE:"+m.ccache, "-S", "cifs", storageHost); err != nil {
					m.Errorf("%q: %s", conf, out)
				}
			}
			return "found"
		}},
		{"defect_29_domain_realm", "krb5.conf maps the host to another realm", "`list` is fine and cifs.upcall finds no ticket", func(m *machine) string {
			m.works("set", uri, m.token)
			conf := "[domain_realm]\n .windows.net = EXAMPLE.COM\n"
			if _, err := m.mit(conf, "kvno", "--cached-only", "-c", "FILE:"+m.ccache, "cifs/"+storageHost+"@"+realm); err != nil {
				m.Error(err)
			}
			return "the same for a stock cifs.upcall; by its full name the ticket is found"
		}},
		{"defect_31_leaks", "descriptors and memory after many calls in one process", "a descriptor for each `list`, 1.2 KB for each `set`", func(m *machine) string {
			// What other tests open meanwhile is not ours.
			open := func() (n int) {
				entries, err := os.ReadDir("/proc/self/fd")
				must(m.T, err)
				for _, e := range entries {
					if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(target, m.dir) {
						n++
					}
				}
				return n
			}
			for range 20 {
				m.works("set", uri, m.token)
				m.works("list")
				m.run("clear", uri)
			}
			if n := open(); n != 0 {
				m.Errorf("%d descriptors are open", n)
			}
			return "none"
		}},
		{"defect_34_messages_on_stdout", "where failures are reported", "stdout, and `/var/log/syslog`, which many systems do not have", func(m *machine) string {
			m.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Status: 403})
			r := m.run("set", uri, m.token)
			if r.status != 1 || r.out != "" || !strings.Contains(r.err, "used: configuration "+m.in("config.yaml")+", credential cache "+m.ccache) {
				m.Error(r)
			}
			return "stderr, with cause, fix, configuration and cache that were used"
		}},
		{"row_another_identity", "`set` as another identity while the share is mounted", "0; the last one wins, 3 in newer versions", func(m *machine) string {
			m.works("set", uri, "--imds-client-id", clientID)
			m.mounted(clientID)
			before, err := os.ReadFile(m.ccache)
			must(m.T, err)
			m.fails(fault.IdentityConflict, "set", uri, "--system") // which holds the status
			if after, err := os.ReadFile(m.ccache); err != nil || !bytes.Equal(before, after) {
				m.Error("the cache was written")
			}
			m.run("set", uri, "--system", "--force")
			if rec, _ := m.cache().Record("cifs/" + storageHost); rec.Identity != "system" {
				m.Errorf("%+v", rec)
			}
			return "3, the cache stays; `--force` replaces"
		}},
		{"row_empty_client_id", "`--imds-client-id \"\"`", "the system identity", func(m *machine) string {
			m.works("set", uri, "--imds-client-id", "")
			m.works("set", uri, "--imds-client-id=")
			if rec, _ := m.cache().Record("cifs/" + storageHost); rec.Identity != "system" {
				m.Errorf("%+v", rec)
			}
			m.fails(fault.Usage, "set", uri, "--imds-client-id")
			return "the same"
		}},
		{"row_uid_is_written", "`awk '/USER_UID/{print $2}'` of the configuration after `set`", "the uid, written by any command", func(m *machine) string {
			m.tool.Provision = m.provision
			m.write("passwd", "root:x:0:0:root:/root:/bin/sh\n")
			before, err := os.ReadFile(m.in("config.yaml"))
			must(m.T, err)
			m.works("list")
			m.works("set", uri, m.token)
			m.works("set", uri, m.token)
			if after, err := os.ReadFile(m.in("config.yaml")); err != nil || string(after) != string(before)+"USER_UID: 0\n" {
				m.Errorf("%q, %v", after, err)
			}
			return "the uid in effect, appended by `set` where the file has none; the rest of the file stays"
		}},
		{"defect_35_edits_its_configuration", "a configuration with a `USER_UID`", "edited by every command", func(m *machine) string {
			m.configure("USER_UID: 0")
			m.tool.Provision = m.provision
			before, err := os.Stat(m.in("config.yaml"))
			must(m.T, err)
			m.works("list")
			m.works("set", uri, m.token)
			m.run("clear", uri)
			after, err := os.Stat(m.in("config.yaml"))
			must(m.T, err)
			if !after.ModTime().Equal(before.ModTime()) || !os.SameFile(before, after) {
				m.Error("it was written")
			}
			return "read only"
		}},
	}
}
