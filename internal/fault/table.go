package fault

// The kinds, in the order in which a mount meets them. What is a sentence that starts in lower case and
// has no full stop; Fix begins with a command or an imperative verb. The number of a Kind is that of the
// {name} places in both texts; {longer} is none, see Bound.
var (
	Usage           = row[Kind2]("AZF-USAGE", "the command line is wrong: {problem}", "{program} --help", ExitUsage, false)
	CallInvalid     = row[Kind2]("AZF-CALL-INVALID", "{function} was called in a wrong way: {problem}", "see azfilesauth.h", ExitUsage, false)
	NotRoot         = row[Kind1]("AZF-NOT-ROOT", "{program} must run as root", "run it again as root, for example with sudo", ExitUsage, false)
	OptionInvalid   = row[Kind2]("AZF-OPTION-INVALID", "mount option {option}: {problem}", "correct the option in /etc/fstab or after -o", ExitUsage, false)
	OptionRefused   = row[Kind2]("AZF-OPTION-REFUSED", "mount option {option} is refused: {problem}", "remove {option} from /etc/fstab or from what follows -o", ExitUsage, false)
	SourceInvalid   = row[Kind2]("AZF-SOURCE-INVALID", "{source} is not an Azure Files share: {problem}", "write the source as //<account>.file.core.windows.net/<share>[/<directory>]", ExitUsage, false)
	HostUnknown     = row[Kind2]("AZF-HOST-UNKNOWN", "{host} is not an Azure Files endpoint: {problem}", "use <account>.file.core.windows.net, or name the host under endpoints: in /etc/azfilesauth/config.d/90-local.yaml", ExitUsage, false)
	TargetInvalid   = row[Kind2]("AZF-TARGET-INVALID", "the mount point {target} cannot be used", "ls -ld '{target}'; {repair}", ExitUsage, false)
	ConfigInvalid   = row[Kind2]("AZF-CONFIG-INVALID", "{file} is not valid: {problem}", "correct {file}", ExitUsage, false)
	ConfigUnsafe    = row[Kind2]("AZF-CONFIG-UNSAFE", "{file} can be changed by others than root: {problem}", "chown root:root {file} && chmod go-w {file}", ExitUsage, false)
	UIDUnknown      = row[Kind1]("AZF-UID-UNKNOWN", "there is no such user as {uid} for the credential cache", "set cruid=, --cruid, or USER_UID in /etc/azfilesauth/config.d/90-local.yaml to a uid that getent passwd lists", ExitUsage, false)
	IdentityInvalid = row[Kind2]("AZF-IDENTITY-INVALID", "the identity is not usable: {problem}", "{repair}; see azfilesauth.yaml(5) for the kinds and their keys", ExitUsage, false)

	CCacheType      = row[Kind2]("AZF-CCACHE-TYPE", "the credential cache {ccache} is of a type that cannot be used: {problem}", "set KRB5_CC_NAME in /etc/azfilesauth/config.d/90-local.yaml to a file, such as /run/azfilesauth/krb5cc_0", ExitUsage, false)
	CCacheFolder    = row[Kind1]("AZF-CCACHE-FOLDER", "the directory of the credential cache cannot be used: {problem}", "set KRB5_CC_NAME in /etc/azfilesauth/config.d/90-local.yaml to a file in a directory that only root can write to, such as /run/azfilesauth/krb5cc_0", ExitSystem, false)
	CCacheForeign   = row[Kind2]("AZF-CCACHE-FOREIGN", "the credential cache {ccache} cannot be trusted: {problem}", "mv '{ccache}' \"$(mktemp -d '{ccache}.foreign.XXXXXX')\" and find out who made it", ExitMount, false)
	CCachePrincipal = row[Kind2]("AZF-CCACHE-PRINCIPAL", "the credential cache {ccache} holds the tickets of another client: {problem}", "set KRB5_CC_NAME in /etc/azfilesauth/config.d/90-local.yaml to a file of its own, such as /run/azfilesauth/krb5cc_azfiles", ExitMount, false)
	CCacheDamaged   = row[Kind2]("AZF-CCACHE-DAMAGED", "the credential cache {ccache} is damaged: {problem}", "rm '{ccache}'", ExitMount, false)
	CCacheIO        = row[Kind1]("AZF-CCACHE-IO", "the credential cache {ccache} cannot be read or written", "df -h \"$(dirname '{ccache}')\"; ls -ld '{ccache}'", ExitSystem, true)
	CCacheFought    = row[Kind1]("AZF-CCACHE-FOUGHT", "another program removes the tickets from the credential cache {ccache} as soon as they are stored, so one is fetched each minute at most", "azfilesauth explain AZF-CCACHE-FOUGHT lists the usual programs; to find another one install auditd (Debian, Ubuntu) or audit (RHEL), then: auditctl -w '{ccache}' -p wa -k azfilesauth; after a minute: ausearch -i -k azfilesauth", ExitSystem, true)
	TicketUnknown   = row[Kind2]("AZF-TICKET-UNKNOWN", "there is no ticket for {host} in {ccache}", "azfilesauth list", ExitUsage, false)
	LockTimeout     = row[Kind1]("AZF-LOCK-TIMEOUT", "another process holds the lock {lock} for too long", "find /proc/[0-9]*/fd -lname '{lock}', which prints /proc/<process>/fd/<number> of each that has it open{longer}", ExitMount, true)

	IdentityConflict    = row[Kind3]("AZF-IDENTITY-CONFLICT", "{endpoint} is mounted with the identity {other}, and the kernel would run {identity} as the same session", "install this package on the machine that mounts, whose handler gives each mount its own identity unless upcall.mode is cifs; without it umount the share that uses {other}, or use another storage account, or another cruid= for one of them", ExitMount, false)
	IdentityUnnamed     = row[Kind3]("AZF-IDENTITY-UNNAMED", "{endpoint} is mounted with the identity {other}, and the user name of that mount does not tell it from {identity}", "mount the share that uses {other} with username=<its client id>, as a line of type azfiles does and the mountOptions of a volume in Kubernetes can, or umount it; or use another storage account, or another cruid= for one of them", ExitMount, false)
	IdentityNotAssigned = row[Kind5]("AZF-IDENTITY-NOT-ASSIGNED", "the identity {identity} is not assigned to this machine", "az {command} identity assign -g {resource-group} -n {vm} --identities {identities}", ExitMount, false)
	IdentitySeveral     = row[Kind3]("AZF-IDENTITY-SEVERAL", "this machine has several user-assigned identities and no system-assigned one, and none of them is configured", "add client_id=<id> to the mount line, or name it under default_identity: in /etc/azfilesauth/config.d/90-local.yaml; the ids: az {command} identity show -g {resource-group} -n {vm} --query \"userAssignedIdentities.*.clientId\"", ExitMount, false)
	IMDSUnreachable     = row[Kind0]("AZF-IMDS-UNREACHABLE", "the machine's identity service (IMDS) does not answer", "on an Azure VM let firewall and VPN pass 169.254.169.254 port 80, to check: ip route get 169.254.169.254; on an Azure Arc machine use identity=arc; in AKS use identity=workload; elsewhere, or without IPv4, use a service principal, see azfilesauth.yaml(5)", ExitMount, true)
	IMDSBusy            = row[Kind0]("AZF-IMDS-BUSY", "the machine's identity service (IMDS) is busy or failing", "try again in a minute; azfilesauth doctor asks it and shows the answer", ExitMount, true)
	IMDSRefused         = row[Kind4]("AZF-IMDS-REFUSED", "the machine's identity service (IMDS) gave no token for {identity}", "az {command} identity show -g {resource-group} -n {vm}", ExitMount, false)
	IMDSForeign         = row[Kind1]("AZF-IMDS-FOREIGN", "what answers at 169.254.169.254 is not the identity service of an Azure machine ({answer})", "azfilesauth doctor asks it again and shows the answer; outside of Azure name an identity of another kind, such as workload, service-principal or arc; in Kubernetes, where a network policy, a service mesh or pod identity can answer in its place, use a workload identity", ExitMount, true)
	ArcUnreachable      = row[Kind0]("AZF-ARC-UNREACHABLE", "the agent of Azure Arc (HIMDS) does not answer or is failing", "systemctl status himdsd; azcmagent show", ExitMount, true)
	ArcRefused          = row[Kind0]("AZF-ARC-REFUSED", "the agent of Azure Arc (HIMDS) gave no token", "azcmagent show; azcmagent check", ExitMount, false)
	ArcKey              = row[Kind2]("AZF-ARC-KEY", "the key file {file} of the agent of Azure Arc cannot be read: {problem}", "run it as root, or let the user read it: usermod -aG himds <user>", ExitMount, false)
	ArcSystemOnly       = row[Kind1]("AZF-ARC-SYSTEM-ONLY", "the agent of Azure Arc has only the system-assigned identity of the machine, and {identity} is user-assigned", "use the system-assigned identity: identity=system on a mount line, --system on a command line", ExitUsage, false)
	AuthorityUnknown    = row[Kind1]("AZF-AUTHORITY-UNKNOWN", "{authority} is not a known authority of Entra, so no credential is sent to it", "set authority_host= to https://login.microsoftonline.com, or for a private cloud name it as authority: of an entry under endpoints: in /etc/azfilesauth/config.d/90-local.yaml", ExitUsage, false)
	SecretFile          = row[Kind3]("AZF-SECRET-FILE", "the secret in {file} cannot be used: {problem}", "ls -l '{file}'; {repair}", ExitMount, false)
	EntraUnreachable    = row[Kind1]("AZF-ENTRA-UNREACHABLE", "the authority {host} of Entra cannot be reached", "timeout 5 bash -c '</dev/tcp/{host}/443' && echo reached; where a proxy is needed, set proxy: in /etc/azfilesauth/config.d/90-local.yaml", ExitMount, true)
	EntraBusy           = row[Kind1]("AZF-ENTRA-BUSY", "the authority {host} of Entra is busy or failing", "try again in a minute; if it stays, look at https://azure.status.microsoft", ExitMount, true)
	EntraTenant         = row[Kind2]("AZF-ENTRA-TENANT", "the authority {host} of Entra has no tenant {tenant}", "set tenant_id to what this prints: az account show --subscription <subscription of the account> --query tenantId -o tsv", ExitMount, false)
	EntraCloud          = row[Kind2]("AZF-ENTRA-CLOUD", "the tenant {tenant} is not in the cloud of {host}", "set authority_host= to the tenant's cloud: https://login.microsoftonline.com (public), https://login.microsoftonline.us (US Government), https://login.partner.microsoftonline.cn (China)", ExitMount, false)
	EntraApp            = row[Kind2]("AZF-ENTRA-APP", "the tenant {tenant} has no application {client}", "az ad sp show --id {client} --query appOwnerOrganizationId -o tsv; correct client_id or tenant_id", ExitMount, false)
	EntraDisabled       = row[Kind1]("AZF-ENTRA-DISABLED", "the application {client} is disabled", "az ad sp update --id {client} --set accountEnabled=true", ExitMount, false)
	EntraPublic         = row[Kind1]("AZF-ENTRA-PUBLIC", "the application {client} is a public client, which cannot log in with a credential", "az ad app update --id {client} --is-fallback-public-client false", ExitMount, false)
	EntraConsent        = row[Kind2]("AZF-ENTRA-CONSENT", "the tenant {tenant} has not allowed the application {client} to use Azure Storage", "az ad app permission admin-consent --id {client}; where the enterprise application Azure Storage requires assignment, assign the application to it in the Entra admin center", ExitMount, false)
	EntraPolicy         = row[Kind2]("AZF-ENTRA-POLICY", "a policy of the tenant {tenant} does not let the application {client} log in from here", "ask the tenant's administrator for the sign-in log of {client} (Entra admin center, Sign-in logs, Service principal sign-ins), and to exclude it from the policy or to add this network to the named locations", ExitMount, false)
	EntraBlocked        = row[Kind1]("AZF-ENTRA-BLOCKED", "the tenant {tenant} is deactivated or deleted", "the tenant's administrator has it reactivated by Microsoft's support, within 20 days of the block; if another tenant is meant, correct tenant_id", ExitMount, false)
	EntraRequest        = row[Kind2]("AZF-ENTRA-REQUEST", "the authority {host} of Entra does not accept the request for the identity {identity}", "azfilesauth config check; correct tenant_id, client_id, authority_host and resource of the identity", ExitMount, false)
	EntraSecret         = row[Kind2]("AZF-ENTRA-SECRET", "the secret in {file} is wrong or has expired", "az ad app credential reset --id {client} --append --query password -o tsv > '{file}'", ExitMount, false)
	EntraCertificate    = row[Kind2]("AZF-ENTRA-CERTIFICATE", "the certificate in {file} is not one of the application {client}, or it has expired", "openssl x509 -noout -dates -in '{file}' (package openssl); if the certificate has expired put a new one there; then: az ad app credential reset --id {client} --append --cert \"$(openssl x509 -in '{file}')\"", ExitMount, false)
	EntraAssertion      = row[Kind1]("AZF-ENTRA-ASSERTION", "the token in {file} is not accepted by Entra: it has expired or is not the right one", "ls -l --time-style=full-iso '{file}'; make sure that the file is rewritten before the token expires", ExitMount, true)
	EntraFederation     = row[Kind5]("AZF-ENTRA-FEDERATION", "the application {client} does not trust the token in {file}", "az identity federated-credential create --name <name> --identity-name <identity> -g <resource-group> --issuer {issuer} --subject {subject} --audiences {audience}", ExitMount, false)
	EntraResource       = row[Kind2]("AZF-ENTRA-RESOURCE", "the tenant {tenant} has no resource {resource}", "leave resource= out, or make Azure Storage known to the tenant: az ad sp create --id e406a681-f3d4-42a8-90b6-c2b029497af1", ExitMount, false)
	EntraRefused        = row[Kind2]("AZF-ENTRA-REFUSED", "the identity {identity} got no token from Entra", "look the code up: https://login.microsoftonline.com/error?code={code}", ExitMount, false)
	CLIFailed           = row[Kind1]("AZF-CLI-FAILED", "the Azure CLI gave no token for the user {user}", "su - {user} -c 'az login'; su - {user} -c 'az account get-access-token --resource https://storage.azure.com --query expiresOn'", ExitMount, false)
	CLINotHere          = row[Kind1]("AZF-CLI-NOT-HERE", "a login of the kernel never runs the Azure CLI, and the ticket of the user {user} has expired", "systemctl start azfilesrefresh, which refreshes it; azfilesauth refresh", ExitMount, true)
	TokenFile           = row[Kind3]("AZF-TOKEN-FILE", "the token file {file} cannot be used: {problem}", "ls -l '{file}'; {repair}", ExitMount, false)
	TokenInvalid        = row[Kind2]("AZF-TOKEN-INVALID", "what {from} gave is not an access token: {problem}", "az account get-access-token --resource https://storage.azure.com --query accessToken -o tsv", ExitMount, false)
	TokenExpired        = row[Kind2]("AZF-TOKEN-EXPIRED", "the access token from {from} expired {ago} ago", "az account get-access-token --resource https://storage.azure.com --query accessToken -o tsv", ExitMount, false)
	TokenAudience       = row[Kind3]("AZF-TOKEN-AUDIENCE", "the access token from {from} is for {audience}, not for {resource}", "leave resource= out; for a token of your own: az account get-access-token --resource {resource} --query accessToken -o tsv", ExitMount, false)

	DNSFailed       = row[Kind1]("AZF-DNS-FAILED", "the name {host} cannot be resolved", "getent hosts {host}; with a private endpoint, link the zone privatelink.{domain} to this network; a deleted account has no name: az storage account list --query \"[].primaryEndpoints.file\"", ExitMount, true)
	ProxyFailed     = row[Kind2]("AZF-PROXY-FAILED", "the proxy does not connect this machine with {host}; it is set by {source}", "write the right proxy: into /etc/azfilesauth/config.d/90-local.yaml; if this machine reaches {host} without the proxy, as with a private endpoint, name it under no_proxy: there", ExitMount, true)
	EndpointDown    = row[Kind1]("AZF-ENDPOINT-DOWN", "{host} does not accept connections on port 443", "azfilesauth doctor {host} shows its addresses and how far a connection gets; let port 443 of it pass the firewalls of this network, or set proxy: in /etc/azfilesauth/config.d/90-local.yaml", ExitMount, true)
	IPv6Only        = row[Kind1]("AZF-IPV6-ONLY", "{host} has only IPv4 addresses, and this machine has only IPv6", "mount the share by the account's name for IPv6, //<account>-ipv6.{domain}/<share>; that the account has one: az storage account list --query \"[].primaryEndpoints.ipv6Endpoints.file\"", ExitMount, true)
	EndpointTimeout = row[Kind1]("AZF-ENDPOINT-TIMEOUT", "{host} did not answer in time", "azfilesauth doctor {host} shows its addresses and how far a connection gets{longer}", ExitMount, true)
	TLSUntrusted    = row[Kind1]("AZF-TLS-UNTRUSTED", "the certificate of {host} is not trusted", "install the package ca-certificates; if a TLS inspection of this network signs for {host}, add its root to this machine's, then: update-ca-certificates (Debian, Ubuntu, SLES) or update-ca-trust (RHEL, Azure Linux)", ExitMount, false)
	TLSVersion      = row[Kind1]("AZF-TLS-VERSION", "this machine and {host} have no version of TLS and no cipher in common", "Azure offers TLS 1.2 and 1.3, which this program speaks: have the proxy or TLS inspection of this network offer them, or let {host} pass; openssl s_client -connect {host}:443 -servername {host} </dev/null (package openssl) shows what is offered", ExitMount, false)
	TokenRefused    = row[Kind1]("AZF-TOKEN-REFUSED", "{host} refused the access token", "azfilesauth refresh {host}, which asks for a new token; it must be one of Entra for the audience https://storage.azure.com (no trailing slash) and of the tenant of the account; timedatectl", ExitMount, false)
	TokenTenant     = row[Kind4]("AZF-TOKEN-TENANT", "{host} takes tokens of the tenant {tenant}, and this one is of the tenant {other}", "for an application set tenant_id={tenant} and authority_host={authority}; a managed identity is of its subscription's tenant: use an identity of the tenant {tenant}", ExitMount, false)
	ClockSkew       = row[Kind3]("AZF-CLOCK-SKEW", "this machine's clock is {skew} {direction} {host}", "timedatectl set-ntp true; where chrony keeps the time: chronyc makestep (package chrony)", ExitMount, false)
	RoleMissing     = row[Kind3]("AZF-ROLE-MISSING", "the identity {identity} has no role on {account} that allows SMB", "az role assignment create --assignee {principal} --role \"Storage File Data SMB MI Admin\" --scope $(az storage account show -n {account} --query id -o tsv); an assignment takes up to ten minutes; azfilesauth doctor {account} shows the object id", ExitMount, false)
	NetworkRules    = row[Kind2]("AZF-NETWORK-RULES", "the network rules of {account} do not let this machine in", "az storage account show -n {account} --query \"[publicNetworkAccess, networkRuleSet]\"; az storage account network-rule add --account-name {account} --subnet <subnet-id>, or use the account's private endpoint; where the rules allow this machine the role is missing: az role assignment create --assignee {principal} --role \"Storage File Data SMB MI Admin\" --scope $(az storage account show -n {account} --query id -o tsv); an assignment takes up to ten minutes; azfilesauth doctor {account} shows the object id", ExitMount, false)
	SMBOAuthOff     = row[Kind1]("AZF-SMBOAUTH-OFF", "SMB with OAuth is switched off on {account}", "az storage account update -n {account} -g <resource-group> --enable-smb-oauth true", ExitMount, false)
	AccountNotFound = row[Kind2]("AZF-ACCOUNT-NOT-FOUND", "there is no storage account {account} at {host}", "az storage account show -n {account} --query primaryEndpoints.file", ExitMount, false)
	AccountDisabled = row[Kind1]("AZF-ACCOUNT-DISABLED", "the storage account {account} is disabled", "az account show --query state, which must be Enabled for the subscription of the account; az storage account show -n {account} --query \"[provisioningState, statusOfPrimary]\"", ExitMount, false)
	AccountChanging = row[Kind1]("AZF-ACCOUNT-CHANGING", "the storage account {account} does not serve this at the moment: it is being created, failed over, migrated or locked", "az storage account show -n {account} --query \"[provisioningState, failoverInProgress, statusOfPrimary]\"; try again when that is over", ExitMount, true)
	AzureBusy       = row[Kind1]("AZF-AZURE-BUSY", "{host} is busy or failing", "try again in a minute; if it stays, look at https://azure.status.microsoft", ExitMount, true)
	Unsupported     = row[Kind2]("AZF-AZURE-UNSUPPORTED", "{host} does not know the request for a Kerberos ticket", "az storage account show -n {account} --query \"[kind, sku.name, primaryEndpoints.file]\"; SMB with OAuth is not offered in every cloud and for every kind of account: use another account, or send the code and the request id to Azure support", ExitMount, false)
	AzureRefused    = row[Kind1]("AZF-AZURE-REFUSED", "{host} refused to issue a ticket", "send the code and the request id to Azure support", ExitMount, false)
	AnswerInvalid   = row[Kind2]("AZF-ANSWER-INVALID", "the answer of {host} cannot be understood: {problem}", "look for a proxy or firewall between this machine and Azure: azfilesauth doctor {host} shows what answers", ExitMount, true)
	NotAzure        = row[Kind2]("AZF-NOT-AZURE", "something between this machine and {host} answered in its place ({answer})", "azfilesauth doctor {host} shows who answers; let proxy, firewall and TLS inspection of this network pass {host}, or name it under no_proxy: in /etc/azfilesauth/config.d/90-local.yaml", ExitMount, true)
	TicketNone      = row[Kind1]("AZF-TICKET-NONE", "the answer of {host} holds no ticket", "try again; if it stays, send the request id to Azure support", ExitMount, true)
	TicketServer    = row[Kind2]("AZF-TICKET-SERVER", "{host} issued a ticket for {server}", "mount the account by its own name; to use another name, add it under endpoints: in /etc/azfilesauth/config.d/90-local.yaml", ExitMount, false)
	TicketExpired   = row[Kind2]("AZF-TICKET-EXPIRED", "{host} issued a ticket that expired at {end}", "azfilesauth doctor {host} compares the clocks; timedatectl set-ntp true", ExitMount, true)
	TicketNotYet    = row[Kind2]("AZF-TICKET-NOT-YET-VALID", "{host} issued a ticket that starts at {start}", "azfilesauth doctor {host} compares the clocks; timedatectl set-ntp true", ExitMount, true)
	TicketEtype     = row[Kind3]("AZF-TICKET-ETYPE", "{host} issued a ticket with the encryption type {etype}, which this machine does not use", "az storage account file-service-properties update -n {account} -g <resource-group> --kerb-ticket-encryption AES-256", ExitMount, false)
	TicketDamaged   = row[Kind2]("AZF-TICKET-DAMAGED", "the stored ticket for {host} is damaged: {problem}", "azfilesauth refresh {host}", ExitMount, false)
	TicketTooLarge  = row[Kind1]("AZF-TICKET-TOO-LARGE", "the ticket for {host} is too large for a login by SMB", "use an identity that is a member of fewer groups: the ticket names them all", ExitMount, false)
	Mechanism       = row[Kind1]("AZF-MECHANISM", "the server asks for a login with {sec}, and tickets work only with krb5 and mskrb5", "check that the name resolves to Azure Files: getent hosts <account>.file.core.windows.net", ExitMount, false)

	MountCIFSMissing = row[Kind0]("AZF-MOUNT-CIFS-MISSING", "mount.cifs is not installed", "apt-get install cifs-utils (Debian, Ubuntu); dnf install cifs-utils (RHEL); zypper install cifs-utils (SLES); tdnf install cifs-utils (Azure Linux)", ExitSystem, false)
	MountFailed      = row[Kind1]("AZF-MOUNT-FAILED", "mount.cifs failed with {errno}", "dmesg | tail", ExitMount, false)
	ServerRefused    = row[Kind1]("AZF-SERVER-REFUSED", "the server refused the Kerberos ticket, or the identity may not use this share", "check in this order: the role \"Storage File Data SMB MI Admin\" on {account}, for the object id that azfilesauth doctor {account} shows (a new assignment takes up to ten minutes); az storage account show -n {account} --query azureFilesIdentityBasedAuthentication; the clock (timedatectl)", ExitMount, false)
	UpcallFailed     = row[Kind2]("AZF-UPCALL-FAILED", "the kernel asked for the Kerberos ticket and got no answer ({errno})", "azfilesauth doctor; journalctl -b -t azfiles.upcall -t cifs.upcall -t request-key; azfilesauth list; ls -l {ccache}", ExitMount, true)
	ShareNotFound    = row[Kind3]("AZF-SHARE-NOT-FOUND", "there is no share or directory {share} on {host}", "az storage share-rm list --storage-account {account} --query [].name; if it is in that list: dmesg | tail, where \"allocate\" means that the kernel lacks a module of its ciphers", ExitMount, false)
	CIFSModule       = row[Kind0]("AZF-CIFS-MODULE", "the kernel has no SMB client (module cifs)", "modprobe cifs; where that does nothing: grep -rw cifs /etc/modprobe.d; on Ubuntu: apt-get install linux-modules-extra-$(uname -r)", ExitMount, false)
	MountOption      = row[Kind1]("AZF-MOUNT-OPTION", "the kernel does not accept the mount options {options}", "dmesg | tail names the option; remove it from /etc/fstab", ExitMount, false)
	SMBUnreachable   = row[Kind2]("AZF-SMB-UNREACHABLE", "{host} does not answer on port 445 ({errno})", "let port 445 of {host} pass the firewalls of this network, many of which block it, or use a private endpoint or a VPN; azfilesauth doctor {host} tries it from here", ExitMount, true)
	SMBProtocol      = row[Kind2]("AZF-SMB-PROTOCOL", "the server and the kernel do not agree on the login or the protocol ({errno})", "dmesg | tail; az storage account file-service-properties show -n {account} --query protocolSettings.smb", ExitMount, false)
	TargetBusy       = row[Kind1]("AZF-TARGET-BUSY", "something is already mounted on {target}, or it is in use", "findmnt '{target}'; find /proc/[0-9]*/cwd /proc/[0-9]*/fd -lname '{target}*' prints the processes that use it", ExitMount, false)
	Capability       = row[Kind0]("AZF-CAPABILITY", "mount.cifs may not mount here: this process lacks a capability", "docker run --cap-add SYS_ADMIN --cap-add DAC_READ_SEARCH; in Kubernetes privileged: true under securityContext:", ExitMount, false)
	MountDenied      = row[Kind2]("AZF-MOUNT-DENIED", "the container that this runs in may not mount ({errno})", "docker run --security-opt apparmor=unconfined --security-opt label=disable --cap-add SYS_ADMIN --cap-add DAC_READ_SEARCH, not rootless; if it stays: azfilesauth doctor {account} tries the role", ExitMount, false)
	Charset          = row[Kind1]("AZF-CHARSET", "the kernel has no module for the character set of iocharset={charset}", "leave iocharset= out; modprobe nls_{charset}; on Ubuntu: apt-get install linux-modules-extra-$(uname -r)", ExitMount, false)

	OutputFailed    = row[Kind0]("AZF-OUTPUT-FAILED", "the result cannot be written to stdout", "df -h; check where the output goes", ExitSystem, true)
	RecordUntrusted = row[Kind2]("AZF-RECORD-UNTRUSTED", "only the credential cache {ccache} names the identity for {host}, and its owner could have forged it", "name it under endpoints: or default_identity: in /etc/azfilesauth/config.d/90-local.yaml", ExitMount, false)
	IdentityUnknown = row[Kind1]("AZF-IDENTITY-UNKNOWN", "no ticket, no mount and no file of the configuration names an identity for {host}", "name it under endpoints: or default_identity: in /etc/azfilesauth/config.d/90-local.yaml, or run azfilesauth set {host}", ExitMount, false)
	UpcallRequest   = row[Kind1]("AZF-UPCALL-REQUEST", "the kernel's request for a login cannot be served: {problem}", "mount with a username= without semicolons; with an old kernel, update it: any local user can forge such a request (CVE-2026-46243)", ExitMount, false)
	UpcallKey       = row[Kind2]("AZF-UPCALL-KEY", "key {key} cannot be answered: {problem}", "do not run azfiles.upcall by hand: the kernel runs it by the rule in /etc/request-key.d/azfiles.conf", ExitUsage, false)
	UpcallForeign   = row[Kind2]("AZF-UPCALL-FOREIGN", "{host} is not an Azure Files endpoint, and no other rule answers for it: {problem}", "install cifs-utils, which serves other servers; for another name of an account, add it under endpoints: in /etc/azfilesauth/config.d/90-local.yaml", ExitMount, false)
	UpcallChannel   = row[Kind1]("AZF-UPCALL-CHANNEL", "the kernel asks for a further channel without naming the server, and {problem}", "leave it at fewer channels, or update the kernel to 6.12 or later; to log in again: mount -o remount", ExitMount, true)
	UpcallDeadline  = row[Kind2]("AZF-UPCALL-DEADLINE", "the login at {host} was not ready within {deadline}", "set deadline: 10s under upcall: in /etc/azfilesauth/config.d/90-local.yaml; azfilesauth doctor {host} shows what is slow", ExitMount, true)
	UpcallHelper    = row[Kind2]("AZF-UPCALL-HELPER", "{program} gave no login for {host}", "set mode: native under upcall: in /etc/azfilesauth/config.d/90-local.yaml; journalctl -b -t cifs.upcall", ExitMount, true)

	SetupFailed   = row[Kind1]("AZF-SETUP-FAILED", "the setup stopped at {path}", "fix that; azfilesauth setup --dry-run then shows what is left to do, azfilesauth setup --undo reverts what was done", ExitSystem, false)
	SetupChanged  = row[Kind1]("AZF-SETUP-CHANGED", "what the setup made was changed since and stays as it is: {paths}", "remove by hand what the setup put there, then run azfilesauth setup --undo again", ExitSystem, false)
	SetupInclude  = row[Kind2]("AZF-SETUP-INCLUDE", "{file} does not read the directory {directory}", "put the line 'includedir {directory}' at the top of {file}, then run it again", ExitUsage, false)
	SetupProgram  = row[Kind1]("AZF-SETUP-PROGRAM", "{program} is not installed", "install the package of azfilesauth, or put the binary at /usr/bin/azfilesauth and run azfilesauth setup", ExitSystem, false)
	SetupTool     = row[Kind2]("AZF-SETUP-TOOL", "{tool}, which creates the user {user}, is not installed", "useradd --system --user-group --no-create-home --shell /usr/sbin/nologin {user}; or echo 'USER_UID: 0' >> /etc/azfilesauth/config.d/90-local.yaml; then run azfilesauth setup again", ExitSystem, false)
	NodePrograms  = row[Kind2]("AZF-NODE-PROGRAMS", "the node has no {programs}, which mounts need", "install on the node, by its image or cloud-init: {packages}; the pod then becomes ready automatically", ExitSystem, true)
	ServiceFailed = row[Kind1]("AZF-SERVICE-FAILED", "{unit} does not start", "journalctl -b -u {unit}", ExitSystem, true)
	BundleFailed  = row[Kind1]("AZF-BUNDLE-FAILED", "the bundle {file} cannot be written", "give another place with -o FILE; df -h", ExitSystem, false)

	OpenFiles   = row[Kind0]("AZF-OPEN-FILES", "no more files can be opened", "ulimit -n 1024; cat /proc/sys/fs/file-nr; for the daemon: systemctl restart azfilesrefresh", ExitSystem, true)
	OutOfMemory = row[Kind0]("AZF-OUT-OF-MEMORY", "the machine, or the control group, has no memory left", "free -m; systemctl show -p MemoryMax,MemoryCurrent azfilesrefresh", ExitSystem, true)
	FileLimit   = row[Kind0]("AZF-FILE-LIMIT", "a file may not grow any further, by the limit of the process (RLIMIT_FSIZE)", "ulimit -f unlimited; for the daemon, systemctl edit azfilesrefresh and add LimitFSIZE=infinity under [Service]", ExitSystem, true)
	Inotify     = row[Kind1]("AZF-INOTIFY", "changes of {path} are noticed late, because the user has no inotify instance or watch left", "sysctl fs.inotify.max_user_instances=1024 fs.inotify.max_user_watches=524288", ExitSystem, true)
	RunDir      = row[Kind1]("AZF-RUN-DIRECTORY", "the directory {dir} cannot be written", "findmnt -T '{dir}'; df -h '{dir}'; mount -o remount,rw /run", ExitSystem, true)

	MountTable = row[Kind1]("AZF-MOUNT-TABLE", "the table of mounts {file} cannot be read", "mount -t proc proc /proc; ls -l {file}", ExitSystem, false)

	Timeout     = row[Kind0]("AZF-TIMEOUT", "it took too long", "try again{longer}", ExitMount, true)
	Interrupted = row[Kind0]("AZF-INTERRUPTED", "it was interrupted", "run it again", ExitInterrupted, true)
	Internal    = row[Kind0]("AZF-INTERNAL", "an unexpected error occurred", "please report it, with this line, at https://github.com/azfilesauth/azfilesauth/issues", ExitInternal, false)
)

// table is filled by the rows above.
var table []*Kind

// Table is every Kind, in the order in which a mount meets them. It is not to be changed.
func Table() []*Kind { return table }

// Lookup gives the Kind named id.
func Lookup(id ID) (*Kind, bool) {
	for _, k := range table {
		if k.ID == id {
			return k, true
		}
	}
	return nil, false
}
