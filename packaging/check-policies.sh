#!/bin/bash
# Compiles the AppArmor profiles and the SELinux module, links the module into Debian's reference
# policy, and asks the result whether each face gets its domain. Nothing is loaded into the kernel.
#
# usage: check-policies.sh WORK_FOLDER     (downloads and the built policy stay in it)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$1
mkdir -p "$work"
cd "$work"

apparmor_parser --skip-kernel-load --skip-cache --Include "$here/apparmor" --Include /etc/apparmor.d "$here/apparmor/azfilesauth" 2>&1 |
  grep -v 'Cache read/write disabled' || [ "${PIPESTATUS[0]}" -eq 0 ]
profiles=$(apparmor_parser --names --Include "$here/apparmor" --Include /etc/apparmor.d "$here/apparmor/azfilesauth" | sort | tr '\n' ' ')
[ "$profiles" = 'azfiles.upcall azfilesrefresh mount.azfiles ' ] || { echo "profiles: $profiles" >&2; exit 1; }
echo "apparmor: $profiles"

checkmodule -M -m -o azfilesauth.mod "$here/selinux/azfilesauth.te"
semodule_package -o azfilesauth.pp -m azfilesauth.mod -f "$here/selinux/azfilesauth.fc"
if [ ! -e base/done ]; then
  rm -rf base && mkdir -p base/var/lib/selinux
  apt-get -qq download selinux-policy-default
  dpkg -x selinux-policy-default_*.deb base
  printf 'SELINUX=permissive\nSELINUXTYPE=default\n' > base/etc/selinux/config
  semodule -n -N -p "$work/base" -s default -X 100 -i base/usr/share/selinux/default/*.pp.bz2 2>&1 | grep -v 'not in password file' || [ "${PIPESTATUS[0]}" -eq 0 ]
  touch base/done
fi
semodule -n -N -p "$work/base" -s default -i "$work/azfilesauth.pp" 2>&1 | grep -v 'not in password file' || [ "${PIPESTATUS[0]}" -eq 0 ]
policy=$(ls "$work"/base/etc/selinux/default/policy/policy.*)
for pair in init_t:azfilesauth_t mount_t:azfilesauth_mount_t kernel_t:azfilesauth_upcall_t; do
  sesearch -T -s "${pair%%:*}" -t azfilesauth_exec_t -c process "$policy" | grep -q "process ${pair##*:};" ||
    { echo "selinux: no transition $pair" >&2; exit 1; }
done
# What must not be: the domains write to programs, to others' files in /etc, or read the shadow.
for bad in 'bin_t file write' 'etc_t file write' 'shadow_t file read'; do
  set -- $bad
  if sesearch -A -s azfilesauth_t -t "$1" -c "$2" -p "$3" "$policy" | grep -q 'allow azfilesauth'; then
    echo "selinux: allowed: $bad" >&2
    exit 1
  fi
done
echo 'selinux: linked into the reference policy, all transitions there'
