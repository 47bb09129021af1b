package main

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// push copies the images of archives to a registry, as one image for all of their processors, and the bills of materials
// beside it. User and password are those of $REGISTRY_USER and $REGISTRY_PASSWORD, if there are any.
func push(to string, archives []string) error {
	ref, err := name.ParseReference(to)
	if err != nil {
		return err
	}
	login := authn.Anonymous
	if user := os.Getenv("REGISTRY_USER"); user != "" {
		login = &authn.Basic{Username: user, Password: os.Getenv("REGISTRY_PASSWORD")}
	}
	all := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	var bills []v1.Image
	for _, from := range archives {
		dir, err := unpack(from)
		defer func() { _ = os.RemoveAll(dir) }() // the layers are read when they are pushed
		if err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
		images, referrers, err := contents(layout.Path(dir))
		if err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
		all = mutate.AppendManifests(all, images...)
		bills = append(bills, referrers...)
	}
	if err := remote.WriteIndex(ref, all, remote.WithAuth(login)); err != nil {
		return err
	}
	for _, bill := range bills {
		digest, err := bill.Digest()
		if err != nil {
			return err
		}
		if err := remote.Write(ref.Context().Digest(digest.String()), bill, remote.WithAuth(login)); err != nil {
			return err
		}
	}
	return nil
}

// contents are the images that an archive's index names, and the artifacts whose subject is one of them.
func contents(path layout.Path) (images []mutate.IndexAddendum, referrers []v1.Image, err error) {
	index, err := path.ImageIndex()
	if err != nil {
		return nil, nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, nil, err
	}
	for _, d := range manifest.Manifests {
		image, err := path.Image(d.Digest)
		if err != nil {
			return nil, nil, err
		}
		images = append(images, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: d.Platform}})
	}
	blobs, err := filepath.Glob(filepath.Join(string(path), "blobs/sha256/*"))
	if err != nil {
		return nil, nil, err
	}
	for _, blob := range blobs {
		text, err := os.ReadFile(blob)
		if err != nil {
			return nil, nil, err
		}
		var m v1.Manifest
		if json.Unmarshal(text, &m) != nil || m.Subject == nil || !slices.ContainsFunc(manifest.Manifests, func(d v1.Descriptor) bool { return d.Digest == m.Subject.Digest }) {
			continue
		}
		d := v1.Descriptor{MediaType: m.MediaType, Size: int64(len(text)), Digest: v1.Hash{Algorithm: "sha256", Hex: filepath.Base(blob)}}
		if err := path.AppendDescriptor(d); err != nil { // an image is found by the index alone
			return nil, nil, err
		}
		image, err := path.Image(d.Digest)
		if err != nil {
			return nil, nil, err
		}
		referrers = append(referrers, image)
	}
	return images, referrers, nil
}

// unpack makes a directory of an archive's files.
func unpack(archive string) (dir string, err error) {
	f, err := os.Open(archive)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if dir, err = os.MkdirTemp("", "images"); err != nil {
		return "", err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return dir, err
	}
	defer root.Close()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir, nil
		} else if err != nil {
			return dir, err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return dir, err
		}
		if err := errors.Join(root.MkdirAll(filepath.Dir(h.Name), 0o700), root.WriteFile(h.Name, content, 0o600)); err != nil {
			return dir, err
		}
	}
}
