package identity

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/host"
	"github.com/azfilesauth/azfilesauth/internal/secret"
)

var testNow = time.Date(2026, 11, 23, 16, 0, 0, 0, time.UTC)

func clock() time.Time { return testNow }

// jwt makes a token with the claims.
func jwt(claims string) string {
	return "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2lnbmF0dXJl"
}

func TestTokenTexts(t *testing.T) {
	const aud = `"aud":"https://storage.azure.com"`
	hour := fmt.Sprintf(`"exp":%d`, testNow.Add(time.Hour).Unix())
	for name, c := range map[string]struct {
		text string
		want fault.Named // nil is success
		part string
		ends time.Time
	}{
		"usual":                   {jwt("{" + aud + "," + hour + "}"), nil, "", testNow.Add(time.Hour)},
		"white space around":      {" \r\n" + jwt("{"+aud+","+hour+"}") + "\n\n", nil, "", testNow.Add(time.Hour)},
		"opaque":                  {"an-opaque-token", nil, "", time.Time{}},
		"opaque with dots":        {"a.b.c", nil, "", time.Time{}},
		"no claims":               {jwt("{}"), nil, "", time.Time{}},
		"several audiences":       {jwt(`{"aud":["x","https://storage.azure.com"]}`), nil, "", time.Time{}},
		"end with a fraction":     {jwt("{" + aud + `,"exp":1795453200.75}`), nil, "", time.Unix(1795453200, 0)},
		"end in words":            {jwt("{" + aud + `,"exp":"soon"}`), nil, "", time.Time{}},
		"end beyond all bounds":   {jwt("{" + aud + `,"exp":1e300}`), nil, "", time.Time{}},
		"padded claims":           {strings.Replace(jwt(`{"aud":"x"} `), ".c2", "=.c2", 1), fault.TokenAudience, "for x", time.Time{}},
		"ended":                   {jwt("{" + aud + fmt.Sprintf(`,"exp":%d}`, testNow.Add(-90*time.Minute).Unix())), fault.TokenExpired, "1h30m0s ago", time.Time{}},
		"ends now":                {jwt("{" + aud + fmt.Sprintf(`,"exp":%d}`, testNow.Unix())), fault.TokenExpired, "0s ago", time.Time{}},
		"audience with a slash":   {jwt(`{"aud":"https://storage.azure.com/",` + hour + "}"), fault.TokenAudience, "is for https://storage.azure.com/, not for https://storage.azure.com;", time.Time{}},
		"other audience":          {jwt(`{"aud":"https://management.azure.com"}`), fault.TokenAudience, "https://management.azure.com", time.Time{}},
		"other audiences":         {jwt(`{"aud":["a","b"]}`), fault.TokenAudience, "a, b", time.Time{}},
		"empty":                   {"", fault.TokenInvalid, "empty", time.Time{}},
		"only white space":        {" \n", fault.TokenInvalid, "empty", time.Time{}},
		"two lines":               {"secret1\nsecret2", fault.TokenInvalid, "one word", time.Time{}},
		"with its scheme":         {"Bearer secret1", fault.TokenInvalid, "one word", time.Time{}},
		"control characters":      {"secret1\x00", fault.TokenInvalid, "one word", time.Time{}},
		"not ASCII":               {"secret1ä", fault.TokenInvalid, "one word", time.Time{}},
		"byte order mark":         {"\ufeffsecret1", fault.TokenInvalid, "byte order mark", time.Time{}},
		"JSON":                    {`{"accessToken":"secret1"}`, fault.TokenInvalid, "JSON", time.Time{}},
		"a JSON text":             {`"secret1"`, fault.TokenInvalid, "quotation marks", time.Time{}},
		"the longest":             {strings.Repeat("x", 64<<10), nil, "", time.Time{}},
		"longer than the longest": {strings.Repeat("x", 64<<10+1), fault.TokenInvalid, "longer", time.Time{}},
	} {
		token, err := Identity{Kind: Token}.FromText([]byte(c.text), "standard input", Options{Host: host.Host{Now: clock}})
		if c.want == nil {
			if err != nil || token.Value.RevealString() != strings.TrimSpace(c.text) || !token.ExpiresOn.Equal(c.ends) {
				t.Errorf("%s: %v, ends %v", name, err, token.ExpiresOn)
			}
			continue
		}
		if !fault.Is(err, c.want) || !token.Value.Empty() || !strings.Contains(err.Error(), c.part) || !strings.Contains(err.Error(), "standard input") {
			t.Errorf("%s: %v, want %s with %q", name, err, c.want, c.part)
		}
		if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "secret1") {
			t.Errorf("%s: the token is in %v", name, err)
		}
	}
}

func TestAudienceOfAnotherCloud(t *testing.T) {
	text := []byte(jwt(`{"aud":"https://storage.airgap.test"}`))
	id := Identity{Kind: Token, Resource: "https://storage.airgap.test"}
	if _, err := id.FromText(text, "x", Options{Host: mine()}); err != nil {
		t.Error(err)
	}
	if _, err := (Identity{Kind: Token}).FromText(text, "x", Options{Host: mine()}); !fault.Is(err, fault.TokenAudience) {
		t.Error(err)
	}
}

