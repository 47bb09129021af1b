package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// serverPid is where the server that listens keeps its process id.
const serverPid = "/run/samba/smbd.pid"

// server is Samba in the network namespace srv, which init has started.
type server struct {
	conf []byte // what serverConf held when it was started
}

func newServer() (*server, error) {
	conf, err := os.ReadFile(serverConf)
	return &server{conf}, err
}

// add restarts the server with further lines of smb.conf(5), for its section [global].
func (s *server) add(lines []string) error {
	if err := os.WriteFile(serverConf, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		return err
	}
	return s.configured()
}

// configured restarts the server when it runs with other lines than its file has.
func (s *server) configured() error {
	conf, err := os.ReadFile(serverConf)
	if err != nil || bytes.Equal(conf, s.conf) {
		return err
	}
	if err := s.restart(); err != nil {
		return err
	}
	s.conf = conf
	return nil
}

func (s *server) restart() error {
	text, err := os.ReadFile(serverPid)
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	// At SIGTERM it would end its process group, which is ours too. Its helpers follow it. It is the first to go: to what is
	// left of a session the kernel would connect again.
	if err := errors.Join(syscall.Kill(pid, syscall.SIGKILL), killSessions()); err != nil {
		return err
	}
	if err := until("the server to end", func() bool { return !listening() }); err != nil {
		return err
	}
	out, err := os.OpenFile("/var/log/samba/stdout", os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	smbd := exec.Command("ip", "netns", "exec", "srv", "smbd", "-F", "--no-process-group")
	smbd.Env = append(os.Environ(), "KRB5_CONFIG=/etc/krb5-srv.conf")
	smbd.Stdout, smbd.Stderr = out, out
	if err := smbd.Start(); err != nil {
		return err
	}
	go func() { _ = smbd.Wait() }() // nobody else would bury it
	err = until("the server to listen", listening)
	_ = until("the kernel to connect again", connected) // if it does not, the story tells
	return err
}

// endSessions kills the server's half of every session, as a server that fails over does. It returns when the
// kernel has noticed: until then what it has cached answers without a login.
func (s *server) endSessions() error {
	if err := killSessions(); err != nil {
		return err
	}
	return until("the kernel to notice", noticedEnds)
}

// killSessions returns when the process of every session has ended.
func killSessions() error {
	out, err := exec.Command("smbstatus", "-p").Output()
	if err != nil {
		return fmt.Errorf("smbstatus: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		pid, err := strconv.Atoi(f[0])
		if err != nil || syscall.Kill(pid, syscall.SIGKILL) != nil { // it may have ended by itself
			continue
		}
		if err := until("a session to end", func() bool { return ended(pid) }); err != nil {
			return err
		}
	}
	return nil
}

// ended reports whether a process is gone, or has nobody to bury it.
func ended(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err != nil || strings.HasPrefix(state, "Z")
}

// noticedEnds says whether the kernel has closed its half of each connection to the server whose other half is gone.
// Then it has marked the session as one to be set up again.
func noticedEnds() bool {
	ours, err := os.ReadFile("/proc/net/tcp")
	theirs, theirErr := exec.Command("ip", "netns", "exec", "srv", "cat", "/proc/net/tcp").Output()
	if err != nil || theirErr != nil {
		return false
	}
	for line := range strings.Lines(string(ours)) {
		f := strings.Fields(line)
		if len(f) < 4 || !strings.HasSuffix(f[2], ":"+smbHex) || f[3] != tcpEstablished && f[3] != tcpCloseWait {
			continue
		}
		if !bytes.Contains(theirs, []byte(f[2]+" "+f[1]+" "+tcpEstablished)) {
			return false
		}
	}
	return true
}

// connected reports whether the kernel has no connection to a server that it is about to make again. On Linux 6.1 one of
// a session with several channels may stay after umount(8), for good. When the server is restarted, a mount that comes before it is
// made again fails at once with EHOSTDOWN.
func connected() bool {
	data, err := os.ReadFile("/proc/fs/cifs/DebugData")
	return err != nil || !bytes.Contains(data, []byte("TCP status: "+needsReconnect))
}

// needsReconnect is CifsNeedReconnect of enum statusEnum in the kernel's fs/smb/client/cifsglob.h. It tries every 3 s.
const needsReconnect = "3"

// States of a connection in /proc/net/tcp, as in the kernel's include/net/tcp_states.h.
const (
	tcpEstablished = "01"
	tcpCloseWait   = "08"
)

// serverPort is where Samba listens, in hexadecimal: smbHex but for what startRelay does.
var serverPort = smbHex

const smbHex = "01BD" // 445

func listening() bool { return listensOn(serverPort) }

// listensOn says whether a port is in the state LISTEN (0A), in the server's namespace.
func listensOn(port string) bool {
	return exec.Command("ip", "netns", "exec", "srv", "grep", "-q", ":"+port+" 00000000:0000 0A", "/proc/net/tcp").Run() == nil
}

// until waits for something that takes a moment.
func until(what string, done func() bool) error {
	for range 300 {
		if done() {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("waited in vain for %s", what)
}
