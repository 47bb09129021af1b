package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

func example(t *testing.T) input {
	t.Helper()
	dir := t.TempDir()
	in := input{
		program: dir + "/program", arch: "arm64", version: "2.0.0", created: "2026-11-27T12:00:00Z",
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

// unpack gives the directory of an archive.
func unpack(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for r := tar.NewReader(bytes.NewReader(content)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		} else if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, filepath.Clean("/"+h.Name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o750), os.WriteFile(name, text, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestArchive(t *testing.T) {
	in := example(t)
	path := layout.Path(unpack(t, in.out))
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

// TestBill: the bill of materials says by its subject which image it is of.
func TestBill(t *testing.T) {
	in := example(t)
	dir := unpack(t, in.out)
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
