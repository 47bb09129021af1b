package compat

import (
	"os"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// stores fails the test unless set stores the ticket at path, whatever way the configuration is
// written, and leaves the configuration alone.
func stores(m *machine, config, path string) {
	m.Helper()
	m.write("config.yaml", config)
	m.works("set", uri, m.token)
	if _, err := os.Stat(path); err != nil {
		m.Errorf("%q: %v", config, err)
	}
	if now, err := os.ReadFile(m.in("config.yaml")); err != nil || string(now) != config {
		m.Errorf("the configuration is %q now", now)
	}
	must(m.T, os.Remove(path))
}

func configRows() []peerRow {
	return []peerRow{
		{"row_no_config", "the configuration is missing, or broken and only `--version` is asked for", "1: `Error reading the config file`", func(m *machine) string {
			m.write("config.yaml", "USER_UID: abc\n")
			m.tool.EUID = 1000
			if out := m.works("--version").out; out != "2.0.0\n" {
				m.Error(out)
			}
			m.tool.EUID = 0
			must(m.T, os.Remove(m.in("config.yaml")))
			m.works("--version")
			m.fails(fault.HostUnknown, "set", "https://evil.example", m.token) // which it would not come to
			return "0; the defaults hold"
		}},
		{"row_not_root", "not root", "1, even for `--version`", func(m *machine) string {
			m.tool.EUID = 1000
			m.works("--version")
			m.works("--help")
			m.fails(fault.NotRoot, "clear", uri)
			m.fails(fault.NotRoot, "list", "--json")
			defer m.idle()
			return m.fails(fault.NotRoot, "set", uri, m.token)
		}},
		{"row_no_arguments", "no arguments; `--help`", "1; 1", func(m *machine) string {
			if r := m.run(); r.status != 1 || r.out != help || r.err != "" {
				m.Error(r)
			}
			if r := m.works("--help"); r.out != help {
				m.Error(r)
			}
			return "1; 0; the usage on stdout"
		}},
		{"row_bad_user_uid_defect_19", "`USER_UID: abc` or `4294968297`", "134: crash", func(m *machine) string {
			var texts []string
			for _, v := range []string{"abc", "4294968297"} {
				m.write("config.yaml", "USER_UID: "+v+"\n")
				text, _, _ := strings.Cut(m.fails(fault.ConfigInvalid, "set", uri, m.token), "; ")
				texts = append(texts, text)
				if r := m.run("list", "--json"); r.out != "[]\n" {
					m.Error(r)
				}
			}
			return all(m, texts...)
		}},
		{"row_empty_user_uid", "`USER_UID:` without a value", "255: `Failed to read USER_UID from config file`", func(m *machine) string {
			m.write("config.yaml", "USER_UID:\n")
			return m.fails(fault.ConfigInvalid, "set", uri, m.token)
		}},
		{"row_unknown_user_uid_defect_20", "`USER_UID: 999999`", "0; a text before the JSON and one more line in the configuration at each run", func(m *machine) string {
			m.configure("USER_UID: 999999")
			before, err := os.ReadFile(m.in("config.yaml"))
			must(m.T, err)
			if r := m.run("list", "--json"); r.status != 1 || r.out != "[]\n" {
				m.Error(r)
			}
			text := m.fails(fault.UIDUnknown, "set", uri, m.token)
			if after, err := os.ReadFile(m.in("config.yaml")); err != nil || string(after) != string(before) {
				m.Errorf("the configuration is %q now", after)
			}
			text, _, _ = strings.Cut(text, ", and")
			return text
		}},
		{"row_written_user_uid_defect_20", "`USER_UID: \"0\"`, `0 # comment`, the word in a comment", "the same", func(m *machine) string {
			for _, line := range []string{`USER_UID: "0"`, "USER_UID: 0 # comment", "# USER_UID: 7", "USER_UID: '0'\r", "# USER_UID\nUSER_UID:    0"} {
				stores(m, "KRB5_CC_NAME: "+m.ccache+"\n"+line+"\n", m.ccache)
				if out := m.works("list", "--json").out; out != "[]\n" {
					m.Errorf("%q: %s", line, out)
				}
			}
			return "0; read as YAML, never written"
		}},
		{"row_cache_names", "`KRB5_CC_NAME` in single quotes, with a comment, or in a file with CRLF", "1; a file named `cc # comment`; a file named `cc\\r`", func(m *machine) string {
			for _, name := range []string{m.ccache, "FILE:" + m.ccache, `"FILE:` + m.ccache + `"`, "'" + m.ccache + "'", "FILE:" + m.ccache + " # comment"} {
				stores(m, "KRB5_CC_NAME: "+name+"\n", m.ccache)
				stores(m, "USER_UID: 0\r\nKRB5_CC_NAME: "+name+"\r\nLOG_DESTINATION: \"file\"\r\n", m.ccache)
			}
			return "0; the cache that is meant"
		}},
		{"row_cache_types", "`KRB5_CC_NAME` of type `MEMORY`, `DIR`, `KEYRING`", "0, nothing stored; 0; 0", func(m *machine) string {
			for _, name := range []string{"DIR:" + m.dir, "KEYRING:persistent:0", "MEMORY:x", "KCM:"} {
				m.write("config.yaml", "KRB5_CC_NAME: \""+name+"\"\n")
				m.fails(fault.CCacheType, "set", uri, m.token)
			}
			m.idle()
			return "1: `AZF-CCACHE-TYPE`: only files, which every cifs.upcall reads; nobody is asked"
		}},
	}
}
