package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// text is a file that a licence asks to be passed on.
type text struct{ Name, Body string }

// marks are sentences that a licence's text has and no other's, in small letters and without commas;
// the names are SPDX's.
var marks = []struct{ name, sentence, without string }{
	{"Apache-2.0", "apache license version 2.0", ""},
	{"MIT", "permission is hereby granted free of charge to any person obtaining a copy", ""},
	{"BSD-3-Clause", "neither the name of", ""},
	{"BSD-2-Clause", "redistribution and use in source and binary forms", "neither the name of"},
	{"ISC", "permission to use copy modify and/or distribute this software", ""},
	{"MPL-2.0", "mozilla public license version 2.0", ""},
}

// licences reads the licences and notices at the top of a module.
func licences(dir string) ([]text, string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, "", err
	}
	var texts []text
	var names []string
	for _, e := range entries {
		stem := strings.ToUpper(strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())))
		if e.IsDir() || !slices.Contains([]string{"LICENSE", "LICENCE", "COPYING", "NOTICE", "PATENTS"}, stem) {
			continue
		}
		body, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, "", err
		}
		texts = append(texts, text{e.Name(), string(body)})
		if stem != "NOTICE" && stem != "PATENTS" {
			names = append(names, recognise(string(body))...)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 {
		return nil, "", errors.New("no licence that is known here")
	}
	return texts, strings.Join(names, " AND "), nil
}

func recognise(body string) []string {
	words := strings.Join(strings.Fields(strings.ReplaceAll(strings.ToLower(body), ",", "")), " ")
	var names []string
	for _, m := range marks {
		if strings.Contains(words, m.sentence) && (m.without == "" || !strings.Contains(words, m.without)) {
			names = append(names, m.name)
		}
	}
	return names
}
