// Package etc is what gets installed under /etc, the layer of the configuration below it, and the unit: the same bytes for a package, for
// "make install" and for "azfilesauth setup". It holds no code.
package etc

import "embed"

// Files are the directories of this one, such as azfilesauth/config.yaml.
//
//go:embed azfilesauth/config.yaml config.d/10-azfilesauth.yaml request-key.d/azfiles.conf systemd/azfilesrefresh.service
var Files embed.FS
