package compat

import (
	"os"
	"unsafe"
)

// wipeArgument overwrites a word where ps and /proc/<pid>/cmdline read it: the strings of os.Args are not
// copies, they lie in the memory that the kernel gave the process at execve(2) (proc_pid_cmdline(5)).
// Any other string is left alone, since it may lie in memory that cannot be written.
func wipeArgument(word string) {
	for _, arg := range os.Args {
		if arg == "" || unsafe.StringData(arg) != unsafe.StringData(word) {
			continue
		}
		memory := unsafe.Slice(unsafe.StringData(arg), len(arg))
		for i := range memory {
			memory[i] = 'x'
		}
	}
}
