// Command images writes an image as an archive of the OCI's layout: one static program under its names, and the
// certificates of public authorities; nothing else. Its bill of materials is attached as a referrer, and lies in the
// archive beside the image. The same input gives the same bytes.
//
// With -push, the archives that are named are copied to a registry instead, as one image for all of their processors.
//
// Usage: images -program FILE -arch ARCH -version VERSION -created RFC3339 -certificates FILE -sbom FILE -out FILE
//
//	images -push REGISTRY/NAME:TAG ARCHIVE...
package main

import (
	"archive/tar"
	"bytes"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Where things lie in the image.
const (
	program      = "usr/bin/azfilesauth"
	certificates = "etc/ssl/certs/ca-certificates.crt" // the first place where Go looks
	sbomType     = "application/vnd.cyclonedx+json"
)

// names are the other names of the program, and its own by the PATH of a container's runtime.
var names = []string{"usr/bin/azfilesauthmanager", "usr/bin/azfilesrefresh"}

type input struct {
	program, arch, version, created, certificates, sbom, base, entrypoint, out string
}

func main() {
	var in input
	flag.StringVar(&in.program, "program", "", "the static binary")
	flag.StringVar(&in.arch, "arch", "", "its processor: amd64 or arm64")
	flag.StringVar(&in.version, "version", "", "its version, the tag of the image")
	flag.StringVar(&in.created, "created", "", "the time of its files, RFC 3339")
	flag.StringVar(&in.certificates, "certificates", "", "a bundle in PEM")
	flag.StringVar(&in.sbom, "sbom", "", "the bill of materials, CycloneDX in JSON")
	flag.StringVar(&in.base, "base", "", "a tar archive of the files of a distribution, over which the image's own are laid; none")
	flag.StringVar(&in.entrypoint, "entrypoint", "/"+program, "the program that the image runs")
	flag.StringVar(&in.out, "out", "", "the archive that is written")
	to := flag.String("push", "", "the image in a registry that the named archives become")
	flag.Parse()
	do := in.write
	if *to != "" {
		do = func() error { return push(*to, flag.Args()) }
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func (in input) write() error {
	at, err := time.Parse(time.RFC3339, in.created)
	if err != nil {
		return err
	}
	image, err := in.image(at)
	if err != nil {
		return err
	}
	bill, err := in.bill(image)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "images")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	tag := strings.NewReplacer("~", "-", "+", "-").Replace(in.version) // which a tag cannot hold
	if err := path.AppendImage(image, layout.WithPlatform(v1.Platform{OS: "linux", Architecture: in.arch}), layout.WithAnnotations(map[string]string{
		"org.opencontainers.image.ref.name": tag, "io.containerd.image.name": "docker.io/library/azfilesauth:" + tag,
	})); err != nil {
		return err
	}
	if err := path.WriteImage(bill); err != nil { // a registry and its tools find it by its subject
		return err
	}
	var b bytes.Buffer
	if err := archive(&b, dir); err != nil {
		return err
	}
	return os.WriteFile(in.out, b.Bytes(), 0o644) //nolint:gosec // everybody may read it
}

// image is the program, its names and the certificates.
func (in input) image(at time.Time) (v1.Image, error) {
	var b bytes.Buffer
	if err := in.layer(&b, at); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	image := mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1)
	if in.base != "" {
		below, err := tarball.LayerFromFile(in.base, tarball.WithMediaType(types.OCILayer))
		if err != nil {
			return nil, err
		}
		if image, err = mutate.AppendLayers(image, below); err != nil {
			return nil, err
		}
	}
	image, err = mutate.Append(image, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: at}, CreatedBy: "make images"}})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", in.arch, v1.Time{Time: at}
	config.Config = v1.Config{
		Entrypoint: []string{in.entrypoint}, Cmd: []string{"watch"}, User: "0:0", WorkingDir: "/",
		Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
		Labels: map[string]string{
			"org.opencontainers.image.title": "azfilesauth", "org.opencontainers.image.version": in.version,
			"org.opencontainers.image.source": "https://github.com/azfilesauth/azfilesauth",
		},
	}
	return mutate.ConfigFile(image, config)
}

// layer writes the files. Their owner is root, their time that of the version.
func (in input) layer(w io.Writer, at time.Time) error {
	t := tar.NewWriter(w)
	add := func(h tar.Header, content []byte) error {
		h.ModTime, h.Size, h.Format = at, int64(len(content)), tar.FormatPAX
		if err := t.WriteHeader(&h); err != nil {
			return err
		}
		_, err := t.Write(content)
		return err
	}
	for _, dir := range []string{"etc/", "etc/ssl/", "etc/ssl/certs/", "usr/", "usr/bin/"} {
		if err := add(tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755}, nil); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		name, from string
		mode       int64
	}{{program, in.program, 0o755}, {certificates, in.certificates, 0o644}} {
		content, err := os.ReadFile(f.from)
		if err != nil {
			return err
		}
		if err := add(tar.Header{Name: f.name, Typeflag: tar.TypeReg, Mode: f.mode}, content); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := add(tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: filepath.Base(program), Mode: 0o777}, nil); err != nil {
			return err
		}
	}
	return t.Close()
}

// bill is the bill of materials as an artifact whose subject is the image.
func (in input) bill(image v1.Image) (v1.Image, error) {
	content, err := os.ReadFile(in.sbom)
	if err != nil {
		return nil, err
	}
	artifact := mutate.MediaType(mutate.ConfigMediaType(empty.Image, sbomType), types.OCIManifestSchema1)
	if artifact, err = mutate.AppendLayers(artifact, static.NewLayer(content, sbomType)); err != nil {
		return nil, err
	}
	subject, err := partial.Descriptor(image)
	if err != nil {
		return nil, err
	}
	return mutate.Subject(artifact, *subject).(v1.Image), nil
}

// archive writes a directory as a tar without times and owners, by name.
func archive(w io.Writer, dir string) error {
	t := tar.NewWriter(w)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if err := t.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content)), ModTime: time.Unix(0, 0)}); err != nil {
			return err
		}
		_, err = t.Write(content)
		return err
	})
	if err != nil {
		return err
	}
	return t.Close()
}
