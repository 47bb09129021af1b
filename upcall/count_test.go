package upcall

import (
	"testing"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/azurefake"
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
	for result, u := range got { // an exchange with a server of ours takes more than a thousandth and less than the deadline
		if took := u.Took(); took < time.Millisecond || took > 2*time.Minute {
			t.Errorf("%s: %v", result, took)
		}
	}
}
