package mounts

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"

	"github.com/azfilesauth/azfilesauth/internal/endpoint"
)

// maxLine bounds a line in bytes. The kernel limits each part of a cifs line to a page or less, so
// only other file systems come near.
const maxLine = 64 << 10

const separator = " - "

// eachLine hands every line that can be an SMB mount to do, without its end. Looking for the type
// before any parsing makes a table of thousands of container mounts cheap.
func eachLine(r io.Reader, do func(line string)) error {
	in := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := readLine(in)
		if bytes.Contains(line, []byte(" - cifs ")) || bytes.Contains(line, []byte(" - smb3 ")) {
			do(string(bytes.TrimSuffix(line, []byte("\n"))))
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// readLine reads a line with its end, or nothing of one that is too long.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	for errors.Is(err, bufio.ErrBufferFull) {
		line = nil
		_, err = in.ReadSlice('\n')
	}
	return line, err
}

// parseLine reads one line of the mount table; ok is false when it is no mount of ours.
func parseLine(line string, res endpoint.Resolver) (m Mount, ok bool) {
	info, options, ok := fields(line)
	if !ok || (info.FSType != "cifs" && info.FSType != "smb3") {
		return Mount{}, false
	}
	// Kernels before 5.11 show the source as it was given to them, which can be \\host\share.
	host, share, dir := split(strings.ReplaceAll(info.Source, `\`, "/"))
	e, err := res.Resolve(host)
	if err != nil || share == "" {
		return Mount{}, false
	}
	m = Mount{
		Device:   strconv.Itoa(info.Major) + ":" + strconv.Itoa(info.Minor),
		Source:   info.Source,
		Endpoint: e,
		Share:    share,
		Dir:      mounted(dir, info.Root),
		Target:   info.Mountpoint,
		CRUID:    -1,
	}
	m.read(options)
	return m, true
}

// fields parses the fields of a line. It isolates the options of the file system, the last field,
// because the library cuts them at a space, which older kernels do not escape there.
func fields(line string) (info *mountinfo.Info, options string, ok bool) {
	head, tail, _ := strings.Cut(line, separator)
	parts := strings.SplitN(tail, " ", 3)
	if len(parts) < 3 {
		return nil, "", false
	}
	one := head + separator + parts[0] + " " + parts[1] + " -"
	infos, err := mountinfo.GetMountsFromReader(strings.NewReader(one), nil)
	if err != nil || len(infos) != 1 || infos[0].ID <= 0 { // the library reads an id that is not a number as 0
		return nil, "", false
	}
	return infos[0], parts[2], true
}

// mounted is the directory of the share behind a mount whose source names the directory dir. As a
// rule the file system is the whole share and root the directory in it; file systems are shared
// between mounts, and dir is then that of the first one. Only where the user may not look into the
// directories above, the file system begins at dir and root is "/".
func mounted(dir, root string) string {
	if root = strings.Trim(root, "/"); root != "" {
		return root
	}
	return dir
}

// ParseShown takes the options of a file system apart as the kernel shows them: it knows no quotes and
// escapes the commas within a value.
func ParseShown(list string) Options {
	var all Options
	for item := range strings.SplitSeq(list, ",") {
		if item = unescape(item); item != "" {
			all = append(all, parseOption(item))
		}
	}
	return all
}

// read takes the options of the file system: fs/smb/client/cifsfs.c, cifs_show_options.
func (m *Mount) read(options string) {
	m.Options = ParseShown(options)
	for _, o := range m.Options {
		switch o.Name {
		case "cruid":
			if uid, err := strconv.ParseUint(o.Value, 10, 32); err == nil {
				m.CRUID = int(uid)
			}
		case "username":
			m.Username = o.Value
		case "sec":
			m.Sec = o.Value
		case "addr":
			m.Addr = o.Value
		}
	}
}

// unescape decodes a backslash with three octal digits, the escapes of the kernel's seq_escape. Any
// other backslash is itself.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
