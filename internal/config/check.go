package config

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/transport"
)

// Check judges a machine's configuration, and its layers, more strictly than Read: what is a warning there is a
// mistake here, and so is what a value means that cannot work. The error is a ConfigInvalid about the first
// mistake; more are sentences about the others, in the order of the files.
func Check(h host.Host) (c *Config, more []string, err error) {
	files, misnamed, err := layers(h)
	if err != nil {
		return nil, nil, err
	}
	return check(h, files, misnamed, true, func(file string) ([]byte, error) { return read(h, file, host.Owned) })
}

// CheckFile is Check for one file, h.Config, whoever can change it.
func CheckFile(h host.Host) (c *Config, more []string, err error) {
	return check(h, []string{h.Config}, nil, true, func(file string) ([]byte, error) { return read(h, file, 0) })
}

// CheckContent is Check for what would stand in the file h.Config. Its directories are those of another
// machine.
func CheckContent(h host.Host, content []byte) (c *Config, more []string, err error) {
	return check(h, []string{h.Config}, nil, false, func(file string) ([]byte, error) {
		if len(content) > MaxSize {
			return nil, tooLarge(file)
		}
		return content, nil
	})
}

func check(h host.Host, files, misnamed []string, here bool, read func(file string) ([]byte, error)) (*Config, []string, error) {
	p, err := assemble(h, files, misnamed, read)
	if err != nil {
		return nil, nil, err
	}
	p.examineMeaning(h, here)
	all := append(p.mistakes, p.warnings...)
	if len(all) == 0 {
		return p.Config, nil, nil
	}
	p.sort(all)
	return p.Config, p.sentences(all[1:]), p.invalid(&all[0])
}

// examineMeaning notes values of the right form that cannot work. Whether a directory is there is a question
// for the machine that is meant.
func (p *parser) examineMeaning(h host.Host, here bool) {
	if kind, _ := ccache.SplitName(p.ccache); p.ccache != "" && kind != ccache.FileType {
		p.wrongAt("KRB5_CC_NAME", "a cache of the type "+shown(kind)+" cannot be used; use a file, such as "+host.RunDir+"/krb5cc_"+uidToken)
	}
	for _, name := range proxyVariables {
		if _, err := transport.ParseVariable(p.Environment[name]); err != nil && p.Environment[name] != "" {
			p.wrongAt(within("ENVIRONMENT", name), err.Error()+", and this one is not used")
		}
	}
	for key, file := range map[string]string{"metrics.textfile": p.Metrics.Textfile, "LOG_FILE_PATH": p.Log.Path} {
		if !here || !p.Sets(key) {
			continue
		}
		if info, err := os.Stat(h.Path(filepath.Dir(file))); err != nil || !info.IsDir() {
			p.wrongAt(key, "the directory "+shown(filepath.Dir(file))+" does not exist")
		} else if info, err := os.Stat(h.Path(file)); err == nil && info.IsDir() {
			p.wrongAt(key, shown(file)+" is a directory, and nothing can be written to it")
		}
	}
}

func (p *parser) wrongAt(key, text string) {
	p.addMistake(p.places[key], key, errors.New(text))
}

// Misuse is a value of the right form that a part which uses the configuration refuses.
type Misuse struct{ Key, Problem string }

// Misused tells of misuses where they are: a sentence for each, and the first one as a fault of kind ConfigInvalid, nil for
// none.
func (c *Config) Misused(all []Misuse) (sentences []string, first error) {
	var problems []problem
	for _, m := range all {
		problems = append(problems, problem{c.places[m.Key], m.Key, m.Problem})
	}
	if len(problems) > 0 {
		first = c.invalid(&problems[0])
	}
	return (&parser{Config: c}).sentences(problems), first
}
