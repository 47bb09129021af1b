package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

const canary = "canary-0f3c"

func TestNoFormattingShowsTheSecret(t *testing.T) {
	holder := struct {
		Name  string
		Inner *Value
		Value Value
	}{"n", new(FromString(canary)), FromString(canary)}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", holder.Value, "h", holder)
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", holder.Value, "h", holder)
	js, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	yml, err := yaml.Marshal(map[string]any{"v": holder.Value})
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{
		"v": fmt.Sprintf("%v", holder.Value), "plus": fmt.Sprintf("%+v", holder), "sharp": fmt.Sprintf("%#v", holder.Value),
		"s": fmt.Sprintf("%s", holder.Value), "q": fmt.Sprintf("%q", holder.Value), "x": fmt.Sprintf("%x", holder.Value),
		"d": fmt.Sprintf("%d", holder.Value), "width": fmt.Sprintf("%20.3s", holder.Value), "string": holder.Value.String(),
		"error": fmt.Errorf("because %v", holder.Value).Error(), "json": string(js), "yaml": string(yml), "log": log.String(),
	} {
		if strings.Contains(got, canary) || strings.Contains(got, fmt.Sprintf("%x", canary)) {
			t.Errorf("%s shows the secret: %s", name, got)
		}
		if !strings.Contains(got, Redacted) {
			t.Errorf("%s does not say that something is hidden: %s", name, got)
		}
	}
}

func TestValue(t *testing.T) {
	v := FromString(canary)
	if v.RevealString() != canary || v.Len() != len(canary) || v.Empty() || !new(Value).Empty() {
		t.Fatal("a Value does not give back what it holds")
	}
	if !v.Equal(FromString(canary)) || v.Equal(FromString("other")) {
		t.Fatal("Equal")
	}
	shared := v
	v.Wipe()
	if bytes.Contains(shared.Reveal(), []byte("canary")) {
		t.Fatal("Wipe leaves the bytes readable through a copy")
	}
}