func TestClaims(t *testing.T) {
	c, ok := ClaimsOf(secret.FromString(jwt(`{"aud":["a","b"],"exp":1795453200,"oid":"o","azp":"p","tid":"t"}`)))
	if want := (Claims{"a", "o", "p", "t", time.Unix(1795453200, 0).UTC(), ""}); !ok || c != want {
		t.Errorf("%+v %v", c, ok)
	}
	for _, text := range []string{"", "x", "a.b", "a.b.c", "a.e30.c.d", jwt("[]"), jwt(`{"aud":5}`), strings.Repeat("x", 1<<20) + ".e30.x"} {
		if c, ok := ClaimsOf(secret.FromString(text)); ok {
			t.Errorf("%.40q: %+v", text, c)
		}
	}
}

func TestTokenFileIsReadAtEveryUse(t *testing.T) {
	fake, _ := bench(t, azurefake.Options{})
	// As Kubernetes projects a token: a link to a link, replaced as a whole.
	dir := t.TempDir()
	name := filepath.Join(dir, "token")
	for _, link := range [][2]string{{"..data/token", name}, {"one", filepath.Join(dir, "..data")}} {
		if err := os.Symlink(link[0], link[1]); err != nil {
			t.Fatal(err)
		}
	}
	id := Identity{Kind: Token, TokenFile: name}
	for _, version := range []string{"one", "two"} {
		if err := os.Mkdir(filepath.Join(dir, version), 0o755); err != nil {
			t.Fatal(err)
		}
		text := fake.MintToken(azurefake.MintOptions{})
		write(t, filepath.Join(dir, version, "token"), text+"\n", 0o600)
		if err := os.Symlink(version, filepath.Join(dir, "new")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
		token, err := id.Token(t.Context(), Options{Host: mine()})
		if err != nil || token.Value.RevealString() != text || token.Hint != "" || token.ExpiresOn.IsZero() {
			t.Fatalf("%s: %v, hint %q", version, err, token.Hint)
		}
	}
}

func TestTokenFileOthersCanRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "token")
	for mode, hint := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o644: true, 0o604: true} {
		write(t, name, "opaque", mode)
		token, err := Identity{Kind: Token, TokenFile: name}.Token(t.Context(), Options{Host: mine()})
		if err != nil || (token.Hint != "") != hint || hint && !strings.Contains(token.Hint, name) {
			t.Errorf("%o: %v, hint %q", mode, err, token.Hint)
		}
	}
}

func TestBadTokenFiles(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write(t, at("empty"), "", 0o600)
	write(t, at("blank"), " \n\t", 0o600)
	write(t, at("long"), strings.Repeat("x", 64<<10+1), 0o600)
	write(t, at("binary"), "a\x00b", 0o600)
	write(t, at("ended"), jwt(`{"exp":1}`), 0o600)
	if err := syscall.Mkfifo(at("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop", at("loop")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		want fault.Named
		part string
	}{
		at("none"):      {fault.TokenFile, "no such file"},
		dir:             {fault.TokenFile, "not a regular file"},
		at("fifo"):      {fault.TokenFile, "not a regular file"},
		"/dev/zero":     {fault.TokenFile, "not a regular file"},
		at("loop"):      {fault.TokenFile, "too many levels"},
		at("empty"):     {fault.TokenFile, "empty"},
		at("blank"):     {fault.TokenFile, "empty"},
		at("long"):      {fault.TokenFile, "longer than 65536"},
		at("binary"):    {fault.TokenInvalid, "one word"},
		at("ended"):     {fault.TokenExpired, "ago"},
		at("empty/sub"): {fault.TokenFile, "is not a directory"},
	} {
		token, err := Identity{Kind: Token, TokenFile: name}.Token(t.Context(), Options{Host: mine()})
		if !fault.Is(err, c.want) || !strings.Contains(err.Error(), c.part) || !strings.Contains(err.Error(), name) || !token.Value.Empty() {
			t.Errorf("%s: %v, want %s with %q", name, err, c.want, c.part)
		}
	}
}

// TestOnlyFilesAreOpened watches a FIFO: to open a device can do something.
func TestOnlyFilesAreOpened(t *testing.T) {
	name := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.InotifyInit1(syscall.IN_NONBLOCK | syscall.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if _, err := syscall.InotifyAddWatch(fd, name, syscall.IN_OPEN); err != nil {
		t.Fatal(err)
	}
	if _, err := (Identity{Kind: Token, TokenFile: name}).Token(t.Context(), Options{Host: mine()}); !fault.Is(err, fault.TokenFile) {
		t.Error(err)
	}
	if n, err := syscall.Read(fd, make([]byte, 4096)); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("it is opened: %d bytes of events, %v", n, err)
	}
}

func TestTokenThatWasHandedOver(t *testing.T) {
	if _, err := (Identity{Kind: Token}).Token(t.Context(), Options{Host: mine()}); !fault.Is(err, fault.IdentityInvalid) || !strings.Contains(err.Error(), "handed over") {
		t.Error(err)
	}
}
