package doctor

import "slices"

// All gives every check in the order of the chain.
func All() []Check { return slices.Clone(table) }

// table has a row for each check, in the order of the chain. A check's prerequisites stand before it.
var table = []Check{
	{
		ID: "config", Group: Configuration, Title: "config.yaml", Severity: Fails, Offline: true, Run: checkConfig,
		Proves: "The configuration can be read, only root can change it, and every key in it is known and has a value of the right type.",
		Why:    "mount.azfiles and azfiles.upcall refuse a configuration with a wrong value, and ignore unknown keys.",
	},
	{
		ID: "user-uid", Group: Configuration, Title: "credential uid", Severity: Fails, Offline: true, Needs: []ID{"config"}, Run: checkUserUID,
		Proves: "USER_UID, and each cruid= in fstab, is in /etc/passwd.",
		Why:    "mount.azfiles refuses a credential uid that getent passwd does not list, since cifs.upcall 7.8 does and the kernel maps unknown uids to nobody.",
	},
	{
		ID: "state-folders", Group: Configuration, Title: "directories", Severity: Fails, Offline: true, Run: checkStateFolders,
		Proves: "Only root can write to the directories of azfilesauth, and no symbolic link points out of them.",
		Why:    "Anyone who can write to them can put their own tickets, records and configuration there.",
	},
	{
		ID: "fstab", Group: Configuration, Title: "lines of /etc/fstab", Severity: Fails, Offline: true, Run: checkFstab, Former: []ID{"fstab-cifs"},
		Proves: "The lines of type azfiles can be mounted, also at boot, and no line of type cifs mounts a share of Azure Files.",
		Why:    "mount.azfiles refuses what cannot work, and a mount that does not wait for the network fails at boot. With the type azfiles, the mount fetches its own ticket.",
	},
	{
		ID: "host-form", Group: Configuration, Title: "host names of the sources", Severity: Latent, Offline: true, Run: checkHostForm,
		Proves: "Shares are mounted by the account's own name, in lower case.",
		Why:    "Tickets are issued for that name; with another name, cifs.upcall, klist and other tools look for a ticket that does not exist.",
	},
	{
		ID: "identity-choice", Group: Identity, Title: "who logs in", Severity: Fails, Offline: true, PerEndpoint: true, Run: checkIdentityChoice,
		Proves: "Every use of the endpoint has an identity to log in with, in a valid form.",
		Why:    "Without an identity there is no access token, and therefore no ticket.",
	},
	{
		ID: "identity-collisions", Group: Identity, Title: "identities of one account", Severity: Fails, Offline: true, PerEndpoint: true, Run: checkIdentityCollisions,
		Proves: "Uses of the endpoint under the same credential uid that have different identities are separated, and none would be refused.",
		Why:    "Where azfiles.upcall answers the kernel, each mount logs in as its own identity, by its user name. Where cifs.upcall answers, or no user name tells two mounts apart, the second would run as the first and, after a reconnect, the first as the second: its mount is refused.",
	},
	{
		ID: "imds", Group: Identity, Title: "machine's identity service (IMDS)", Severity: Fails, PerEndpoint: true, Alone: true, Needs: []ID{"identity-choice"}, Run: checkIMDS,
		Proves: "The identity service of the machine answers, and no proxy is in front of it.",
		Why:    "It gives the tokens of managed identities to this machine only; a proxy would see them, and would get those of another machine.",
	},
	{
		ID: "identity", Group: Identity, Title: "access token", Severity: Fails, PerEndpoint: true, Alone: true, Needs: []ID{"identity-choice", "imds"}, Timeout: azureTimeout, Run: checkIdentity, Former: []ID{"identity-system"},
		Proves: "The identity obtains an access token for Azure Storage; identity=system that of the machine's own identity.",
		Why:    "The storage account issues tickets only for an access token. On a machine with one user-assigned identity and no system-assigned one, identity=system means that one; as soon as another identity is assigned, the login uses a different identity or fails.",
	},
	{
		ID: "dns", Group: Network, Title: "name resolution", Severity: Fails, PerEndpoint: true, Run: checkDNS,
		Proves: "The names of the endpoint resolve to addresses.",
		Why:    "The ticket is fetched from the account's own name and the share is mounted by the name in the source; the kernel resolves that name again at every reconnect.",
	},
	{
		ID: "https", Group: Network, Title: "port 443 and certificate", Severity: Fails, PerEndpoint: true, Needs: []ID{"dns"}, Timeout: azureTimeout, Run: checkHTTPS,
		Proves: "The storage account answers over HTTPS with a certificate that this machine trusts.",
		Why:    "The access token is exchanged for the ticket there, and is sent only to a server that proves its name.",
	},
	{
		ID: "clock", Group: Network, Title: "clock", Severity: Fails, PerEndpoint: true, Needs: []ID{"https"}, Timeout: azureTimeout, Run: checkClock,
		Proves: "The clock of this machine agrees with that of the storage account.",
		Why:    "Kerberos and Entra refuse a clock that is more than five minutes off.",
	},
	{
		ID: "port-445", Group: Network, Title: "port 445", Severity: Fails, PerEndpoint: true, Needs: []ID{"dns"}, Run: checkPort445,
		Proves: "The storage account accepts connections on the port of SMB.",
		Why:    "The share is mounted over this port; many networks block it towards the internet.",
	},
	{
		ID: "exchange", Group: Exchange, Title: "ticket for the access token", Severity: Fails, PerEndpoint: true, Needs: []ID{"identity", "https", "clock"}, Timeout: azureTimeout, Run: checkExchange,
		Proves: "The storage account issues a ticket to the identity; the ticket is discarded.",
		Why:    "This tests the role of the identity, the settings of the account and its network rules.",
	},
	{
		ID: "ccache-file", Group: Cache, Title: "credential cache", Severity: Fails, Offline: true, Run: eachCache((*Subject).examineFile), Former: []ID{"ccache-content"},
		Proves: "The credential cache is a file that only root or the credential uid can write, in directories that belong to root; it can be read completely and contains only tickets of Azure Files.",
		Why:    "A cache that other users can write could contain forged tickets; it is refused, and so is every mount. A damaged cache is set aside with its tickets; libkrb5 finds no ticket of another client than the cache's own.",
	},
	{
		ID: "ccache-path", Group: Cache, Title: "credential cache in reach of its user", Severity: CIFSMode, Offline: true, Needs: []ID{"ccache-file"}, Run: eachCache((*Subject).examinePath),
		Proves: "The credential uid can traverse the directories of its credential cache and read the file.",
		Why:    "cifs.upcall, klist and kvno read the cache as that user.",
	},
	{
		ID: "ccache-ticket", Group: Cache, Title: "ticket in the credential cache", Severity: Latent, Offline: true, PerEndpoint: true, Needs: []ID{"ccache-file"}, Run: checkCCacheTicket,
		Proves: "A mounted endpoint has a valid ticket with a modern encryption type.",
		Why:    "Without one, the next reconnect of the kernel waits for Azure, and fails if Azure does not answer.",
	},
	{
		ID: "links", Group: Machine, Title: "mount.azfiles", Severity: Fails, Offline: true, Run: checkLinks,
		Proves: "mount.azfiles, azfilesrefresh and azfilesauthmanager are links to azfilesauth.",
		Why:    "mount(8) runs mount.azfiles for file systems of type azfiles, and does not know that type without it.",
	},
	{
		ID: "mount-cifs", Group: Machine, Title: "mount.cifs", Severity: Fails, Offline: true, Run: checkMountCIFS,
		Proves: "mount.cifs is there and only root can change it.",
		Why:    "mount.azfiles gets the ticket and runs mount.cifs for the mount itself.",
	},
	{
		ID: "cifs-module", Group: Machine, Title: "SMB client of the kernel", Severity: Fails, Offline: true, Run: checkCIFSModule,
		Proves: "The kernel has its SMB client, cifs, or can load it, and it can ask for tickets.",
		Why:    "No share can be mounted without it; cloud kernels have it in a separate package.",
	},
	{
		ID: "aes-256-gcm", Group: Machine, Title: "AES-256-GCM", Severity: Latent, Offline: true, Run: checkCiphers, Former: []ID{"fips"},
		Proves: "The SMB client offers AES-256-GCM to the server.",
		Why:    "A storage account that allows only AES-256-GCM for the channel refuses the mount with error 13, although the login is correct. In FIPS mode tickets with RC4 keys cannot be used; Azure Files issues them with AES keys unless the account says otherwise.",
	},
	{
		ID: "upcall-target", Group: Machine, Title: "upcall_target", Severity: Tells, Run: checkUpcallTarget,
		Proves: "The kernel knows the mount option upcall_target=mount.",
		Why:    "It keeps cifs.upcall in the namespaces of the host when a process in a container causes a new login; azfiles.upcall always stays there.",
	},
	{
		ID: "rename-lease", Group: Machine, Title: "leases of renamed files", Severity: Tells, Run: checkRenameLease,
		Proves: "The kernel names the lease of a file when it renames the file.",
		Why:    "Where it does not, a server can keep a lease of a session that has ended under the file's old name, and refuse to open the file by its new name (EINVAL) until the file is replaced again or the share is mounted again. The mount option nolease avoids that.",
	},
	{
		ID: "key-forgery", Group: Machine, Title: "forged requests (CVE-2026-46243)", Severity: Latent, Run: checkKeyForgery,
		Proves: "Only the SMB client of the kernel can request the keys of Kerberos logins.",
		Why:    "Otherwise any user can make the handlers of such requests, which run as root, process a forged description. azfiles.upcall does not trust it; cifs.upcall does.",
	},
	{
		ID: "usermode-helper", Group: Upcall, Title: "programs that the kernel starts", Severity: Fails, Offline: true, Run: checkUsermodeHelper,
		Proves: "The kernel may start programs, with all capabilities.",
		Why:    "The kernel asks for a ticket by starting /sbin/request-key; hardened kernels forbid or redirect that.",
	},
	{
		ID: "request-key", Group: Upcall, Title: "request-key", Severity: Fails, Offline: true, Run: checkRequestKey,
		Proves: "/sbin/request-key is there and only root can change it.",
		Why:    "The kernel asks for a ticket by starting /sbin/request-key; without it every mount ends with error 126.",
	},
	{
		ID: "request-key-files", Group: Upcall, Title: "files of request-key", Severity: Fails, Offline: true, Run: checkRuleFiles,
		Proves: "Every file of rules ends with a line end, has no line that request-key cannot read, and only root can change it.",
		Why:    "One line that it cannot read, in any of the files, makes request-key stop before it reaches our rule.",
	},
	{
		ID: "request-key-rule", Group: Upcall, Title: "rule of request-key", Severity: Fails, Offline: true, Needs: []ID{"request-key-files"}, Run: checkRule,
		Proves: "Our rule is the one that answers logins to the endpoints.",
		Why:    "Another handler knows neither identities nor our cache, and does not replace an expired ticket.",
	},
	{
		ID: "handler", Group: Upcall, Title: "azfiles.upcall", Severity: Fails, Offline: true, Run: checkHandler,
		Proves: "The handler that our rule names exists, is azfilesauth and runs; only root can change it or the directories that it is in.",
		Why:    "request-key runs it as root for every login; if it cannot, the login fails with error 126.",
	},
	{
		ID: "request-key-ties", Group: Upcall, Title: "rules that compete", Severity: Latent, Offline: true, Needs: []ID{"request-key-files"}, Run: checkRuleTies,
		Proves: "No two rules for logins fit equally well.",
		Why:    "The rule that the directory lists first wins, and the order can differ on a copy of the machine.",
	},
	{
		ID: "cifs-spnego-conf", Group: Upcall, Title: "cifs.spnego.conf", Severity: Latent, Offline: true, Needs: []ID{"request-key-files"}, Run: checkSpnegoConf,
		Proves: "The rule of cifs-utils for logins to other servers exists, and so does the program that it runs.",
		Why:    "azfiles.upcall passes logins to other servers on to the rule that applies without ours. Azure Files does not need it.",
	},
	{
		ID: "cifs-upcall", Group: Upcall, Title: "cifs.upcall", Severity: CIFSMode, Offline: true, Run: checkCIFSUpcall,
		Proves: "Where cifs.upcall of cifs-utils answers the kernel, it is installed and can work with a service ticket only.",
		Why:    "Versions before 7.0 require a ticket-granting ticket, which Azure Files does not issue.",
	},
	{
		ID: "dns-resolver", Group: Upcall, Title: "names at a reconnect", Severity: Latent, Offline: true, Needs: []ID{"request-key", "request-key-files"}, Run: checkDNSResolver,
		Proves: "The rule by which the kernel resolves host names exists, and so does its program.",
		Why:    "At a reconnect the kernel resolves the server's name again; without the rule, a mount keeps an address that may no longer be valid.",
	},
	{
		ID: "negative-keys", Group: Upcall, Title: "failures that the kernel remembers", Severity: Latent, Run: checkNegativeKeys,
		Proves: "The kernel remembers no failed login.",
		Why:    "For up to a minute the kernel fails the same login again without a request, even after the cause is fixed.",
	},
	{
		ID: "krb5-conf", Group: Kerberos, Title: "krb5.conf", Severity: CIFSMode, Offline: true, Run: checkKrb5Conf,
		Proves: "libkrb5 can read /etc/krb5.conf and all that it includes.",
		Why:    "One wrong line, or a missing directory that is included, stops every program that uses libkrb5. azfiles.upcall does not use libkrb5, and gives cifs.upcall a separate file.",
	},
	{
		ID: "default-realm", Group: Kerberos, Title: "default_realm", Severity: Latent, Offline: true, Needs: []ID{"krb5-conf"}, Run: checkDefaultRealm,
		Proves: "default_realm is set in [libdefaults] of krb5.conf.",
		Why:    "Programs that get a name without a realm need it. azfiles.upcall does not: the realm is in the ticket.",
	},
	{
		ID: "domain-realm", Group: Kerberos, Title: "realm of the host", Severity: CIFSMode, Offline: true, PerEndpoint: true, Needs: []ID{"krb5-conf"}, Run: checkDomainRealm,
		Proves: "[domain_realm] of krb5.conf does not send libkrb5 to another realm than that of the ticket.",
		Why:    "libkrb5 looks in the cache for a ticket of the realm that [domain_realm] names, and does not find the one in the cache.",
	},
	{
		ID: "enctypes", Group: Kerberos, Title: "encryption types", Severity: CIFSMode, Offline: true, Needs: []ID{"krb5-conf"}, Run: checkEnctypes,
		Proves: "krb5.conf permits the encryption types of Azure Files' tickets.",
		Why:    "libkrb5 does not use a ticket whose key is of another type than those that it permits.",
	},
	{
		ID: "default-ccache", Group: Kerberos, Title: "default credential cache", Severity: Tells, Offline: true, Needs: []ID{"config", "krb5-conf"}, Run: checkDefaultCache,
		Proves: "The default cache of libkrb5 is the one that holds the tickets.",
		Why:    "klist without -c, and a cifs.upcall that azfiles.upcall does not run, look there. azfiles.upcall knows the cache from its configuration, and tells it to cifs.upcall.",
	},
	{
		ID: "namespaces", Group: Surroundings, Title: "mount namespaces", Severity: Latent, Run: checkNamespaces,
		Proves: "The daemon, if it runs, sees the mounts of the host, and so does this command.",
		Why:    "Shares that are mounted in another mount namespace are not seen, so their tickets are not refreshed before they expire.",
	},
	{
		ID: "selinux", Group: Surroundings, Title: "denials of SELinux and AppArmor", Severity: Latent, Run: checkSELinux,
		Proves: "Neither SELinux nor AppArmor has denied anything to azfilesauth or request-key within the last hour.",
		Why:    "The kernel starts request-key in a domain of its own, whose policy may forbid our handler to use the network or to read its files.",
	},
	{
		ID: "kernel-log", Group: Surroundings, Title: "the kernel's log", Severity: Tells, Run: checkKernelLog, Former: []ID{"server-side"},
		Proves: "The kernel has logged no problem with SMB logins within the last hour, and no login that the server refused.",
		Why:    "The kernel log shows on which side the last failure was. The server can refuse a ticket that it issued itself, because of the role, the SMB settings or the clock.",
	},
	{
		ID: "last-mount", Group: Surroundings, Title: "mounts that failed", Severity: Latent, Offline: true, Run: checkLastMount,
		Proves: "The last mount by mount.azfiles at every mount point succeeded.",
		Why:    "A manual mount that failed has no line in fstab; its source, options and failure are kept until the machine restarts or a mount there succeeds.",
	},
	{
		ID: "last-fault", Group: Surroundings, Title: "failures of the kernel's upcall", Severity: Latent, Offline: true, Run: checkLastFault,
		Proves: "The kernel's last request for a login was answered, for every endpoint.",
		Why:    "The kernel reports only an error number; the reason is kept until the next success.",
	},
	{
		ID: "daemon", Group: Surroundings, Title: "daemon that renews tickets", Severity: Latent, Run: checkDaemon,
		Proves: "The daemon runs, and its last attempts succeeded.",
		Why:    "It renews tickets before they expire. Without it, the first access after the expiry waits for Azure, and fails if Azure does not answer.",
	},
	{
		ID: "incumbent", Group: Surroundings, Title: "leftovers of AzFilesAuthenticator", Severity: Latent, Offline: true, Run: checkIncumbent,
		Proves: "Nothing that AzFilesAuthenticator left behind conflicts with this program.",
		Why:    "AzFilesAuthenticator made its user an administrator of the machine; its programs and its unit would run instead of these.",
	},
	{
		ID: "kubernetes", Group: Surroundings, Title: "Kubernetes node", Severity: Latent, Offline: true, Run: checkKubernetes,
		Proves: "On a Kubernetes node, the Azure Files CSI driver and this program do not conflict.",
		Why:    "The driver overwrites the configuration and krb5.conf whenever its pod starts, and its containers see other directories than the node.",
	},
}
