package fault

// mountDetails are of failures of the mount itself and of the kernel's requests.
var mountDetails = []Detail{
	{"AZF-MECHANISM", []Cause{
		{"the name leads to another server, such as a Windows file server", "getent hosts <account>.file.core.windows.net"},
		{"a gateway for SMB in between", "the address is that of a machine of yours"},
	}, ""},
	{"AZF-MOUNT-FAILED", []Cause{
		{"a limit of this machine: memory, mounts or files", "dmesg | tail names it"},
		{"mount.cifs was stopped by a signal or crashed", "the line has no error number; journalctl -b | grep mount.cifs"},
		{"an error of the kernel that has no entry of its own here", "dmesg | tail"},
	}, ""},
	{"AZF-SERVER-REFUSED", []Cause{
		{"the role is missing, or was assigned less than ten minutes ago", "azfilesauth doctor <account>, check exchange; az role assignment list --assignee <object id> --all"},
		{"SMB with OAuth was switched off after the ticket was issued", "az storage account show -n <account> --query azureFilesIdentityBasedAuthentication"},
		{"the network rules allow port 443 and not port 445, or the share has permissions of its own", "another identity with the same role can mount"},
		{"the account allows only AES-256-GCM, and the kernel does not offer it", "azfilesauth doctor, check aes-256-gcm"},
		{"the clock of this machine is wrong", "timedatectl"},
	}, ""},
	{"AZF-UPCALL-FAILED", []Cause{
		{"no request-key, or its rule leads to another handler", "azfilesauth doctor, checks request-key and request-key-rule"},
		{"the handler ran and failed", "journalctl -b -t azfiles.upcall has a line with the reason"},
		{"the kernel remembers a failure of the last minute", "azfilesauth doctor, check negative-keys; it works a minute later"},
		{"the mount is made in a container whose root the kernel does not use", "azfilesauth doctor, check namespaces"},
	}, ""},
	{"AZF-SHARE-NOT-FOUND", []Cause{
		{"a typing mistake in the share, or it was deleted", "the list of the fix does not have it"},
		{"the directory after the share does not exist", "mount the share without it"},
		{"the kernel lacks a module of its ciphers, which it reports with the same number", "dmesg | tail has: could not allocate"},
		{"the share is of NFS", "az storage share-rm show --storage-account <account> -n <share> --query enabledProtocols"},
	}, ""},
	{"AZF-CIFS-MODULE", []Cause{
		{"the kernel's package for clouds leaves the module out", "find /lib/modules/$(uname -r) -name 'cifs.ko*' prints nothing"},
		{"the module is forbidden", "grep -rw cifs /etc/modprobe.d"},
		{"the kernel was updated, and the machine was not restarted", "ls /lib/modules does not have uname -r"},
		{"this is a container, and the node has not loaded it", "modprobe cifs on the node"},
	}, ""},
	{"AZF-MOUNT-OPTION", []Cause{
		{"the option is newer than the kernel", "azfilesauth explain options names the kernels"},
		{"an option has a value that the kernel does not know", "dmesg | tail names it"},
		{"a dialect that the server does not offer", "leave vers= out"},
	}, ""},
	{"AZF-SMB-UNREACHABLE", []Cause{
		{"the network or the internet provider blocks port 445", "azfilesauth doctor <host>: https is ok and port-445 is not"},
		{"the network security group or the firewall of this network allows only 443", "the same, and another network works"},
		{"the private endpoint is not reached", "getent hosts <host> prints a private address; ip route get of it"},
		{"the server ended the connection: dialect, encryption or an incident", "the error number is 104 or 112; dmesg | tail"},
	}, ""},
	{"AZF-SMB-PROTOCOL", []Cause{
		{"the account allows only some dialects or ciphers, and this kernel has none of them", "the second command of the fix lists what the account allows; azfilesauth doctor, check aes-256-gcm"},
		{"an option of the mount asks for what the server cannot do, such as seal or a dialect", "it works without options"},
		{"Kerberos is not among the account's ways to log in", "protocolSettings.smb.authenticationMethods has no Kerberos"},
	}, "az storage account file-service-properties update -n acct -g group --auth-methods Kerberos"},
	{"AZF-TARGET-BUSY", []Cause{
		{"the share, or another file system, is mounted there already", "findmnt <target>"},
		{"a process works in the directory", "the second command of the fix names it"},
		{"systemd mounts it at the same time", "systemctl list-jobs"},
	}, ""},
	{"AZF-CAPABILITY", []Cause{
		{"the command runs in a container without CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH", "grep CapEff /proc/self/status is not that of the host"},
		{"a unit or a sandbox takes capabilities away", "systemctl show -p CapabilityBoundingSet of the unit"},
	}, "securityContext: {privileged: true}"},
	{"AZF-MOUNT-DENIED", []Cause{
		{"the profile of AppArmor of the container forbids mounts", "cat /proc/self/attr/current names docker-default or another profile"},
		{"the container is rootless, in a user namespace", "cat /proc/self/uid_map is not 0 0 4294967295"},
		{"the server refused the login: the kernel gives the same number", "azfilesauth doctor <account>, check exchange"},
	}, ""},
	{"AZF-CHARSET", []Cause{
		{"the module is in another package", "find /lib/modules/$(uname -r) -name 'nls_*' does not have it"},
		{"the name of the character set is mistyped", "utf8 is the one that is nearly always meant"},
	}, ""},

	{"AZF-UPCALL-REQUEST", []Cause{
		{"a user name with a semicolon or a character that the kernel does not quote", "findmnt -t cifs -o OPTIONS"},
		{"a user of this machine made the request, to try the handler", "azfilesauth doctor, check key-forgery"},
		{"a kernel with another form of request", "uname -r; report the line"},
	}, ""},
	{"AZF-UPCALL-FOREIGN", []Cause{
		{"cifs-utils is not installed, and another server is mounted with Kerberos", "ls /usr/sbin/cifs.upcall /etc/request-key.d/cifs.spnego.conf"},
		{"an account is mounted by a name of your own", "getent hosts <host> leads to Azure: add it under endpoints:"},
		{"the rule of cifs-utils was removed or changed", "azfilesauth doctor, check cifs-spnego-conf"},
	}, "endpoints:\n  files.example.internal: {canonical: acct.file.core.windows.net}"},
	{"AZF-UPCALL-CHANNEL", []Cause{
		{"the kernel is older than 6.12 and the mount has multichannel with two accounts or identities", "uname -r; findmnt -t cifs -o TARGET,OPTIONS shows multichannel"},
		{"the mount that the channel belongs to logged in before this program was installed", "it does not return after the share is mounted again"},
	}, ""},
	{"AZF-UPCALL-DEADLINE", []Cause{
		{"Azure, the identity service or a name server was slow for a moment", "it works the next time; azfilesauth status shows no failure"},
		{"the daemon does not run, so each login asks Azure", "azfilesauth status"},
		{"the machine is overloaded", "cat /proc/loadavg"},
		{"the network is not reached at all", "azfilesauth doctor <host>"},
	}, "upcall: {deadline: 10s}"},
	{"AZF-UPCALL-HELPER", []Cause{
		{"krb5.conf sends libkrb5 to another realm, or does not permit the ticket's encryption", "azfilesauth doctor, checks domain-realm and enctypes"},
		{"cifs.upcall is older than 7.0 and asks for a ticket-granting ticket", "cifs.upcall -v; azfilesauth doctor, check cifs-upcall"},
		{"the credential uid cannot read the cache", "azfilesauth doctor, check ccache-path"},
	}, "upcall: {mode: native}"},
}
