package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func example(t *testing.T) input { return exampleFor(t, "arm64") }

func exampleFor(t *testing.T, arch string) input {
	t.Helper()
	dir := t.TempDir()
	in := input{
		program: dir + "/program", arch: arch, version: "2.0.0", created: "2026-11-27T12:00:00Z", entrypoint: "/" + program,
		certificates: dir + "/certificates", sbom: dir + "/sbom", out: dir + "/out.oci.tar",
	}
	for path, text := range map[string]string{in.program: "elf", in.certificates: "pem", in.sbom: `{"bomFormat":"CycloneDX"}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := in.write(); err != nil {
		t.Fatal(err)
	}
	return in
}

// opened gives the directory of an archive.
func opened(t *testing.T, path string) string {
	t.Helper()
	dir, err := unpack(path)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestArchive(t *testing.T) {
	in := example(t)
	path := layout.Path(opened(t, in.out))
	index, err := path.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("%v: %+v", err, manifest)
	}
	d := manifest.Manifests[0]
	if d.Platform.Architecture != "arm64" || d.Annotations["io.containerd.image.name"] != "docker.io/library/azfilesauth:2.0.0" {
		t.Errorf("%+v", d)
	}
	image, err := path.Image(d.Digest)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil || config.Architecture != "arm64" || config.Config.Entrypoint[0] != "/usr/bin/azfilesauth" || !slices.Contains(config.Config.Env, "PATH=/usr/sbin:/usr/bin:/sbin:/bin") {
		t.Errorf("%v: %+v", err, config)
	}
	var files []string
	for r := tar.NewReader(mutate.Extract(image)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Mode&0o022 != 0 && h.Typeflag != tar.TypeSymlink || h.Mode&0o6000 != 0 {
			t.Errorf("%s: %d:%d %o", h.Name, h.Uid, h.Gid, h.Mode)
		}
		if h.Typeflag != tar.TypeDir {
			files = append(files, h.Name)
		}
	}
	slices.Sort(files)
	if got := strings.Join(files, " "); got != "etc/ssl/certs/ca-certificates.crt usr/bin/azfilesauth usr/bin/azfilesauthmanager usr/bin/azfilesrefresh" {
		t.Errorf("the image holds %s", got)
	}
}

// TestBase: the files of a distribution are below the image's own, and its program is the image's.
func TestBase(t *testing.T) {
	in := example(t)
	in.base, in.entrypoint = filepath.Join(t.TempDir(), "base.tar"), "/bin/plugin"
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range []string{"bin/plugin", program} {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: 3}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, "old"); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), os.WriteFile(in.base, b.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	image, err := in.image(time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if config, err := image.ConfigFile(); err != nil || config.Config.Entrypoint[0] != "/bin/plugin" {
		t.Errorf("%v: %+v", err, config)
	}
	found := map[string]string{}
	for r := tar.NewReader(mutate.Extract(image)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		found[h.Name] = string(text)
	}
	if found["bin/plugin"] != "old" || found[program] != "elf" {
		t.Errorf("the image holds %q", found)
	}
}

// TestBill: the bill of materials says by its subject which image it is of.
func TestBill(t *testing.T) {
	in := example(t)
	dir := opened(t, in.out)
	index, err := layout.Path(dir).ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	of := manifest.Manifests[0].Digest.String()
	names, err := filepath.Glob(dir + "/blobs/sha256/*")
	if err != nil {
		t.Fatal(err)
	}
	refers, bill := false, false
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		refers = refers || bytes.Contains(text, []byte(`"subject":`)) && bytes.Contains(text, []byte(of)) && bytes.Contains(text, []byte(sbomType))
		bill = bill || string(text) == `{"bomFormat":"CycloneDX"}`
	}
	if !refers || !bill {
		t.Errorf("a manifest that refers to %s: %v; the bill: %v", of, refers, bill)
	}
}

func TestSameBytes(t *testing.T) {
	one, err := os.ReadFile(example(t).out)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(example(t).out)
	if err != nil || !bytes.Equal(one, other) {
		t.Errorf("two archives of the same input differ: %v", err)
	}
}

// TestPush copies the images of two processors to a registry: who fetches the tag gets the one of his processor, and the
// bill of each is found by its digest.
func TestPush(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	to := strings.TrimPrefix(server.URL, "http://") + "/azfilesauth:2.0.0"
	if err := push(to, []string{example(t).out, exampleFor(t, "amd64").out}); err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(to)
	if err != nil {
		t.Fatal(err)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		image, err := remote.Image(ref, remote.WithPlatform(v1.Platform{OS: "linux", Architecture: arch}))
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil || config.Architecture != arch {
			t.Errorf("%v: %+v", err, config)
		}
		digest, err := image.Digest()
		if err != nil {
			t.Fatal(err)
		}
		bills, err := remote.Referrers(ref.Context().Digest(digest.String()))
		if err != nil {
			t.Fatal(err)
		}
		if found, err := bills.IndexManifest(); err != nil || len(found.Manifests) != 1 {
			t.Errorf("%s: %v: %+v", arch, err, found)
		}
	}
	if err := push(to, []string{t.TempDir() + "/missing"}); err == nil {
		t.Error("an archive that is not there was pushed")
	}
}
