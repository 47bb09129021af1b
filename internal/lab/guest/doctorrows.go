package main

import "github.com/azfilesauth/azfilesauth/internal/doctor"

// rows are the table of breaks.
func rows() []row {
	var all []row
	all = append(all,
		row{name: "nothing is broken", class: "H", handler: byUs, mounts: true},
		row{name: "nothing is broken", class: "H", handler: byOrder, mounts: true},
		row{name: "nothing is broken", class: "H", handler: byOther, mounts: true, exit: doctor.Degraded, first: "request-key-rule"})
	all = append(all, machineRows()...)
	all = append(all, azureRows()...)
	all = append(all, stockRows()...)
	return append(all, latentRows()...)
}

// fails is a row of class F.
func fails(name, breaks string, first doctor.ID, fix, mend string) row {
	return row{name: name, class: "F", handler: byUs, breaks: breaks, exit: doctor.Failing, first: first, fix: fix, mend: mend}
}

// machineRows are what can be wrong on the machine so that no share mounts.
func machineRows() []row {
	return []row{
		fails("request-key missing", "take /usr/sbin/request-key",
			"request-key", "^apt-get install -y keyutils$", mendRun),
		fails("our rule missing", "rm /etc/request-key.d/azfiles.conf",
			"request-key-rule", "^azfilesauth setup$", mendRun),
		fails("no rule at all", "rm /etc/request-key.d/azfiles.conf /etc/request-key.d/cifs.spnego.conf",
			"request-key-rule", "^azfilesauth setup$", mendFix).with("cifs-spnego-conf"), // two things are broken
		fails("rule without a line end", `printf %s "$(cat /etc/request-key.d/azfiles.conf)" >/tmp/rule; cat /tmp/rule >/etc/request-key.d/azfiles.conf`,
			"request-key-files", "^echo >> /etc/request-key.d/azfiles.conf$", mendRun),
		fails("malformed line elsewhere", "printf '# ours\ncreate cifs.spnego * *\n' >/etc/request-key.d/local.conf",
			"request-key-files", "^correct line 2 of /etc/request-key.d/local.conf$", mendLine),
		fails("foreign rule fits better", "echo 'create cifs.spnego ver=0x2;host=acct.file.core.windows.net;* * /usr/sbin/cifs.upcall %k' >/etc/request-key.d/local.conf",
			"request-key-rule", "^remove line 1 of /etc/request-key.d/local.conf$", mendLine),
		fails("handler missing", "take /usr/sbin/azfiles.upcall",
			"handler", "^azfilesauth setup$", mendRun),
		fails("ccache of another user", "mount /mnt/share; umount /mnt/share; chown evil /run/azfilesauth/krb5cc_0",
			"ccache-file", "^mv '/run/azfilesauth/krb5cc_0' ", mendFix),
		fails("name does not resolve", "sed -i '/ acct.file.core/d' /etc/hosts",
			"dns", "^getent hosts acct.file.core.windows.net; .* link the zone privatelink.file.core.windows.net",
			"echo 10.99.0.1 acct.file.core.windows.net >>/etc/hosts"),
		fails("port 445 closed", "ip rule add pref 1 to 10.99.0.1 ipproto 6 dport 445 unreachable",
			"port-445", "^let port 445 of acct.file.core.windows.net pass .* use a private endpoint or a VPN; azfilesauth doctor acct.file.core.windows.net tries it from here$", "ip rule del pref 1"),
		fails("value of a wrong type", "config 'upcall: {deadline: soon}'",
			"config", "^correct /etc/azfilesauth/config.yaml$", "sed -i /soon/d /etc/azfilesauth/config.yaml"),
		fails("USER_UID invalid", "sed -i 's/^USER_UID:.*/USER_UID: 4711/' /etc/azfilesauth/config.yaml",
			"user-uid", "^set cruid=, --cruid, or USER_UID in /etc/azfilesauth/config.d/90-local.yaml to a uid that getent passwd lists$",
			"sed -i 's/^USER_UID:.*/USER_UID: 0/' /etc/azfilesauth/config.yaml"),
		fails("mount.cifs missing", "take /usr/sbin/mount.cifs",
			"mount-cifs", "^apt-get install -y cifs-utils$", mendRun),
		fails("cifs module missing", `modprobe -r cifs; list=$(echo /lib/modules/*/modules.dep); take /lib/modules/*/kernel/fs/smb/client/cifs.ko* $list
grep -v /cifs.ko /lab/away$list >$list`,
			"cifs-module", "^install a kernel with the module cifs, reboot, then: modprobe cifs$",
			`bring $(cd /lab/away; find lib/modules -type f | sed s,^,/,); modprobe cifs`),
	}
}

