package identity

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/azfilesauth/azfilesauth/internal/fault"
	"github.com/azfilesauth/azfilesauth/internal/reply"
)

// metadata is a question to whoever has the managed identities of this machine.
type metadata struct{ *wire }

// passes are the refusals that IMDS documents as passing: it is being updated, throttles or fails, or Entra does.
func (m metadata) passes() bool {
	c, ok := codeOf(m.said)
	return m.last.Status == http.StatusNotFound || m.last.Status == http.StatusGone || m.last.Busy() || ok && c.passes()
}

func (metadata) unreachable(error) *fault.Fault { return fault.IMDSUnreachable.New() }

func (m metadata) foreign() *fault.Fault { return fault.IMDSForeign.New(m.last.Line()) }

func (metadata) tokenless() *fault.Fault { return fault.TokenInvalid.New("IMDS", noToken) }

func (m metadata) refused(refusal error) *fault.Fault {
	refusal = fmt.Errorf("IMDS answered %w", refusal)
	if m.passes() {
		return fault.IMDSBusy.New().Because(refusal)
	}
	if f := m.badResource(refusal); f != nil {
		return f
	}
	vm := m.machine()
	text := strings.ToLower(m.said.text)
	if m.last.Status == http.StatusBadRequest && strings.Contains(text, "identity not found") {
		return fault.IdentityNotAssigned.New(m.identity.String(), vm.command, vm.group, vm.name, assignArgument(m.identity)).Because(refusal)
	}
	if m.last.Status == http.StatusBadRequest && strings.Contains(text, "multiple user assigned identities") {
		return fault.IdentitySeveral.New(vm.command, vm.group, vm.name).Because(refusal)
	}
	return fault.IMDSRefused.New(m.identity.String(), vm.command, vm.group, vm.name).Because(refusal)
}

// assignArgument is what `az vm identity assign --identities` takes for the identity.
func assignArgument(i Identity) string {
	const list = `$(az identity list --query "[?%s=='%s'].id" -o tsv)`
	if i.ClientID != "" {
		return fmt.Sprintf(list, "clientId", i.ClientID)
	}
	if i.ObjectID != "" {
		return fmt.Sprintf(list, "principalId", i.ObjectID)
	}
	if i.ResourceID != "" {
		return fault.Word("resource_id", i.ResourceID)
	}
	return "'[system]'"
}

const (
	// instanceURL tells of the machine ("Azure Instance Metadata Service"). It is asked only for the words of a fix.
	instanceURL   = "http://169.254.169.254/metadata/instance/compute?api-version=2021-02-01&format=json"
	instanceLimit = time.Second
)

// virtualMachine is how az names the machine: a node of a scale set has its identities from the set.
type virtualMachine struct {
	command     string // vm or vmss
	group, name string // "" when they are not known
}

// machine asks the instance metadata which machine this is, once and for a moment, since a fix with the
// machine's own name is only worth so much.
func (m metadata) machine() virtualMachine {
	vm := virtualMachine{command: "vm"}
	if m.service != reply.IMDS {
		return vm
	}
	ctx, cancel := context.WithTimeout(m.ctx, instanceLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, instanceURL, http.NoBody)
	if err != nil {
		return vm
	}
	req.Header.Set(imds.header, imds.value)
	a, err := m.try(req)
	var compute struct {
		Group string `json:"resourceGroupName"`
		Name  string `json:"name"`
		Set   string `json:"vmScaleSetName"`
	}
	if err != nil || a.Status != http.StatusOK || json.Unmarshal(a.Body, &compute) != nil {
		return vm
	}
	if compute.Set != "" {
		vm.command = "vmss"
	}
	vm.group, vm.name = machineName(compute.Group), machineName(cmp.Or(compute.Set, compute.Name))
	return vm
}

// machineName is a name of Azure Resource Manager, "" for anything else. Package fault quotes it for a shell.
func machineName(v string) string {
	if checkName(v) != "" {
		return ""
	}
	return argument(v)
}
