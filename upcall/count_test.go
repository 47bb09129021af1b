package upcall

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
	"github.com/azfilesauth/azfilesauth/internal/control"
	"github.com/azfilesauth/azfilesauth/internal/metrics"
)

func TestRequestsAreCountedWhenWanted(t *testing.T) {
	w := newWorld(t)
	w.good(describe(host), host)
	if got := metrics.Upcalls(w.machine()); len(got) != 0 {
		t.Errorf("counted, and nobody asked for it: %v", got)
	}
	w.config("default_identity: system\nmetrics: {socket: on}\n")
	w.good(describe(host, "pid=0xa5", "pid=0xa6"), host)
	w.good(describe(host, "pid=0xa5", "pid=0xa7"), host)
	w.fake.Order(azurefake.Order{Target: azurefake.TargetStorage, Status: 403, Code: "AuthorizationPermissionMismatch"})
	w.rejected(describe(host2), 3, "AZF-ROLE-MISSING")
	got := metrics.Upcalls(w.machine())
	if len(got) != 2 || got[metrics.Answered].Count != 2 || got["AZF-ROLE-MISSING"].Count != 1 {
		t.Errorf("counted %v", got)
	}
	var told strings.Builder
	metrics.New().Write(&told, control.Status{}, got)
	for result := range got { // an exchange with a server of ours takes more than a thousandth
		m := regexp.MustCompile(`_duration_seconds_sum\{result="` + result + `"\} (\S+)`).FindStringSubmatch(told.String())
		if m == nil {
			t.Fatalf("no time of %s in\n%s", result, told.String())
		}
		if took, err := strconv.ParseFloat(m[1], 64); err != nil || took < 0.001 || took > 60 {
			t.Errorf("%s: %v, %v", result, took, err)
		}
	}
}