// azureRows are what can be wrong at Azure, or on the way there.
func azureRows() []row {
	ordered := func(name, order string, first doctor.ID, fix string) row {
		r := fails(name, "", first, fix, mendOrders)
		r.order = order
		return r
	}
	unassigned := ordered("identity not assigned", `{"target":"imds","identity":"11111111-1111-1111-1111-111111111111","status":400,"code":"invalid_request","message":"Identity not found"}`,
		"identity", "^az vm identity assign .* --identities .*11111111-1111-1111-1111-111111111111")
	unassigned.breaks = "line _netdev,client_id=11111111-1111-1111-1111-111111111111"
	return []row{
		ordered("role missing", `{"target":"storage","status":403,"code":"AuthorizationPermissionMismatch"}`,
			"exchange", `^az role assignment create --assignee 5e570000-0000-4000-8000-000000000002 --role "Storage File Data SMB MI Admin" --scope \$\(az storage account show -n acct --query id -o tsv\);`),
		ordered("SMBOAuth off", `{"target":"storage","status":403,"code":"FeatureNotEnabled","message":"SMB OAuth is not enabled for this account."}`,
			"exchange", "^az storage account update -n acct -g <resource-group> --enable-smb-oauth true$"),
		unassigned,
		ordered("clock ten minutes off", `{"target":"storage","skew":"-10m"}`,
			"clock", "^timedatectl set-ntp true; where chrony keeps the time: chronyc makestep "),
		ordered("certificate not trusted", `{"target":"storage","untrusted":true}`,
			"https", "^install the package ca-certificates; if a TLS inspection of this network signs for acct.file.core.windows.net, add its root to this machine's, then: update-ca-certificates "),
	}
}

