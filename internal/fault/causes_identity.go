package fault

// identityDetails are of failures to get an access token.
var identityDetails = []Detail{
	{"AZF-IDENTITY-CONFLICT", []Cause{
		{"two lines of fstab mount one account with different identities, and a stock cifs.upcall answers the kernel", "azfilesauth config show: upcall.mode is cifs; or azfilesauth doctor, check request-key-rule"},
		{"a pod and its node mount the same account with different identities", "azfilesauth status names both mounts"},
		{"the identity of a line was changed while the old mount is still there", "umount the share and mount it again"},
	}, ""},
	{"AZF-IDENTITY-UNNAMED", []Cause{
		{"the other mount was made without username=, by mount -t cifs or by a driver", "findmnt -t cifs -o TARGET,OPTIONS shows no username= with a client id"},
		{"two identities without a client id of their own, such as two kinds of the machine's identity", "azfilesauth list names both"},
	}, ""},
	{"AZF-IDENTITY-NOT-ASSIGNED", []Cause{
		{"the identity exists and was not assigned to this machine, or only to another one of the scale set", "az vm identity show does not list it"},
		{"client_id= has the object id, or the id of another identity", "az identity show -g <resource-group> -n <name> --query \"[clientId, principalId]\""},
		{"it was assigned a moment ago", "try again in a minute"},
	}, "//acct.file.core.windows.net/share /mnt/share azfiles _netdev,nofail,client_id=00000000-0000-0000-0000-000000000000 0 0"},
	{"AZF-IDENTITY-SEVERAL", []Cause{
		{"a second user-assigned identity was assigned, by a policy or an extension such as Azure Monitor", "az vm identity show lists more than one"},
		{"the system-assigned identity was switched off", "az vm identity show has no SystemAssigned in type"},
	}, "default_identity: backup\nidentities:\n  backup: {client_id: 00000000-0000-0000-0000-000000000000}"},
	{"AZF-IMDS-UNREACHABLE", []Cause{
		{"this is not a virtual machine of Azure", "cat /sys/class/dmi/id/chassis_asset_tag prints 7783-7084-3265-9085-8269-3286-77 on one"},
		{"a firewall or a VPN client of this machine takes 169.254.169.254", "ip route get 169.254.169.254 names a VPN interface; iptables -S (package iptables) or nft list ruleset (package nftables) has the address"},
		{"this is a pod, and a network policy forbids the address", "the same command works on the node"},
		{"this is a machine of Azure Arc", "systemctl status himdsd is active: use identity=arc"},
		{"the machine has only IPv6", "ip -4 addr shows no address but 127.0.0.1"},
	}, "//acct.file.core.windows.net/share /mnt/share azfiles _netdev,nofail,identity=arc 0 0"},
	{"AZF-IMDS-BUSY", []Cause{
		{"too many requests at once: IMDS allows about 20 a second to a machine", "status 429 in the cause; other agents ask too"},
		{"the host of the machine is being maintained", "status 410, 500 or 503 for less than two minutes"},
		{"a service mesh or pod identity answers instead of IMDS", "azfilesauth doctor, check imds"},
	}, ""},
	{"AZF-IMDS-REFUSED", []Cause{
		{"the machine has no managed identity", "az vm identity show prints nothing"},
		{"the identity was deleted and is still listed at the machine", "az identity show does not find it; remove and assign it again"},
		{"the identity is new: it takes some minutes until Entra knows it", "try again in five minutes"},
		{"the resource is not known in the tenant", "the cause has AADSTS500011"},
	}, "az vm identity assign -g group -n machine"},
	{"AZF-IMDS-FOREIGN", []Cause{
		{"a proxy answers: the program's own requests never use one, so it is transparent", "the cause shows a page or a header of the proxy"},
		{"this is a machine of another cloud, whose metadata service has the same address", "cat /sys/class/dmi/id/sys_vendor does not print Microsoft Corporation"},
		{"pod identity or a service mesh takes the requests of pods", "the same command works on the node"},
		{"the Metadata Security Protocol of Azure is enforced and does not list this program: its agent answers 403 without a text", "systemctl is-active azure-proxy-agent; /var/lib/azure-proxy-agent/ProxyAgent.Connection.log names the process: add it to the allowlist of the machine"},
	}, "identities:\n  app: {kind: workload, tenant_id: contoso.onmicrosoft.com, client_id: 00000000-0000-0000-0000-000000000000, token_file: /var/run/secrets/azure/tokens/azure-identity-token}"},
	{"AZF-ARC-UNREACHABLE", []Cause{
		{"the agent is stopped", "systemctl status himdsd is not active"},
		{"the machine is not connected to Azure Arc", "azcmagent show: Agent Status is Disconnected"},
		{"the agent listens at another port", "IDENTITY_ENDPOINT in /lib/systemd/system.conf.d/azcmagent.conf"},
	}, ""},
	{"AZF-ARC-REFUSED", []Cause{
		{"the machine's identity expired: it was not connected for 45 days", "azcmagent show: Agent Status is Expired"},
		{"the machine was deleted in Azure", "azcmagent show names a resource that az resource show does not find"},
		{"the agent cannot reach Entra", "azcmagent check lists the addresses that fail"},
	}, ""},
	{"AZF-ARC-KEY", []Cause{
		{"the command does not run as root and its user is not in the group himds", "id shows no himds"},
		{"the group was given after the login", "id himds lists the user, and id does not: log in again"},
		{"the agent's directory was moved or hardened", "ls -ld /var/opt/azcmagent/tokens"},
	}, ""},
	{"AZF-AUTHORITY-UNKNOWN", []Cause{
		{"a typing mistake in authority_host=", "compare with the three addresses under fix of AZF-ENTRA-CLOUD"},
		{"a private cloud whose authority is not configured", "azfilesauth config show has no authority: for the endpoint"},
		{"a workload's AZURE_AUTHORITY_HOST was changed by a pod's manifest", "kubectl get pod -o yaml shows it"},
	}, "endpoints:\n  acct.file.core.windows.net: {authority: 'https://login.example.internal'}"},
	{"AZF-SECRET-FILE", []Cause{
		{"the file does not exist or is empty", "ls -l <file>"},
		{"others than root can read or change it", "the mode is not 0600 or 0400"},
		{"it has the id of the secret, or more than one line", "wc -l <file>; Entra shows the value only once, when the secret is made"},
	}, "(umask 077; az ad app credential reset --id CLIENT --append --query password -o tsv > /etc/azfilesauth/sp.secret)"},
	{"AZF-ENTRA-UNREACHABLE", []Cause{
		{"a firewall lets out only known addresses, and Entra's are not among them", "the bash command under fix does not return; the storage account can be reached"},
		{"a proxy is needed and none is configured", "env | grep -i proxy in a login shell names one: this program does not take it from there"},
		{"name resolution fails", "getent hosts <host> prints nothing"},
	}, "proxy: http://proxy.example:3128"},
	{"AZF-ENTRA-BUSY", []Cause{
		{"too many logins of this application: Entra throttles", "status 429 in the cause"},
		{"an incident", "https://azure.status.microsoft"},
	}, ""},
	{"AZF-ENTRA-TENANT", []Cause{
		{"the tenant id is mistyped, or is a subscription's id", "az account show --query \"[tenantId, id]\""},
		{"the tenant is in another cloud", "see AZF-ENTRA-CLOUD"},
		{"the tenant was deleted", "the cause has AADSTS90002 for an id that worked before"},
	}, "identities:\n  app: {kind: service-principal, tenant_id: contoso.onmicrosoft.com, client_id: 00000000-0000-0000-0000-000000000000, secret_file: /etc/azfilesauth/sp.secret}"},
	{"AZF-ENTRA-CLOUD", []Cause{
		{"authority_host= is missing in a sovereign cloud", "the account's host ends in usgovcloudapi.net or chinacloudapi.cn"},
		{"the account and the tenant are in different clouds", "az cloud show --query name where each can be seen"},
	}, "authority_host=https://login.microsoftonline.us"},
	{"AZF-ENTRA-APP", []Cause{
		{"client_id is the object id of the application", "az ad app list --filter \"id eq '<id>'\" finds it"},
		{"the application is in another tenant and was never allowed in this one", "az ad sp show --id <client> does not find it in the tenant"},
		{"the application was deleted", "az rest --method get --url https://graph.microsoft.com/v1.0/directory/deletedItems/microsoft.graph.application lists it"},
	}, ""},
	{"AZF-ENTRA-DISABLED", []Cause{
		{"an administrator disabled logins of the enterprise application", "az ad sp show --id <client> --query accountEnabled prints false"},
		{"Microsoft disabled it for abuse", "the enterprise application shows a notice in the Entra admin center"},
	}, ""},
	{"AZF-ENTRA-PUBLIC", []Cause{
		{"Allow public client flows is on for the application", "az ad app show --id <client> --query isFallbackPublicClient prints true"},
		{"client_id is that of a desktop application", "the application has only redirect addresses of desktops"},
	}, ""},
	{"AZF-ENTRA-CONSENT", []Cause{
		{"the application has the permission for Azure Storage, and no administrator has consented", "Entra admin center, App registrations, API permissions"},
		{"the enterprise application Azure Storage requires assignment", "its property Assignment required is Yes"},
	}, ""},
	{"AZF-ENTRA-POLICY", []Cause{
		{"a Conditional Access policy for workload identities allows only named locations", "the sign-in log names the policy"},
		{"the address that this machine has on the internet changed", "the sign-in log shows the address"},
		{"the application was marked as risky", "Entra admin center, Risky workload identities"},
	}, ""},
	{"AZF-ENTRA-BLOCKED", []Cause{
		{"the tenant was not used for a long time and was deactivated", "the cause has AADSTS5000224 or AADSTS5000225"},
		{"the tenant was blocked by Microsoft", "its administrator has a message"},
	}, ""},
	{"AZF-ENTRA-REQUEST", []Cause{
		{"tenant_id, client_id and resource do not belong together", "compare each with az ad sp show --id <client>"},
		{"resource= has a trailing slash or a path that Entra does not know", "leave resource= out"},
		{"a kind of identity that the tenant does not allow", "the code in the cause says which"},
	}, ""},
	{"AZF-ENTRA-SECRET", []Cause{
		{"the secret expired", "az ad app credential list --id <client> --query \"[].endDateTime\""},
		{"the file has the id of the secret instead of its value", "the cause has AADSTS7000215; the id is a GUID, the value is not"},
		{"the file ends with another character than a line end", "tail -c 5 <file> | od -c"},
		{"the secret is of another application", "az ad app credential list --id <client> --query \"[].hint\" shows how it begins"},
	}, ""},
	{"AZF-ENTRA-CERTIFICATE", []Cause{
		{"the certificate expired", "openssl x509 -noout -dates -in <file> (package openssl)"},
		{"the certificate was renewed here and not at the application", "az ad app credential list --id <client> --cert --query \"[].customKeyIdentifier\" has another thumbprint"},
		{"the clock of this machine is wrong", "timedatectl"},
	}, ""},
	{"AZF-ENTRA-ASSERTION", []Cause{
		{"what rewrites the file does not run any more", "the time of the file is older than an hour"},
		{"the file is a copy, or a mount of a single file (subPath), which is not renewed", "the token of the pod itself is newer"},
		{"the clock of this machine is wrong", "timedatectl"},
		{"the issuer's keys changed, after the cluster was made again", "the cause says that no key fits the signature"},
	}, ""},
	{"AZF-ENTRA-FEDERATION", []Cause{
		{"no federated credential has the subject: namespace or service account differ", "compare the subject of the fix with: az identity federated-credential list --identity-name <identity> -g <resource-group>"},
		{"the cluster has a new issuer, after it was made again", "az aks show -n <cluster> -g <group> --query oidcIssuerProfile.issuerUrl differs from that of the credential"},
		{"the audience differs", "it must be api://AzureADTokenExchange, outside of China and US Government"},
		{"the credential was made a moment ago", "try again in a minute"},
	}, ""},
	{"AZF-ENTRA-RESOURCE", []Cause{
		{"resource= is mistyped or has a trailing slash", "leave resource= out"},
		{"the tenant never used Azure Storage", "az ad sp show --id e406a681-f3d4-42a8-90b6-c2b029497af1 finds nothing"},
	}, ""},
	{"AZF-ENTRA-REFUSED", []Cause{
		{"Entra gave a code that has no entry of its own here", "the code is in the cause; the address of the fix explains it"},
		{"a setting of the tenant", "ask its administrator for the sign-in log, with the trace id of the cause"},
	}, ""},
	{"AZF-CLI-FAILED", []Cause{
		{"the user is not logged in, or the login expired", "su - <user> -c 'az account show' asks to log in"},
		{"a policy asks for a new proof (MFA)", "the cause has AADSTS50076 or AADSTS50079: az login again"},
		{"az is not where root looks for it, or can be changed by users", "the cause names the program"},
		{"the sandbox of the service hides the user's home", "it works by hand and fails in the service: see the comments of systemctl cat azfilesrefresh"},
	}, ""},
	{"AZF-CLI-NOT-HERE", []Cause{
		{"the daemon, which renews such tickets, does not run", "azfilesauth status"},
		{"the daemon fails to renew the ticket", "azfilesauth status shows the last error"},
		{"the machine slept until the ticket had expired", "it works again after azfilesauth refresh"},
	}, ""},
	{"AZF-TOKEN-FILE", []Cause{
		{"the file does not exist here: it is in a pod, or its volume is not mounted", "ls -l <file>"},
		{"others than root can change it", "the owner is not root, or the mode has w for group or others"},
		{"it is empty while something rewrites it in place", "try again; it should be written under another name and renamed"},
	}, ""},
	{"AZF-TOKEN-INVALID", []Cause{
		{"what was handed over is JSON with a token in it, or an error message", "a token has three parts with dots between them, and no spaces"},
		{"a line break or a quotation mark is in it", "use --query accessToken -o tsv"},
		{"it is an id token or a SAS", "an access token has aud https://storage.azure.com"},
	}, "az account get-access-token --resource https://storage.azure.com --query accessToken -o tsv |\n  azfilesauth set acct.file.core.windows.net --token-stdin"},
	{"AZF-TOKEN-EXPIRED", []Cause{
		{"the token was kept and used again: it is good for about an hour", "get a new one"},
		{"what rewrites the token file does not run", "ls -l of the file is older than an hour"},
		{"the clock of this machine is ahead", "timedatectl"},
	}, ""},
	{"AZF-TOKEN-AUDIENCE", []Cause{
		{"the token was asked for another resource, such as management.azure.com", "the line names it"},
		{"resource= names the account with a path or a slash", "leave resource= out"},
		{"a cloud with a storage resource of its own", "the resource of the line is that of another cloud"},
	}, ""},
}
