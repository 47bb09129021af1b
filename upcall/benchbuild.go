//go:build upcallbench

package upcall

import "path/filepath"

// benchDir is the directory with the surroundings of what is measured, and benchRun the run directory. They are set
// when the program is built: a file that names them would have to be read, which the product does not.
var benchDir, benchRun string

// surroundings are those of the system at other places, for keys of the type user, which everybody can request.
func surroundings(env []string) *handler {
	in := func(name string) string { return filepath.Join(benchDir, name) }
	h := system(env)
	h.keyType = "user"
	h.rules.Directory, h.rules.Last = in("rules"), in("rules.conf")
	h.syslog, h.kmsg = in("log"), in("kmsg")
	h.Config, h.Run, h.Mounts = in("config.yaml"), benchRun, in("mountinfo")
	return h
}
