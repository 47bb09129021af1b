package main

import "fmt"

// doctorSteps break one thing, have the doctor find it and mend it. The share is not mounted.
var doctorSteps = []struct{ why, command string }{
	{
		"Now somebody edits the rule by which the kernel asks for tickets, and the last line loses its end.",
		`r=/etc/request-key.d/azfiles.conf; printf %s "$(cat $r)" >$r.new && mv $r.new $r`,
	},
	{"The share does not mount. mount.cifs alone would say no more than: error 126.", "! mount /mnt/share"},
	{"The doctor's last line names the first broken link of the chain, and the command that fixes it.", "azfilesauth doctor >/tmp/report; tail -n 1 /tmp/report"},
}

// showDoctor breaks one thing and has the doctor find it; it runs the command that the doctor names.
func showDoctor() error {
	for _, step := range doctorSteps {
		if err := showStep(step.why, step.command); err != nil {
			return err
		}
	}
	report, err := diagnose()
	if err != nil {
		return err
	}
	if report.First == nil {
		return fmt.Errorf("the doctor finds nothing")
	}
	for _, step := range []struct{ why, command string }{
		{"That command, and the share mounts.", report.First.Fix}, {"", "mount /mnt/share"}, {"", "umount /mnt/share"},
	} {
		if err := showStep(step.why, step.command); err != nil {
			return err
		}
	}
	return nil
}
