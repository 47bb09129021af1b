package identity

import "testing"

func TestSamePrincipal(t *testing.T) {
	const (
		one      = "11111111-2222-3333-4444-555555555555"
		two      = "21111111-2222-3333-4444-555555555555"
		workload = "workload client_id=" + one + " tenant_id=" + two
	)
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"system", "system", true},
		{"token", "token token_file=/a", true},
		{workload + " token_file=/a", workload + " token_file=/b", true},
		{workload + " token_file=/a", "user-assigned client_id=" + one, true},
		{"user-assigned client_id=" + one, workload + " token_file=/a", true},
		{workload + " token_file=/a", "user-assigned client_id=" + two, false},
		{workload + " token_file=/a", "service-principal client_id=" + one + " tenant_id=" + two + " secret_file=/a", true},
		{workload + " token_file=/a", "service-principal client_id=" + one + " tenant_id=" + one + " secret_file=/a", false},
		{workload + " token_file=/a", "user-assigned object_id=" + one, false},
		{"user-assigned object_id=" + one, "user-assigned client_id=" + one, false},
		{"user-assigned object_id=" + one, "system", false},
		{"system", "cli", false},
		{"user-assigned client_id=" + two, "user-assigned client_id=" + one, false},
		{"something new", "something new", true},
		{"something new", "system", false},
	} {
		if got := SamePrincipal(c.a, c.b); got != c.same {
			t.Errorf("%s, %s: %v", c.a, c.b, got)
		}
	}
}
