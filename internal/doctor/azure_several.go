package doctor

import "slices"

// several puts the results of several things of one kind together.
type several struct{ results []Result }

func (f *several) add(r Result) { f.results = append(f.results, r) }

// result has the worst status, what makes it up as evidence, and the first fix of that status. Without
// anything that was found it is healthy.
func (f *several) result(healthy Result) Result {
	order := []Status{Problem, Warning, Skipped, Info}
	for _, status := range order {
		at := slices.IndexFunc(f.results, func(r Result) bool { return r.Status == status })
		if at < 0 {
			continue
		}
		worst := f.results[at]
		for i, r := range f.results {
			if i != at && slices.Index(order, r.Status) >= slices.Index(order, status) {
				worst.Evidence = append(slices.Clip(worst.Evidence), r.Evidence...)
			}
		}
		return worst
	}
	for _, r := range f.results {
		healthy.Evidence = append(slices.Clip(healthy.Evidence), r.Evidence...)
	}
	return healthy
}
