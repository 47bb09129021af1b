package config

import (
	"log/slog"
	"slices"
)

// logLevels are the levels of a log, from the least severe.
var logLevels = []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}

// logLevel is a level of a log by its word.
var logLevel = func() kind[slog.Level] {
	word := oneOf("debug", "info", "warning", "error")
	return kind[slog.Level]{name: word.name, words: word.words, read: func(s string) (slog.Level, error) {
		text, err := word.read(s)
		if err != nil {
			return 0, err
		}
		return logLevels[slices.Index(word.words, text)], nil
	}, show: func(l slog.Level) string { return word.words[slices.Index(logLevels, l)] }}
}()
