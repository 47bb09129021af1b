// Package nearest finds the word that somebody meant.
//
// Invariant: it takes time in proportion to maxWord and the known word, whatever is asked for.
package nearest

import "strings"

// maxWord is how much of a word counts, in bytes.
const maxWord = 64

// far is from how many wrong letters on a word is another one.
const far = 3

// Word proposes the known word that differs least from word, letters' case aside. It is "" when all
// differ by three letters or more, or as a whole.
func Word(word string, known []string) string {
	best, nearest := far, ""
	for _, k := range known {
		if d := Distance(strings.ToLower(word), strings.ToLower(k)); d < best && d < len(k) && k != word {
			best, nearest = d, k
		}
	}
	return nearest
}

// Hint proposes a word behind a message; it is "" for no word.
func Hint(meant string) string {
	if meant == "" {
		return ""
	}
	return "; did you mean " + meant + "?"
}

// Distance is the number of letters to insert, delete or replace to make b of a (Levenshtein), of
// which only the beginnings count.
func Distance(a, b string) int {
	a, b = a[:min(len(a), maxWord)], b[:min(len(b), maxWord)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal, row[j+1] = row[j+1], min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
