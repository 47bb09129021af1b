package fault

// networkDetails are of failures on the way to the storage account, and of its answers.
var networkDetails = []Detail{
	{"AZF-DNS-FAILED", []Cause{
		{"a typing mistake in the account's name, or the account was deleted", "az storage account list --query \"[].name\" does not have it"},
		{"the private DNS zone is not linked to this network, or the network has name servers of its own", "getent hosts works on another machine or network"},
		{"no name server answers", "getent hosts login.microsoftonline.com fails, too; cat /etc/resolv.conf"},
		{"the network is not up yet, at boot", "the same command works a minute later; the line has _netdev"},
	}, ""},
	{"AZF-PROXY-FAILED", []Cause{
		{"the proxy does not allow this host", "status 403 in the cause: have it allowed"},
		{"the proxy asks for a login", "status 407 in the cause: proxy: http://user:password@host:port"},
		{"the proxy is not reached, or its name has changed", "getent hosts of the proxy's name"},
		{"the account is reached by a private endpoint that the proxy does not know", "getent hosts <host> prints a private address: name it under no_proxy:"},
	}, "proxy: http://proxy.example:3128\nno_proxy: [.file.core.windows.net]"},
	{"AZF-ENDPOINT-DOWN", []Cause{
		{"a firewall refuses connections to port 443, or ends them when it has read the host's name in the handshake of TLS", "azfilesauth doctor <host> says how the connection ended; other hosts can be reached"},
		{"the name leads to a private endpoint that is gone or not approved", "getent hosts <host> prints a private address"},
		{"no route to the internet", "ip route shows no default"},
		{"a proxy is needed", "a browser of this network uses one: set proxy:"},
	}, ""},
	{"AZF-IPV6-ONLY", []Cause{
		{"the account has no endpoint for IPv6", "the command under fix prints null"},
		{"the machine lost its IPv4 address", "ip -4 addr"},
	}, ""},
	{"AZF-ENDPOINT-TIMEOUT", []Cause{
		{"a firewall drops the packets without an answer", "azfilesauth doctor <host> ends at https with the same failure, each time"},
		{"the private endpoint is in a network that this one does not reach", "getent hosts <host> prints a private address; ip route get of it"},
		{"the connection is slow or loses packets", "it works sometimes; a longer bound helps"},
		{"packets are too large for a tunnel (MTU)", "small answers arrive, and the handshake of TLS does not end"},
	}, ""},
	{"AZF-TLS-UNTRUSTED", []Cause{
		{"a proxy or firewall inspects TLS with a certificate of its own", "the cause names an issuer other than Microsoft or DigiCert: add its root to this machine's store"},
		{"the list of root certificates is missing or old", "ls /etc/ssl/certs: install the package ca-certificates"},
		{"the name is a CNAME of your own, for which the certificate is not", "the cause names the hosts that it is for: add it under endpoints:"},
		{"the clock is wrong by years", "timedatectl"},
	}, "cp root.crt /usr/local/share/ca-certificates/ && update-ca-certificates   # Debian, Ubuntu\ncp root.crt /etc/pki/ca-trust/source/anchors/ && update-ca-trust         # RHEL, Azure Linux\ncp root.crt /etc/pki/trust/anchors/ && update-ca-certificates            # SLES"},
	{"AZF-TLS-VERSION", []Cause{
		{"a TLS inspection in between offers old versions", "azfilesauth doctor <host> from another network works"},
		{"FIPS mode or a policy of this machine and the other side have nothing in common", "cat /proc/sys/crypto/fips_enabled prints 1"},
	}, ""},
	{"AZF-TOKEN-REFUSED", []Cause{
		{"the token is for another audience or tenant", "azfilesauth doctor <host>, check identity, shows audience and tenant"},
		{"the clock of this machine is wrong, so that the token seems not to be valid yet", "azfilesauth doctor <host>, check clock"},
		{"the identity was deleted and made again: the token is that of the old one", "azfilesauth clear --tokens, then mount again"},
		{"the account accepts no tokens of this kind", "the code in the cause"},
	}, ""},
	{"AZF-TOKEN-TENANT", []Cause{
		{"the storage account is in the subscription of another tenant than the identity", "az account show --subscription <subscription of the account> --query tenantId"},
		{"the subscription was moved to another tenant", "both tenants in the line are yours"},
	}, ""},
	{"AZF-CLOCK-SKEW", []Cause{
		{"no time service runs", "timedatectl: System clock synchronized is no"},
		{"the machine slept or was restored from a snapshot", "the difference is as long as that"},
		{"NTP is blocked by a firewall", "the service runs, and timedatectl is not synchronized; on Azure use /dev/ptp_hyperv"},
	}, ""},
	{"AZF-ROLE-MISSING", []Cause{
		{"the role was never assigned to this identity", "az role assignment list --assignee <principal> --all prints nothing for the account"},
		{"it was assigned less than ten minutes ago", "it is listed: wait, then: azfilesauth refresh <account>"},
		{"it was assigned to another identity: the client id is not the object id, and a machine can have several", "azfilesauth doctor <account>, check identity, shows the object id that logs in"},
		{"another role was assigned, such as Contributor or Reader, which do not allow SMB", "the list shows a role other than Storage File Data SMB MI Admin or one of the Storage File Data SMB roles"},
		{"it was assigned at another account, share or resource group", "the scope in the list"},
	}, "az role assignment create --assignee 11111111-2222-3333-4444-555555555555 \\\n  --role \"Storage File Data SMB MI Admin\" --scope $(az storage account show -n acct --query id -o tsv)"},
	{"AZF-NETWORK-RULES", []Cause{
		{"the account allows selected networks only, and this machine's is not one", "az storage account show -n <account> --query networkRuleSet.defaultAction prints Deny"},
		{"public network access is disabled, and the machine does not use the private endpoint", "publicNetworkAccess is Disabled, and getent hosts of the account prints a public address"},
		{"the subnet has no service endpoint for storage", "az network vnet subnet show --query serviceEndpoints"},
		{"the role is missing: Azure sometimes answers with the same code", "the network is allowed; see AZF-ROLE-MISSING"},
	}, ""},
	{"AZF-SMBOAUTH-OFF", []Cause{
		{"the setting was never switched on: it is off for new accounts", "az storage account show -n <account> --query azureFilesIdentityBasedAuthentication"},
		{"a deployment (Bicep, Terraform) switched it off again", "the activity log of the account"},
		{"it was switched on a moment ago", "try again in some minutes"},
	}, ""},
	{"AZF-ACCOUNT-NOT-FOUND", []Cause{
		{"a typing mistake in the account's name", "az storage account list --query \"[].name\""},
		{"the account was deleted or renamed", "az storage account show does not find it"},
		{"the account is in another cloud, so its host has another domain", "primaryEndpoints.file of the account"},
	}, ""},
	{"AZF-ACCOUNT-DISABLED", []Cause{
		{"the subscription is disabled, for its bill or its end", "az account show --query state is not Enabled"},
		{"an administrator disabled the account", "the activity log of the account"},
	}, ""},
	{"AZF-ACCOUNT-CHANGING", []Cause{
		{"a failover or a migration of the redundancy is under way", "failoverInProgress is true"},
		{"the account is being created", "provisioningState is not Succeeded"},
		{"a lock on the resource makes it read-only", "az lock list -g <resource-group>"},
	}, ""},
	{"AZF-AZURE-BUSY", []Cause{
		{"the account is throttled", "status 503 or 429 with ServerBusy in the cause; the metrics of the account"},
		{"a proxy or a firewall closes the connection", "the connection was reset, each time, or ended (EOF)"},
		{"an incident", "https://azure.status.microsoft"},
	}, ""},
	{"AZF-AZURE-UNSUPPORTED", []Cause{
		{"the account's kind has no Azure Files, such as BlobStorage", "kind in the answer of the fix"},
		{"the cloud does not offer SMB with OAuth yet", "the account is in a sovereign or private cloud"},
		{"a gateway in between changes the request", "azfilesauth doctor <host> from another network"},
	}, ""},
	{"AZF-AZURE-REFUSED", []Cause{
		{"a reason that this version does not know", "the code and the message are in the cause; azfilesauth bundle collects them for support"},
		{"a policy of the account or of the tenant", "compare with an account on which it works"},
	}, ""},
	{"AZF-ANSWER-INVALID", []Cause{
		{"a proxy or a portal of the network answers with a page", "the cause shows HTML"},
		{"the answer was cut off", "it works the next time"},
		{"the address is not that of a storage account", "getent hosts <host>"},
	}, ""},
	{"AZF-NOT-AZURE", []Cause{
		{"a proxy or firewall answers with a page of its own", "the line shows status and server; azfilesauth doctor <host> shows the same"},
		{"a portal wants a login to the network first", "other hosts answer the same"},
		{"a private DNS zone or /etc/hosts leads the name to another server", "getent hosts <host>; grep <host> /etc/hosts"},
	}, "no_proxy: [acct.file.core.windows.net]"},
	{"AZF-TICKET-NONE", []Cause{
		{"an incident of Azure Files", "it works the next time, or with another account"},
		{"a gateway in between shortened the answer", "azfilesauth doctor <host> from another network"},
	}, ""},
	{"AZF-TICKET-SERVER", []Cause{
		{"the share is mounted by a name of your own that leads to the account", "the line names the account's own name"},
		{"a private DNS zone leads the name to another account", "getent hosts <host> prints the address of the other one"},
	}, "endpoints:\n  files.example.internal: {canonical: acct.file.core.windows.net}"},
	{"AZF-TICKET-EXPIRED", []Cause{
		{"the clock of this machine is ahead", "azfilesauth doctor <host>, check clock"},
		{"a proxy answers from its cache", "the time in the line is the same each time"},
	}, ""},
	{"AZF-TICKET-NOT-YET-VALID", []Cause{
		{"the clock of this machine is behind", "azfilesauth doctor <host>, check clock"},
		{"the machine was restored from a snapshot", "timedatectl"},
	}, ""},
	{"AZF-TICKET-ETYPE", []Cause{
		{"the account is set to RC4 tickets", "az storage account file-service-properties show -n <account> -g <resource-group> --query protocolSettings.smb.kerberosTicketEncryption"},
		{"this machine is in FIPS mode, which forbids RC4", "cat /proc/sys/crypto/fips_enabled prints 1"},
	}, ""},
	{"AZF-TICKET-DAMAGED", []Cause{
		{"another program changed the credential cache", "ls -l of the cache: a time at which nothing of azfilesauth ran"},
		{"the file system lost data", "dmesg | tail"},
	}, ""},
	{"AZF-TICKET-TOO-LARGE", []Cause{
		{"the identity is a member of hundreds of groups, which the ticket lists", "az ad group member list, or: az rest --method get --url https://graph.microsoft.com/v1.0/servicePrincipals/<principal>/transitiveMemberOf"},
	}, ""},
}
