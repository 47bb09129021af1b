package fault

// localDetails are of failures that this machine alone decides: options, configuration, files and limits.
var localDetails = []Detail{
	{"AZF-OPTION-INVALID", []Cause{
		{"the value is mistyped or of another form", "the line names the option, what was given and what is allowed"},
		{"two options contradict each other, such as client_id= and a GUID in username=", "the line names both"},
		{"the option is one of mount.cifs that this version does not accept", "mount.azfiles --help lists the options of mount.azfiles; all others are described in mount.cifs(8)"},
	}, "//acct.file.core.windows.net/share /mnt/share azfiles _netdev,nofail,identity=system 0 0"},
	{"AZF-OPTION-REFUSED", []Cause{
		{"a password was given: password=, credentials= or an account key", "the mount logs in with a Kerberos ticket, so no password is used; for a mount with the account key use -t cifs"},
		{"sec= has another value than krb5 or krb5i", "leave sec= out: krb5 is the default"},
		{"a user name that is not a client id was given", "use identity=NAME for an entry of the configuration"},
	}, "mount -t azfiles //acct.file.core.windows.net/share /mnt/share -o identity=system"},
	{"AZF-SOURCE-INVALID", []Cause{
		{"the share is missing: //account/ without a name after it", "compare with the example"},
		{"the host is only the account's name, without its domain", "append .file.core.windows.net, or the domain of your cloud"},
		{"it is the address of another service, such as blob or dfs", "Azure Files has .file. in its host name"},
	}, "//acct.file.core.windows.net/share/directory"},
	{"AZF-HOST-UNKNOWN", []Cause{
		{"a typing mistake in the host name", "compare with: az storage account show -n <account> --query primaryEndpoints.file"},
		{"the share is reached by a name of your own, such as a CNAME or a namespace", "the name works in getent hosts, but is not under endpoints: in azfilesauth config show"},
		{"the account is in a private or sovereign cloud whose domain is not known", "the domain is none of those in docs/mount.md"},
	}, "endpoints:\n  files.example.internal: {canonical: acct.file.core.windows.net}"},
	{"AZF-TARGET-INVALID", []Cause{
		{"the directory does not exist", "ls -ld <target>"},
		{"it is a file, or a dangling link", "ls -ld <target> begins with - or l"},
		{"it is below another mount that is read-only or does not answer", "findmnt -T <target>"},
	}, ""},
	{"AZF-CONFIG-INVALID", []Cause{
		{"indentation or a missing colon: the file is not YAML", "azfilesauth config check names the line"},
		{"a value has the wrong type, such as a word instead of a duration", "azfilesauth config check names the key and what it takes"},
		{"a template left a place holder in the file", "the line has {{ }} or $ in it"},
	}, "refresh: {at: 0.6, before_expiry: 5m}"},
	{"AZF-CONFIG-UNSAFE", []Cause{
		{"the file was copied with the owner or mode of a user", "ls -l <file>"},
		{"a directory above it can be written by others", "namei -l <file> shows each directory"},
		{"configuration management writes it with a group that may write", "the mode has w at the sixth place"},
	}, ""},
	{"AZF-UID-UNKNOWN", []Cause{
		{"the user was never made on this machine", "getent passwd <uid> prints nothing"},
		{"the user is in a directory (SSSD, LDAP) that did not answer at boot", "getent passwd <uid> works now; mount again"},
		{"USER_UID came from another machine by a shared configuration", "azfilesauth config show names the file of USER_UID"},
	}, "USER_UID: 0"},
	{"AZF-IDENTITY-INVALID", []Cause{
		{"the name of the identity is mistyped", "the line says which names exist; azfilesauth config show lists identities:"},
		{"a key that the kind needs is missing, in the options or in the entry under identities:", "the line names all of them; azfilesauth config check does for entries"},
		{"two options exclude each other, such as identity=system and client_id=", "the line says which kind takes no such key"},
		{"the configuration with the entry is not on this machine", "ls /etc/azfilesauth/config.d"},
	}, "identities:\n  backup: {client_id: 00000000-0000-0000-0000-000000000000}"},

	{"AZF-CCACHE-TYPE", []Cause{
		{"KRB5_CC_NAME has KEYRING:, KCM:, DIR: or MEMORY:, which the kernel's handler cannot share", "azfilesauth config show names the file of KRB5_CC_NAME"},
		{"the path is relative", "it must begin with / or FILE:/"},
		{"KRB5_CC_NAME names a directory, or a file that holds something else", "ls -ld of the path that the line names"},
	}, "KRB5_CC_NAME: /run/azfilesauth/krb5cc_%{uid}"},
	{"AZF-CCACHE-FOLDER", []Cause{
		{"others than root can write to the directory, and it is not sticky", "ls -ld of the directory that the line names"},
		{"the directory, or one above it, belongs to a user", "namei -l shows each directory"},
		{"a symbolic link is in the path", "namei -l shows it with l"},
	}, ""},
	{"AZF-CCACHE-FOREIGN", []Cause{
		{"another program of the same user uses this file, such as kinit with the default cache in /tmp", "ls -l shows its owner; KRB5_CC_NAME leads to /tmp"},
		{"the credential uid was changed, and the file is that of the former one", "azfilesauth config show names USER_UID"},
		{"a user put a file there before the first mount", "the owner is neither root nor the credential uid"},
	}, "KRB5_CC_NAME: /run/azfilesauth/krb5cc_%{uid}"},
	{"AZF-CCACHE-PRINCIPAL", []Cause{
		{"kinit or a domain login uses the same file", "the client in the line is a user of your domain"},
		{"the tickets of Azure Files changed their client, after the account was moved to another tenant", "all tickets in azfilesauth list are of Azure Files: remove the file and mount again"},
	}, "KRB5_CC_NAME: /run/azfilesauth/krb5cc_%{uid}"},
	{"AZF-CCACHE-DAMAGED", []Cause{
		{"the file system was full or the machine lost power while another program wrote the file", "df -h; the file is short or empty"},
		{"another program writes to the file without a lock", "azfilesauth doctor names what is in it"},
	}, ""},
	{"AZF-CCACHE-IO", []Cause{
		{"the file system is full", "df -h and df -i on the directory"},
		{"the directory is read-only, or a sandbox of systemd forbids it", "findmnt -T <file>; systemctl cat azfilesrefresh shows ReadWritePaths="},
		{"SELinux or AppArmor denies it", "azfilesauth doctor, check selinux"},
	}, ""},
	{"AZF-CCACHE-FOUGHT", []Cause{
		{"another instance of this service, or AzFilesAuthenticator's, writes the same cache", "systemctl status azfilesrefresh; ls /proc/[0-9]*/exe -l lists azfilesrefresh twice"},
		{"kdestroy or a login script empties the cache", "the cache is in /tmp and belongs to a user who logs in"},
		{"a container mounts the directory and has a cache of its own there", "findmnt shows the directory in a container's mounts"},
	}, "KRB5_CC_NAME: /run/azfilesauth/krb5cc_%{uid}"},
	{"AZF-TICKET-UNKNOWN", []Cause{
		{"the endpoint was never mounted by this credential uid", "azfilesauth list --cruid UID shows other caches"},
		{"the ticket expired and was removed after the share was unmounted", "azfilesauth status does not list the host"},
		{"the host is mistyped", "compare with azfilesauth list"},
	}, "azfilesauth set acct.file.core.windows.net --identity system"},
	{"AZF-LOCK-TIMEOUT", []Cause{
		{"another command waits for Azure and holds the lock meanwhile", "the command under fix names its process; it ends by itself within its timeout"},
		{"a process was stopped (SIGSTOP, a debugger, a frozen container) while it held the lock", "its state in /proc/PID/status is T or t"},
		{"the file system of the lock does not answer", "df -h <lock> hangs"},
	}, ""},

	{"AZF-RECORD-UNTRUSTED", []Cause{
		{"the credential cache belongs to a user, so its records are only hints", "ls -l <ccache>"},
		{"the configuration no longer names the identity", "azfilesauth config show names no file of endpoints: or default_identity:"},
	}, "default_identity: system"},
	{"AZF-IDENTITY-UNKNOWN", []Cause{
		{"the share was mounted by another tool, and nothing names its identity", "azfilesauth list shows ? for the identity"},
		{"default_identity: is missing after an upgrade from another tool", "azfilesauth config show prints default beside it, and no file"},
		{"the kernel logs in again for a mount whose ticket was deleted", "azfilesauth list does not show the host"},
		{"the mount has a user's own ticket, of a domain or of Entra Kerberos, which has expired or is not found", "klist, as that user; journalctl -b -t cifs.upcall"},
	}, "endpoints:\n  acct.file.core.windows.net: {identity: system}"},

	{"AZF-SETUP-FAILED", []Cause{
		{"the file system of that path is read-only or full", "findmnt -T <path>; df -h <path>"},
		{"the file is immutable or managed by another tool", "lsattr <path> (package e2fsprogs) shows i"},
		{"a security module denies it", "azfilesauth doctor, check selinux"},
	}, ""},
	{"AZF-SETUP-CHANGED", []Cause{
		{"an administrator or configuration management edited the file after the setup", "azfilesauth setup --dry-run shows the difference"},
		{"a package replaced it", "the file belongs to a package now: dpkg -S <path> or rpm -qf <path>"},
	}, ""},
	{"AZF-NODE-PROGRAMS", []Cause{
		{"the node's image has no cifs-utils or keyutils", "on the node: ls /sbin/mount.cifs /sbin/request-key"},
		{"the node's image is immutable, so packages must be in the image", "such as Azure Linux with OS Guard, Flatcar or Bottlerocket"},
	}, ""},
	{"AZF-SERVICE-FAILED", []Cause{
		{"the configuration has a mistake", "azfilesauth config check"},
		{"another instance holds the credential cache or the socket", "azfilesauth status"},
		{"the unit was started too often", "systemctl reset-failed azfilesrefresh, then start it"},
	}, ""},
	{"AZF-OUTPUT-FAILED", []Cause{
		{"the file system that the output goes to is full", "df -h"},
		{"the reader ended first, such as head", "the same command without the pipe works"},
	}, ""},
	{"AZF-BUNDLE-FAILED", []Cause{
		{"the directory cannot be written by this user", "ls -ld of the directory"},
		{"the file system is full", "df -h"},
		{"the file exists already", "ls -l <file>"},
	}, "azfilesauth bundle -o /root/azfilesauth.tar.gz"},
	{"AZF-OPEN-FILES", []Cause{
		{"another program leaks file descriptors", "cat /proc/sys/fs/file-nr: the first number is near the third"},
		{"the limit of this process is low", "ulimit -n; for the daemon: systemctl show -p LimitNOFILE azfilesrefresh"},
	}, ""},
	{"AZF-OUT-OF-MEMORY", []Cause{
		{"the control group of the daemon or of the container has a low limit", "free -m shows free memory, and MemoryMax is set"},
		{"the machine has no memory left", "free -m; dmesg | grep -i oom"},
	}, ""},
	{"AZF-FILE-LIMIT", []Cause{
		{"a ulimit -f of the shell or of a batch system", "ulimit -f prints a number"},
		{"LimitFSIZE= in a unit or a drop-in", "systemctl show -p LimitFSIZE azfilesrefresh"},
	}, ""},
	{"AZF-INOTIFY", []Cause{
		{"other programs of root use up the instances, as log collectors and container engines do", "cat /proc/sys/fs/inotify/max_user_instances; find /proc/[0-9]*/fd -lname anon_inode:inotify | wc -l"},
		{"the number of watches is used up", "cat /proc/sys/fs/inotify/max_user_watches"},
	}, "# /etc/sysctl.d/90-inotify.conf\nfs.inotify.max_user_instances = 1024"},
	{"AZF-RUN-DIRECTORY", []Cause{
		{"/run is mounted read-only, as in some containers", "findmnt -T /run shows ro"},
		{"/run is full: it is in memory and other programs write there", "df -h /run"},
		{"the command runs without root", "id -u"},
	}, ""},
	{"AZF-MOUNT-TABLE", []Cause{
		{"/proc is not mounted, as in a chroot", "ls /proc/self"},
		{"the path given with --mountinfo does not exist", "ls -l of that path"},
		{"/proc is mounted with hidepid= or a sandbox hides it", "findmnt /proc"},
	}, ""},
	{"AZF-TIMEOUT", []Cause{
		{"the identity service, Entra or the account is slow or out of reach", "azfilesauth doctor names the part that does not answer"},
		{"the bound is short for this network", "the same command with a longer bound works"},
		{"a name server does not answer, which costs seconds for each name", "getent hosts <host> is slow"},
	}, "azfilesauth set acct.file.core.windows.net --timeout 90s"},
}
