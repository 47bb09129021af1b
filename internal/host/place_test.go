package host

import "testing"

func TestPlaced(t *testing.T) {
	const shipped = "ExecStart=/usr/bin/azfilesrefresh\ncreate cifs.spnego * * /usr/sbin/azfiles.upcall %k\nNoExecPaths=/usr/bin/at\n"
	if got := string(Placed([]byte(shipped))); got != shipped {
		t.Errorf("as packages install it: %q", got)
	}
	defer func(b, s string) { binDir, sbinDir = b, s }(binDir, sbinDir)
	binDir, sbinDir = "/usr/local/bin", "/opt/az/sbin"
	const want = "ExecStart=/usr/local/bin/azfilesrefresh\ncreate cifs.spnego * * /opt/az/sbin/azfiles.upcall %k\nNoExecPaths=/usr/bin/at\n"
	if got := string(Placed([]byte(shipped))); got != want {
		t.Errorf("elsewhere: %q", got)
	}
	if Bin("azfilesauth") != "/usr/local/bin/azfilesauth" || Sbin("azfiles.upcall") != "/opt/az/sbin/azfiles.upcall" {
		t.Error("the programs are elsewhere")
	}
}
