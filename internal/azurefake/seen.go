package azurefake

import (
	"bufio"
	"bytes"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// seen has answers of Azure and of what stands in its place, as people's reports have them, with the ids of
// persons and tenants replaced.
//
//go:embed answers
var seen embed.FS

// AnswerNames are the names that Order.Answer takes, sorted.
func AnswerNames() []string {
	names, _ := fs.Glob(seen, "answers/*.http") // the pattern is right
	for n := range names {
		names[n] = strings.TrimSuffix(filepath.Base(names[n]), ".http")
	}
	return names
}

// readAnswer reads an answer by its name or by the path of a file.
func readAnswer(name string) (*http.Response, error) {
	read := func() ([]byte, error) { return seen.ReadFile("answers/" + name + ".http") }
	if filepath.IsAbs(name) {
		read = func() ([]byte, error) { return os.ReadFile(name) }
	}
	text, err := read()
	if err != nil {
		return nil, fmt.Errorf("answer %q is none of %s, nor the absolute path of a file", name, strings.Join(AnswerNames(), ", "))
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(text)), nil)
	if err != nil {
		return nil, fmt.Errorf("answer %q: %w", name, err)
	}
	return resp, nil
}

// sendAnswer sends an answer that readAnswer has read before.
func sendAnswer(w http.ResponseWriter, name string) {
	resp, err := readAnswer(name)
	if err != nil { // the file is gone since
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	maps.Copy(w.Header(), resp.Header)
	if w.Header().Get("Content-Type") == "" {
		w.Header()["Content-Type"] = nil // none, as it was seen
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body) // the client may be gone
}
