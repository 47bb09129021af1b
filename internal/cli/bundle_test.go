package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/azfilesauth/azfilesauth/internal/ccache"
)

// secretless DIR checks that no key and no ticket of the cache of root is in the files of a folder.
func cmdSecretless(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: secretless DIR")
	}
	data, err := os.ReadFile(ts.MkAbs("cc/krb5cc_0"))
	ts.Check(err)
	cache, err := ccache.Parse(data)
	ts.Check(err)
	files, err := filepath.Glob(ts.MkAbs(args[0]) + "/*")
	ts.Check(err)
	looked := 0
	for _, c := range cache.Credentials {
		for _, secret := range [][]byte{c.Key.Value.Reveal(), c.Ticket.Reveal()} {
			if len(secret) < 16 || c.Server.Realm == "X-CACHECONF:" {
				continue
			}
			for _, name := range files {
				text, err := os.ReadFile(name)
				ts.Check(err)
				looked++
				part := secret[:16]
				for _, form := range [][]byte{part, []byte(hex.EncodeToString(part)), []byte(base64.RawStdEncoding.EncodeToString(part[:15]))} {
					if bytes.Contains(text, form) {
						ts.Fatalf("%s holds a key or a ticket", name)
					}
				}
			}
		}
	}
	if looked < 20 {
		ts.Fatalf("only %d looks", looked)
	}
}
