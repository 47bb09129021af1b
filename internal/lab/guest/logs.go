package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
)

const syslogFile = "/var/log/syslog"

// logs are the kernel's log and syslog's.
type logs struct {
	mark   string // the line that begins the story in the kernel's log
	syslog int64  // where the story begins in syslog's
}

// begin puts the story's name into the kernel's log, and remembers where it begins in syslog's.
func (l *logs) begin(story string) error {
	l.mark = fmt.Sprintf("lab: story %s", story)
	if err := os.WriteFile("/dev/kmsg", []byte("<5>"+l.mark+"\n"), 0o600); err != nil {
		return err
	}
	info, err := os.Stat(syslogFile)
	if err != nil {
		return err
	}
	l.syslog = info.Size()
	return nil
}

// since is what a log, kernel or syslog, has to say of the story.
func (l *logs) since(name string) ([]byte, error) {
	switch name {
	case "kernel":
		out, err := exec.Command("dmesg").Output()
		_, story, _ := bytes.Cut(out, []byte(l.mark+"\n"))
		return story, err
	case "syslog":
		text, err := os.ReadFile(syslogFile)
		return text[min(l.syslog, int64(len(text))):], err
	}
	return nil, fmt.Errorf("there is no log %q", name)
}
