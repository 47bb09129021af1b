package identity

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
)

// maxSecret bounds the file of a secret or a certificate with its key, in bytes.
const maxSecret = 64 << 10

// readToken reads a file that others rewrite. Its errors are faults.
func (o Options) readToken(name string) ([]byte, fs.FileInfo, error) {
	text, info, err := o.host().ReadSecret(name, maxToken, 0, o.Owner)
	if problem := problemOf(text, maxToken, err); problem != "" {
		return nil, nil, fault.TokenFile.New(name, problem, repair(name, err, "go-w"))
	}
	return text, info, nil
}

// CheckFiles reads the token file that an identity names, if it names one, so that a mistake in its name is told before
// anything is asked or changed. Its errors are faults.
func (i Identity) CheckFiles(o Options) error {
	if i.TokenFile == "" {
		return nil
	}
	_, _, err := o.readToken(i.TokenFile)
	return err
}

// readSecret reads a file that only root may have written and read. Its errors are faults.
func (o Options) readSecret(name string) ([]byte, error) {
	text, _, err := o.host().ReadSecret(name, maxSecret, host.Private, o.Owner)
	if problem := problemOf(text, maxSecret, err); problem != "" {
		return nil, fault.SecretFile.New(name, problem, repair(name, err, "600"))
	}
	return text, nil
}

// problemOf tells why a file that was read, of at most limit bytes, is of no use, or "". It names a directory on
// the way to the file, never the file.
func problemOf(text []byte, limit int, err error) string {
	if e, ok := errors.AsType[*host.Exposed](err); ok {
		if e.Foreign {
			return "it does not belong to root"
		}
		return fmt.Sprintf("its mode %04o lets others than root at it", e.Mode)
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	if errors.Is(err, host.ErrNotRegular) {
		return "it is not a regular file"
	}
	if errors.Is(err, host.ErrTooLarge) {
		return fmt.Sprintf("it is longer than %d bytes", limit)
	}
	if err != nil {
		return err.Error()
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return "it is empty"
	}
	return ""
}

// repair is how a file becomes one that can be used: mode is what chmod takes. Nothing is changed through a link
// of a user, which can lead to somebody else's file, and no directory is taken from its user.
func repair(name string, err error, mode string) string {
	word := fault.Word("file", name)
	if _, exposed := errors.AsType[*host.Exposed](err); exposed && isOthers(name) {
		return "namei -l " + word + "; keep it in a file of its own, in a directory such as /etc/azfilesauth, and name that"
	} else if exposed {
		return "chown root:root " + word + " && chmod " + mode + " " + word
	}
	e, ok := errors.AsType[*host.DirError](err)
	if !ok || e.Path == "" {
		return writeAnew
	}
	if e.Link {
		return "namei -l " + word + "; name the file itself and not the link " + fault.Word("link", e.Path)
	}
	return "namei -l " + word + "; keep it in a directory that only root can write to, such as /etc/azfilesauth, and name it there"
}

// isOthers reports whether a file is where the system and its programs keep theirs, which must not be taken from them.
func isOthers(name string) bool {
	dir, _, _ := strings.Cut(strings.TrimPrefix(filepath.Clean(name), "/"), "/")
	return slices.Contains([]string{"bin", "boot", "dev", "etc", "lib", "lib64", "proc", "run", "sbin", "sys", "usr", "var"}, dir) &&
		!strings.HasPrefix(filepath.Clean(name), host.ConfigDir+"/")
}

// writeAnew is what repairs a file whose content is wrong.
const writeAnew = "check the path, and what writes the file"
