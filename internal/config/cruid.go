package config

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/azfilesauth/azfilesauth/internal/fault"
)

// CRUID finds the uid whose credential cache is used: want is a number or a name in passwd, the path
// of a file as in passwd(5), or "" for USER_UID. The kernel's helper refuses a uid that the file does
// not list; root is there always. The errors are of kind UIDUnknown.
func (c *Config) CRUID(want, passwd string) (int, error) {
	if want == "" {
		want = strconv.Itoa(c.uid)
	}
	if want == "0" || want == "root" {
		return 0, nil
	}
	uid, found, err := lookupUser(passwd, want)
	if err != nil {
		return 0, fault.UIDUnknown.New(want).Because(err)
	}
	if !found {
		return 0, fault.UIDUnknown.New(want)
	}
	return uid, nil
}

// lookupUser finds a user by name or number in a file as in passwd(5).
func lookupUser(passwd, want string) (uid int, found bool, err error) {
	f, err := os.OpenFile(passwd, os.O_RDONLY|syscall.O_NONBLOCK, 0) // which may be a FIFO in an image
	if err != nil {
		return 0, false, err
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) < 7 || (fields[0] != want && fields[2] != want) {
			continue
		}
		if uid, err := strconv.ParseUint(fields[2], 10, 32); err == nil {
			return int(uid), true, nil
		}
	}
	return 0, false, nil
}
