package krb5conf

import (
	"io/fs"
	"testing"
	"testing/fstest"
)

// rooted are files by absolute paths.
type rooted struct{ fstest.MapFS }

func (r rooted) ReadFile(path string) ([]byte, error) { return r.MapFS.ReadFile(path[1:]) }

func (r rooted) ReadDir(path string) ([]fs.DirEntry, error) { return r.MapFS.ReadDir(path[1:]) }

// Where there is a profile of the vendor it is read after the administrator's, and alone where that is missing.
func TestVendor(t *testing.T) {
	theirs := &fstest.MapFile{Data: []byte("[libdefaults]\n default_realm = THEIRS\n rdns = false\n")}
	own := &fstest.MapFile{Data: []byte("[libdefaults]\n default_realm = OWN\n")}
	for want, files := range map[string]fstest.MapFS{
		"THEIRS": {vendor[1:]: theirs}, "OWN": {vendor[1:]: theirs, Path[1:]: own},
	} {
		p := Read(rooted{files}, Path)
		realm, _ := p.Get("libdefaults", "default_realm")
		if rdns, ok := p.Get("libdefaults", "rdns"); realm.Value != want || !ok || rdns.Value != "false" || p.Missing || p.Err != nil {
			t.Errorf("%s: %+v", want, p)
		}
	}
	if p := Read(rooted{fstest.MapFS{}}, Path); !p.Missing {
		t.Error("nothing is there")
	}
}
