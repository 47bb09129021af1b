package azurefake

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// AzSubscriptionID is the subscription that the user of the stand-in for az is logged in to.
const AzSubscriptionID = "5b500000-0000-4000-8000-000000000001"

// userTokenLifetime is how long the tokens of people last.
const userTokenLifetime = time.Hour

// azScript stands in for az. It uses nothing but bash, because the environment that it is started in
// may be empty, and leaves everything to the fake except to look whether somebody is logged in.
const azScript = `#!/bin/bash
# A stand-in for the Azure CLI: azurefake answers.
if [[ ! -s ${AZURE_CONFIG_DIR:-~/.azure}/azureProfile.json ]]; then
	echo "ERROR: Please run 'az login' to setup account." >&2
	exit 1
fi
LC_ALL=C # lengths are in bytes
printf -v body '%%s\n' "$@"
exec 3<>/dev/tcp/%s/%s || exit 1
printf 'POST /az HTTP/1.0\r\nContent-Length: %%d\r\n\r\n%%s' "${#body}" "$body" >&3
read -r _ status _ <&3
while read -r line <&3 && [[ $line != $'\r' ]]; do :; done
IFS= read -r -d '' answer <&3
case $status in
200) printf '%%s' "$answer" ;;
422) printf '%%s' "$answer" >&2; exit 2 ;;
*) printf '%%s' "$answer" >&2; exit 1 ;;
esac
`

// InstallAz writes an executable az into a folder, for a PATH that begins with it. It answers
// "az account get-access-token" as the Azure CLI does, for one user (UserObjectID) of TenantID and
// for who has been logged in with LoginAz, and asks the fake each time. It needs the control API and
// /bin/bash.
func (f *Fake) InstallAz(dir string) error {
	if f.control == nil {
		return errors.New("azurefake: az needs the control API, see Options.Control")
	}
	host, port, err := net.SplitHostPort(f.ControlAddr())
	if err != nil {
		return fmt.Errorf("azurefake: %w", err)
	}
	path := filepath.Join(dir, "az")
	if err := os.WriteFile(path, fmt.Appendf(nil, azScript, host, port), 0o755); err != nil {
		return fmt.Errorf("azurefake: %w", err)
	}
	return os.Chmod(path, 0o755) // whatever the umask
}

// LoginAz makes the user of a home folder one who has run "az login".
func (f *Fake) LoginAz(home string) error {
	dir := filepath.Join(home, ".azure")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("azurefake: %w", err)
	}
	profile := byteOrderMark + `{"installationId": "` + newGUID() + `", "subscriptions": [{"id": "` + AzSubscriptionID +
		`", "name": "azurefake", "state": "Enabled", "user": {"name": "user@azurefake.test", "type": "user"}, "isDefault": true, "tenantId": "` +
		TenantID + `", "environmentName": "AzureCloud"}]}`
	if err := os.WriteFile(filepath.Join(dir, "azureProfile.json"), []byte(profile), 0o644); err != nil {
		return fmt.Errorf("azurefake: %w", err)
	}
	return nil
}

// serveAz answers the script: 200 is what az writes to standard output, 422 a mistake in the
// arguments, all else what az fails with.
func (f *Fake) serveAz(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	asked, usage := parseAz(strings.Split(strings.TrimSuffix(string(body), "\n"), "\n"))
	if err != nil {
		usage = err.Error()
	}
	r.URL.RawQuery = asked.Encode() // what the log shall show
	answer := f.log.enter(w, r, Request{Time: f.now(), Target: TargetAz, Identity: UserObjectID})
	o := f.orders.forRequest(TargetAz, "", UserObjectID)
	if f.obey(answer, r, o, azFailure) {
		return
	}
	tenant, resource := asked.Get("tenant"), asked.Get("resource")
	switch {
	case usage != "":
		azFailure(answer, http.StatusUnprocessableEntity, "", usage)
	case tenant != "" && asked.Has("subscription"):
		azFailure(answer, http.StatusBadRequest, "", "Please specify only one of subscription and tenant, not both")
	case asked.Has("subscription") && asked.Get("subscription") != AzSubscriptionID:
		azFailure(answer, http.StatusBadRequest, "", "The subscription of '"+asked.Get("subscription")+"' doesn't exist in cloud 'AzureCloud'.")
	case tenant != "" && !strings.EqualFold(tenant, TenantID):
		azRefusal(answer, unknownTenant(tenant))
	case strings.TrimSuffix(resource, "/") != StorageAudience:
		azRefusal(answer, unknownResource(resource, TenantID))
	default:
		f.sendAzToken(answer, resource, tenant == "", o)
	}
}

// parseAz reads the arguments of az; usage says what is wrong with them.
func parseAz(args []string) (asked url.Values, usage string) {
	asked = make(url.Values)
	if len(args) < 2 || args[0] != "account" || args[1] != "get-access-token" {
		return asked, "'" + strings.Join(args, " ") + "' is misspelled or not recognized by the system."
	}
	names := map[string]string{
		"--resource": "resource", "--tenant": "tenant", "-t": "tenant",
		"--subscription": "subscription", "-s": "subscription", "--output": "output", "-o": "output",
	}
	for args = args[2:]; len(args) > 0; args = args[2:] {
		name := names[args[0]]
		switch {
		case name == "":
			return asked, "unrecognized arguments: " + strings.Join(args, " ")
		case len(args) == 1:
			return asked, "argument " + args[0] + ": expected one argument"
		}
		asked.Set(name, args[1])
	}
	if output := asked.Get("output"); output != "" && output != "json" {
		return asked, "argument --output/-o: invalid choice: '" + output + "' (choose from 'json')"
	}
	return asked, ""
}

// azFailure is the failure that az writes to standard error.
func azFailure(w http.ResponseWriter, status int, code, message string) {
	if code != "" {
		message = code + ": " + message
	}
	send(w, status, "text/plain; charset=utf-8", "ERROR: "+message+"\n")
}

func azRefusal(w http.ResponseWriter, why refusal) {
	azFailure(w, http.StatusBadRequest, aadsts+strconv.Itoa(why.number), why.text)
}

// sendAzToken sends what az prints. As in truth expiresOn is local time, and there is no subscription
// when a tenant was named.
func (f *Fake) sendAzToken(w *answerWriter, resource string, subscription bool, o Order) {
	setDefault(&o.Lifetime, userTokenLifetime)
	token, c := f.tokens.issue(claims{
		Audience: resource, ObjectID: UserObjectID, TenantID: TenantID,
	}, f.now().Add(o.Skew), o.Lifetime)
	w.issued(c.TokenID)
	members := []pair{
		{"accessToken", token},
		{"expiresOn", time.Unix(c.Expiry, 0).Local().Format("2006-01-02 15:04:05.000000")},
		{"expires_on", c.Expiry},
	}
	if subscription {
		members = append(members, pair{"subscription", AzSubscriptionID})
	}
	members = append(members, pair{"tenant", TenantID}, pair{"tokenType", "Bearer"})
	succeed(w, o, objectJSON(o, members)+"\n")
}
