package identity

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/reply"
)

const (
	// instanceURL tells of the machine ("Azure Instance Metadata Service"). It is asked only for the words of a fix.
	instanceURL   = "http://169.254.169.254/metadata/instance/compute?api-version=2021-02-01&format=json"
	instanceLimit = time.Second
	maxInstance   = 64 << 10 // bytes
)

// virtualMachine is how az names the machine: a node of a scale set has its identities from the set.
type virtualMachine struct {
	command     string // vm or vmss
	group, name string // "" when they are not known
}

// machine asks the instance metadata which machine this is, once and for a moment, since a fix with the
// machine's own name is only worth so much.
func (w *wire) machine(o Options) virtualMachine {
	unknown := virtualMachine{command: "vm"}
	if w.service != reply.IMDS {
		return unknown
	}
	ctx, cancel := context.WithTimeout(w.ctx, instanceLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, instanceURL, http.NoBody)
	if err != nil {
		return unknown
	}
	req.Header.Set("Metadata", "true")
	resp, err := w.transport.RoundTrip(req)
	if err != nil {
		return unknown
	}
	a, err := reply.Read(resp, maxInstance, o.now(), w.hidden)
	if err != nil || a.Status != http.StatusOK {
		return unknown
	}
	return machineOf(a.Body)
}

func machineOf(body []byte) virtualMachine {
	var compute struct {
		Group string `json:"resourceGroupName"`
		Name  string `json:"name"`
		Set   string `json:"vmScaleSetName"`
	}
	m := virtualMachine{command: "vm"}
	if json.Unmarshal(body, &compute) != nil {
		return m
	}
	if compute.Set != "" {
		m.command = "vmss"
	}
	m.group, m.name = machineName(compute.Group), machineName(cmp.Or(compute.Set, compute.Name))
	return m
}

// machineName is a name of Azure Resource Manager, "" for anything else. Package fault quotes it for a shell.
func machineName(v string) string {
	if len(v) > maxArgument || strings.Trim(v, alnum+"-._()") != "" {
		return ""
	}
	return v
}
