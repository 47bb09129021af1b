package keyring

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	procKeys = "/proc/keys"

	maxTable = 64 << 20 // bytes of /proc/keys that are looked at
	maxLine  = 8 << 10  // a description has at most 4095 bytes (KEY_MAX_DESC_SIZE)

	typeWidth = 9
)

// row is a line of /proc/keys: "serial flags usage timeout perm uid gid type description". The type is padded to
// its width, and what follows one space belongs to the description, leading spaces too.
var row = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?s)^ *([0-9a-f]+) +([I-][R-][D-][Q-][U-][N-][i-]) +\S+ +(\S+) +\S+ +\S+ +\S+ ([ -~]{9}) (.*)$`)
})

// Key is one line of /proc/keys.
type Key struct {
	Serial            Serial
	Flags             string // "IRDQUNi", or '-' where a flag is not set
	Type              string // at most the first 9 characters of the type: see HasType
	Description       string // of a key with a payload it ends in ": " and the size, for a keyring in ": " and the count or "empty"
	Negative          bool   // rejected: requests fail until it expires
	UnderConstruction bool   // the handler has not answered yet
	Expiry            string // as shown: "perm", "expd" or a number with s, m, h, d or w
}

// HasType reports whether k can be a key of the type name: /proc/keys shows only the first 9
// characters ("cifs.spne").
func (k Key) HasType(name string) bool { return k.Type == name[:min(len(name), typeWidth)] }

// Keys lists the keys that the caller may view. See the package's note on forged lines.
func Keys() ([]Key, error) {
	f, err := os.Open(procKeys)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	return ParseKeys(f)
}

var errTable = errors.New("the table of keys is too long")

// ParseKeys reads the form of /proc/keys (proc_keys(5); proc_keys_show in the kernel's
// security/keys/proc.c). Lines of another form, such as the rest of a description with a newline, are
// skipped. It reads 64 MiB at most; an error comes with the keys found until then.
func ParseKeys(r io.Reader) ([]Key, error) {
	limited := &io.LimitedReader{R: r, N: maxTable}
	lines := bufio.NewReaderSize(limited, maxLine)
	var keys []Key
	for {
		line, err := lines.ReadSlice('\n')
		whole := err == nil || errors.Is(err, io.EOF)
		if k, ok := parseKey(strings.TrimSuffix(string(line), "\n")); ok && whole {
			keys = append(keys, k)
		}
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = lines.ReadSlice('\n')
		}
		if errors.Is(err, io.EOF) && limited.N == 0 {
			return keys, errTable
		}
		if errors.Is(err, io.EOF) {
			return keys, nil
		}
		if err != nil {
			return keys, fmt.Errorf("reading the table of keys: %w", err)
		}
	}
}

func parseKey(line string) (Key, bool) {
	m := row().FindStringSubmatch(line)
	if m == nil {
		return Key{}, false
	}
	serial, err := strconv.ParseInt(m[1], 16, 32)
	return Key{
		Serial: Serial(serial), Flags: m[2], Expiry: m[3], Type: strings.TrimRight(m[4], " "), Description: m[5],
		UnderConstruction: strings.Contains(m[2], "U"), Negative: strings.Contains(m[2], "N"),
	}, err == nil && serial > 0
}

// Answered reports whether key has got a value from its handler: it waits no longer, and was not rejected. It wraps unix.ENOKEY
// when the caller sees no such key. KEYCTL_READ would tell too, but waits for the answer itself.
func Answered(key Serial) (bool, error) {
	keys, err := Keys()
	if err != nil {
		return false, err
	}
	found, answered := false, true
	for _, k := range keys {
		if k.Serial == key {
			// Of several lines all but one are forged; to answer a key once more than needed does no harm.
			found, answered = true, answered && !k.UnderConstruction && !k.Negative
		}
	}
	if !found {
		return false, fmt.Errorf("looking for key %d: %w", key, unix.ENOKEY)
	}
	return answered, nil
}
