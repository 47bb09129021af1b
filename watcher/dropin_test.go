package watcher

import (
	"strings"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

func TestParseArgs(t *testing.T) {
	plain := arguments{Mountinfo: "/proc/self/mountinfo", Socket: "/run/azfilesauth/watch.sock", Config: "/etc/azfilesauth/config.yaml"}
	with := func(change func(*arguments)) arguments { a := plain; change(&a); return a }
	for line, want := range map[string]arguments{
		"":                               plain,
		"--provision":                    with(func(a *arguments) { a.Provision = true }),
		"--version":                      with(func(a *arguments) { a.Version = true }),
		"-V --help":                      with(func(a *arguments) { a.Version, a.Help = true, true }),
		"-h":                             with(func(a *arguments) { a.Help = true }),
		"--mountinfo /proc/1/mountinfo":  with(func(a *arguments) { a.Mountinfo = "/proc/1/mountinfo" }),
		"--socket=/run/s --config /c/./": with(func(a *arguments) { a.Socket, a.Config = "/run/s", "/c" }),
	} {
		if got, err := parseArgs(strings.Fields(line)); err != nil || got != want {
			t.Errorf("%q: %+v, %v", line, got, err)
		}
	}
	for _, line := range []string{"x", "--bogus", "-v", "--config", "--config c", "--socket=", "--provision=yes", "--version extra"} {
		if _, err := parseArgs(strings.Fields(line)); !fault.Is(err, fault.Usage) {
			t.Errorf("%q: %v", line, err)
		}
	}
	for _, flag := range []string{"--provision", "--mountinfo", "--socket", "--config", "--version", "--help"} {
		if !strings.Contains(help, flag) {
			t.Errorf("the help lacks %s", flag)
		}
	}
}

func TestReadTunables(t *testing.T) {
	for _, test := range []struct {
		sleep, before string
		want          tunables
		problems      int
	}{
		{"", "", tunables{}, 0},
		{"5", "600", tunables{5 * time.Second, 10 * time.Minute}, 0},
		{" 60 ", "1", tunables{time.Minute, time.Second}, 0},
		{"4", "0", tunables{}, 2},
		{"soon", "-5", tunables{}, 2},
		{"86401", "86400", tunables{0, 24 * time.Hour}, 1},
		{"1e3", "99999999999999999999", tunables{}, 2},
	} {
		env := map[string]string{"AZFILES_REFRESH_SLEEP_SECONDS": test.sleep, "AZFILES_REFRESH_BEFORE_EXPIRY_SECONDS": test.before}
		got, problems := readTunables(func(name string) string { return env[name] })
		if got != test.want || len(problems) != test.problems {
			t.Errorf("%q, %q: %+v, %q", test.sleep, test.before, got, problems)
		}
	}
}
