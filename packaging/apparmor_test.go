package packaging

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// execRule is a rule of apparmor.d(5) that lets a program be started, with what decides on its profile.
var execRule = regexp.MustCompile(`(?m)^\s*(/\S+|@\{\S+)\s+[rwmkl]*((?:[pPcCuU]{0,2}i?)x)(?: -> (\S+))?,$`)

// TestWhatIsStartedHasAProfile holds that no profile can be left: each program that a face starts changes to a profile of
// this file or stays in that of the face, and there is a rule for each program that the sources start.
func TestWhatIsStartedHasAProfile(t *testing.T) {
	files, err := filepath.Glob("apparmor/abstractions/*")
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, name := range append(files, "apparmor/azfilesauth") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	programs := map[string][]string{} // the profiles by program
	for _, m := range execRule.FindAllSubmatch(all, -1) {
		program, mode, profile := filepath.Base(string(m[1])), string(m[2]), string(m[3])
		if !slices.Contains([]string{"Px", "Cx", "cx", "ix"}, mode) || (mode == "ix") != (profile == "") {
			t.Errorf("%s %s", m[0], mode)
		}
		if profile != "" && !regexp.MustCompile(`(?m)^\s*profile `+regexp.QuoteMeta(profile)+` `).Match(all) {
			t.Errorf("there is no profile %s", profile)
		}
		programs[program] = append(programs[program], mode+" "+profile)
	}
	for program, want := range map[string]string{
		"az": "Px azfilesauth.az", "mount.cifs": "Cx mount.cifs", "cifs.upcall": "cx cifs.upcall", // cx: see there
		"getent": "ix ", "azfilesauth": "ix ",
	} {
		if got := slices.Compact(programs[program]); !slices.Equal(got, []string{want}) {
			t.Errorf("%s is started under %q, not %q", program, got, want)
		}
	}
	if regexp.MustCompile(`flags=\([^)]*(complain|unconfined)`).Match(all) {
		t.Error("a profile is not enforced")
	}
}