// stockRows are what stops cifs.upcall, with each of those who can answer the kernel. What is wrong in
// krb5.conf stops it only where it is not called by us, who give it a file of its own.
func stockRows() []row {
	krb5 := func(name, text string, first doctor.ID, fix, mend string) []row {
		return []row{
			{
				name: name, class: "C", handler: byUs, breaks: "krb5 '" + text + "'", mounts: true, exit: doctor.Degraded, first: first,
				says: "mounts of Azure Files do not go by this file", fix: fix,
			},
			{
				name: name, class: "C", handler: byOrder, breaks: "krb5 '" + text + "'", mounts: true, exit: doctor.Degraded, first: first,
				says: "mounts of Azure Files do not go by this file", fix: fix,
			},
			{name: name, class: "C", handler: byOther, breaks: "krb5 '" + text + "'", exit: doctor.Failing, first: first, fix: fix, mend: mend},
		}
	}
	const kcm = "krb5 '[libdefaults]\n default_ccache_name = KCM:\n'"
	const says = "the default is KCM:"
	const old = `take /usr/sbin/cifs.upcall
printf '#!/bin/sh\nexit\n\0version: %%s\0006.11\0' >/usr/sbin/cifs.upcall; chmod 755 /usr/sbin/cifs.upcall`
	all := krb5("krb5.conf: syntax", "[libdefaults\n", "krb5-conf", "^correct /etc/krb5.conf:4$", "sed -i 4d /etc/krb5.conf")
	all = append(all, krb5("krb5.conf: missing includedir", "includedir /etc/krb5.conf.d/\n", "krb5-conf", "^mkdir -p /etc/krb5.conf.d", mendRun)...)
	all = append(all, krb5("krb5.conf: foreign domain_realm", "[domain_realm]\n .core.windows.net = CONTOSO.COM\n", "domain-realm",
		"^add to .domain_realm. of /etc/krb5.conf: acct.file.core.windows.net = FILES.AZURE.STORAGE.MICROSOFT.COM$",
		"krb5 ' acct.file.core.windows.net = FILES.AZURE.STORAGE.MICROSOFT.COM\n'")...)
	return append(all,
		row{name: "krb5.conf: KCM is the default", class: "C", handler: byUs, breaks: kcm, mounts: true, says: says},
		row{name: "krb5.conf: KCM is the default", class: "C", handler: byOrder, breaks: kcm, mounts: true, says: says},
		row{
			name: "krb5.conf: KCM is the default", class: "C", handler: byOther, breaks: kcm, exit: doctor.Failing, first: "request-key-rule",
			says: "cifs.upcall looks in KCM:", fix: "^azfilesauth setup$", mend: mendRun,
		},
		row{
			name: "cifs.upcall missing", class: "C", handler: byUs, breaks: "take /usr/sbin/cifs.upcall", mounts: true, exit: doctor.Degraded,
			first: "cifs-spnego-conf", says: "not installed, and not needed: azfiles.upcall answers without it", fix: "^apt-get install -y --reinstall .*cifs-utils$", mend: mendRun,
		},
		row{
			name: "cifs.upcall missing", class: "C", handler: byOrder, breaks: "take /usr/sbin/cifs.upcall", exit: doctor.Failing,
			first: "cifs-upcall", also: "cifs-spnego-conf", fix: "^apt-get install -y --reinstall .*cifs-utils$", mend: mendRun,
		},
		row{name: "cifs.upcall old", class: "C", handler: byUs, breaks: old, mounts: true, says: "6.11 cannot answer for Azure Files, and is not needed"},
		row{
			name: "cifs.upcall old", class: "C", handler: byOrder, breaks: old, exit: doctor.Failing,
			first: "cifs-upcall", fix: "^set upcall: {mode: native} in /etc/azfilesauth/config.d/90-local.yaml$",
			mend: "sed -i 's/^upcall: .*/upcall: {mode: native}/' /etc/azfilesauth/config.yaml",
		},
	)
}

// latentRows are what lets shares mount today.
func latentRows() []row {
	later := func(name, breaks string, first doctor.ID, fix, mend string) row {
		return row{name: name, class: "L", handler: byUs, breaks: breaks, mounts: true, exit: doctor.Degraded, first: first, fix: fix, mend: mend}
	}
	const noRealm = "sed -i /default_realm/d /etc/krb5.conf"
	realm := later("no default_realm", noRealm, "default-realm", "^azfilesauth setup --edit-krb5-conf$", mendRun)
	realm.handler = byOrder
	return []row{
		later("malformed line of another type", "printf '# ours\ncreate user debug:\n' >/etc/request-key.d/local.conf",
			"request-key-files", "^correct line 2 of /etc/request-key.d/local.conf$", mendLine),
		later("no _netdev", "line identity=system", "fstab", "^add _netdev to the options of /etc/fstab:1$", "line _netdev,identity=system"),
		later("daemon stopped", stopDaemon, "daemon", "^systemctl enable --now azfilesrefresh$", mendDaemon),
		realm,
		{
			name: "no default_realm", class: "L", handler: byUs, breaks: noRealm, mounts: true,
			says: "default_realm is not set in /etc/krb5.conf; it is not needed, since azfiles.upcall answers without it",
		},
		later("source in upper case", "source ACCT.File.core.windows.net", "host-form", "^edit /etc/fstab:1: the host is acct.file.core.windows.net; umount /mnt/share and mount it again: the host is acct.file.core.windows.net$",
			"source acct.file.core.windows.net"),
		later("source with privatelink", "source acct.privatelink.file.core.windows.net", "host-form", "^edit /etc/fstab:1: the host is acct.file.core.windows.net; umount /mnt/share and mount it again: the host is acct.file.core.windows.net$",
			"source acct.file.core.windows.net"),
		later("azfilesuser in sudo", "sed -i 's/^sudo:.*/&azfilesuser/' /etc/group", "incumbent", "^gpasswd -d azfilesuser sudo$", mendFix),
	}
}
