package upcall

import (
	"maps"
	"testing"

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
	want := map[string]uint64{metrics.Answered: 2, "AZF-ROLE-MISSING": 1}
	if got := metrics.Upcalls(w.machine()); !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
}
