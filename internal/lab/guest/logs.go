package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
)

// logFiles are the files in which others than the kernel log.
var logFiles = map[string]string{
	"syslog": "/var/log/syslog",
	"daemon": "/var/log/azfilesrefresh.log",
}

// logs are the kernel's log and those in files.
type logs struct {
	mark   string           // the line that begins the story in the kernel's log
	begins map[string]int64 // where the story begins in the others
	synced int              // how often syslogd has been waited for
}

// begin puts the story's name into the kernel's log, and remembers where it begins in the others.
func (l *logs) begin(story string) error {
	l.mark = fmt.Sprintf("lab: story %s", story)
	if err := os.WriteFile("/dev/kmsg", []byte("<5>"+l.mark+"\n"), 0o600); err != nil {
		return err
	}
	if err := l.syncSyslog(); err != nil {
		return err
	}
	l.begins = make(map[string]int64)
	for name, file := range logFiles {
		text, err := readLog(file)
		if err != nil {
			return err
		}
		l.begins[name] = int64(len(text))
	}
	return nil
}

// syncSyslog waits until syslogd has written all that it was sent before: on a busy machine a line comes to
// the file when the next story has begun.
func (l *logs) syncSyslog() error {
	l.synced++
	last := fmt.Sprintf("lab: synced %d", l.synced)
	conn, err := net.Dial("unixgram", "/dev/log")
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("<7>" + last)); err != nil {
		return err
	}
	return until("syslogd", func() bool {
		text, err := readLog(logFiles["syslog"])
		return err == nil && bytes.Contains(text, []byte(last+"\n"))
	})
}

// readLog reads a log, which is empty as long as nobody writes it.
func readLog(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// since is what a log, that of the kernel or one of logFiles, has to say of the story.
func (l *logs) since(name string) ([]byte, error) {
	if name == "kernel" {
		out, err := exec.Command("dmesg").Output()
		_, story, _ := bytes.Cut(out, []byte(l.mark+"\n"))
		return story, err
	}
	file, ok := logFiles[name]
	if !ok {
		return nil, fmt.Errorf("there is no log %q", name)
	}
	if name == "syslog" && l.mark != "" {
		if err := l.syncSyslog(); err != nil {
			return nil, err
		}
	}
	text, err := readLog(file)
	return text[min(l.begins[name], int64(len(text))):], err
}
