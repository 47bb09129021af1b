#!/bin/sh
# What the init container of the driver does on a node that is neither Ubuntu nor Azure Linux, at each of its starts.
set -e
printf '[libdefaults]\ndefault_ccache_name = FILE:/var/lib/kubelet/kerberos/krb5cc_%%{uid}\n' >/host/etc/krb5.conf
mkdir -p /var/lib/kubelet/kerberos /host/etc/azfilesauth
printf 'USER_UID: 0\nKRB5_CC_NAME: /var/lib/kubelet/kerberos/krb5cc_0\nLOG_DESTINATION: "file"\n' >/host/etc/azfilesauth/config.yaml
