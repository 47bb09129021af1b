package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// runShell gives whoever sits at the console a shell, on a clean machine with the line of fstab that the
// stories have; with a story, where that has just ended, with all that it left.
func runShell(machines []*machine, story string) error {
	if story != "" {
		err := showStory(machines, story)
		shell()
		return err
	}
	if err := nativeOf(machines).reset(); err != nil {
		return err
	}
	if err := os.WriteFile("/etc/fstab", []byte(fstab), 0o644); err != nil {
		return err
	}
	if err := os.MkdirAll("/mnt/share", 0o755); err != nil {
		return err
	}
	shell()
	return nil
}

// showStory runs the first story of that name, shows its whole log and leaves the machine as the story did.
func showStory(machines []*machine, story string) error {
	for _, m := range machines {
		files, err := m.stories([]string{story})
		if err != nil {
			return err
		}
		if len(files) == 0 {
			continue
		}
		if err := m.prepare(files[0]); err != nil {
			return err
		}
		v := &verdict{start: time.Now(), verbose: true}
		m.perform(files[0], v)
		fmt.Print(v.log.String())
		v.log.Reset()
		v.print(m.name + "/" + storyName(files[0]))
		if v.failed {
			return fmt.Errorf("%s failed", story)
		}
		return nil
	}
	return fmt.Errorf("there is no story %q", story)
}

// shell runs sh on the console until it ends; how it ends is nobody's failure.
func shell() {
	fmt.Printf(`A root shell in the guest; exit ends it. The other side is in a network namespace: ip netns exec srv ...
What Azure answers: azurefake answers; azurefake order -control %s '{"target":"storage","answer":"storage-firewall"}'
`, strings.TrimPrefix(controlURL, "http://"))
	sh := exec.Command("setsid", "-c", "sh", "-i")
	sh.Stdin, sh.Stdout, sh.Stderr = os.Stdin, os.Stdout, os.Stderr
	sh.Env = append(os.Environ(), "PS1=guest# ", "HOME=/root", "PATH="+os.Getenv("PATH")+":/lab", "TERM=vt100")
	_ = sh.Run()
}
