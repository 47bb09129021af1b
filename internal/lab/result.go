package lab

import (
	"path/filepath"
	"strings"
)

// Result is how one story ended.
type Result struct {
	Name string
	OK   bool
	Time string // as time.Duration prints it
	Log  string // the script's log, when it failed
}

// Results reads the console of a run of the stories. Call Line with each line; it hands every
// finished story to Done. A story's log comes first, each line after "| ", then its verdict:
//
//	PASS name 1.2s
//
// A part of a story can have a verdict of its own, which comes before the story's.
type Results struct {
	Done func(Result)
	log  strings.Builder
}

// Line takes the next line of the console.
func (r *Results) Line(text string) {
	if entry, ok := strings.CutPrefix(text, "| "); ok {
		r.log.WriteString(entry + "\n")
		return
	}
	word := strings.Fields(text)
	if len(word) != 3 || word[0] != "PASS" && word[0] != "FAIL" {
		return
	}
	r.Done(Result{Name: word[1], OK: word[0] == "PASS", Time: word[2], Log: r.log.String()})
	r.log.Reset()
}

// Stories are the names of all stories. A story's first half is the profile of the machine, which is
// the program that answers the kernel's request for a ticket: stock or native. Those in the folder
// stories are told under both, those in the folders below it under one.
func (l *Lab) Stories() (names []string, err error) {
	const folder = "internal/lab/stories"
	for _, profile := range []string{"stock", "native"} {
		for _, pattern := range []string{"*.txtar", profile + "/*.txtar"} {
			files, err := filepath.Glob(filepath.Join(l.Repo, folder, pattern))
			if err != nil {
				return nil, err
			}
			for _, f := range files {
				names = append(names, profile+"/"+strings.TrimSuffix(filepath.Base(f), ".txtar"))
			}
		}
	}
	return names, nil
}
