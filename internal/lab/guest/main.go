// Command guest runs inside the lab's guest machine, after its init, and plays one of thirteen parts.
//
//	guest stories[,NAME...]   runs the stories, all or the named ones, each with a clean machine; with the
//	                          name long among them each does all that it can
//	guest doctor[,ROW...]     breaks one thing after the other and has the doctor find it
//	guest demo                shows a mount step by step
//	guest bench               measures a mount with a cached ticket against mount.cifs alone
//	guest bench-mount[,WORD...]  measures what applications feel of mount options, or the rows with such a word
//	guest data[,OPTION...]    checks what programs write while tickets expire and the server is restarted
//	guest boot,NAME[,SETTING...]  runs the story of this boot of the systemd guest, with settings in its environment
//	guest pods[,LIFE...]      runs the pods of the manifests on a node of Kubernetes
//	guest run,STORY           runs one story and shows its whole log
//	guest shell[,STORY]       a shell on a clean machine, or where the story has just ended
//	guest relay               passes on what comes for Samba, later: bench-mount starts it
//	guest work DIR SERVER     does data's operations until its input ends: data starts it
//	guest map FILE            writes to mapped memory, later: data starts it
//	guest io DIR              works in a folder until SIGTERM and prints how each operation went
//
// It prints for the host's side of the lab and ends with status 0 when nothing failed.
package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Println(err)
		if errors.As(err, new(hung)) {
			powerOff()
		}
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 && args[0] == "io" {
		return runIO(args[1], os.Stdout)
	}
	if len(args) == 2 && args[0] == "map" {
		return runMap(args[1])
	}
	if len(args) == 3 && args[0] == "work" {
		return runWork(args[1], args[2], os.Stdin, os.Stdout)
	}
	if len(args) == 1 && args[0] == "relay" {
		return runRelay()
	}
	mode, names, _ := strings.Cut(strings.Join(args, " "), ",")
	list := strings.FieldsFunc(names, func(r rune) bool { return r == ',' })
	if mode == "boot" && len(list) > 0 {
		return runBoot(list[0], list[1:])
	}
	if mode == "pods" {
		return runPods(list)
	}
	machines, err := newMachines()
	if err != nil {
		return err
	}
	switch mode {
	case "stories":
		return runStories(machines, list)
	case "run":
		return showStory(machines, names)
	case "shell":
		return runShell(machines, names)
	case "doctor":
		return runDoctor(machines[0], list)
	case "data":
		return runData(machines, list)
	}
	m := nativeOf(machines)
	if err := m.reset(); err != nil {
		return err
	}
	switch mode {
	case "demo":
		return runDemo(m)
	case "bench":
		return runBench(m)
	case "bench-mount":
		return runBenchMount(m, list)
	}
	return fmt.Errorf("there is no mode %q", mode)
}

// nativeOf gives the machine on which our own handler answers.
func nativeOf(machines []*machine) *machine {
	return machines[slices.IndexFunc(machines, func(m *machine) bool { return m.name == "native" })]
}
