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
[ "$profiles" = 'azfiles.upcall azfiles.upcall//cifs.upcall azfilesauth.az azfilesrefresh mount.azfiles mount.azfiles//mount.cifs ' ] ||
  { echo "profiles: $profiles" >&2; exit 1; }
echo "apparmor: $profiles"

"$here/selinux/build" azfilesauth.pp
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
# Loading the policy is what takes time: the rules are asked for once.
sesearch -T -c process "$policy" >transitions
sesearch -A -s '^(azfilesauth_.*|init_t|mount_t|kernel_t)$' -rs "$policy" >rules
allowed() { # DOMAIN TYPE CLASS PERMISSION: of our own rules and, with a DOMAIN of the reference policy, of those that name it
  local source=$1
  case $1 in
  azfilesauth_t | azfilesauth_upcall_t | azfilesauth_mount_t) source="($1|azfilesauth_domain)" ;;
  azfilesauth_az_t | azfilesauth_names_t | azfilesauth_handler_t) source="($1|azfilesauth_child)" ;;
  esac
  local type=$2
  [ "$1" != "$2" ] || type="($2|self)"
  grep -E "^allow $source $type:$3 " rules | grep -qE "[ {]($4)[ ;]"
}
needed() { allowed "$@" || { echo "selinux: $1 may not $4 $3 $2" >&2; exit 1; }; }
forbidden() { ! allowed "$@" || { echo "selinux: $1 may $4 $3 $2" >&2; exit 1; }; }

# Who gets which domain, as the head of azfilesauth.te says it.
for way in init_t:azfilesauth_exec_t:azfilesauth_t mount_t:azfilesauth_exec_t:azfilesauth_mount_t kernel_t:azfilesauth_exec_t:azfilesauth_upcall_t \
  azfilesauth_mount_t:mount_exec_t:mount_t azfilesauth_{t,mount_t}:azfilesauth_az_exec_t:azfilesauth_az_t \
  azfilesauth_{t,mount_t}:bin_t:azfilesauth_names_t azfilesauth_upcall_t:bin_t:azfilesauth_handler_t; do
  IFS=: read -r from program to <<<"$way"
  grep -q "^type_transition $from $program:process $to;" transitions || { echo "selinux: no transition $way" >&2; exit 1; }
  needed "$from" "$program" file execute
  needed "$from" "$(sed 's/azfilesauth_\(az\|names\|handler\)_t/(&|azfilesauth_child)/' <<<"$to")" process transition
  needed "$to" "$program" file entrypoint
done
# NoNewPrivileges= of the unit would keep the daemon in the domain of systemd, and az in the daemon's.
needed init_t azfilesauth_t process2 nnp_transition
needed azfilesauth_t '(azfilesauth_az_t|azfilesauth_child)' process2 nnp_transition

# Azure, a proxy on 8080 or 3128, and the agent of Azure Arc on 40342, by the names that the reference policy has for the ports.
for domain in azfilesauth_t azfilesauth_upcall_t azfilesauth_mount_t; do
  for port in http_port_t http_cache_port_t squid_port_t unreserved_port_t; do needed $domain "$port" tcp_socket name_connect; done
done

# What must not be.
faces='azfilesauth_t azfilesauth_upcall_t azfilesauth_mount_t' children='azfilesauth_names_t azfilesauth_handler_t'
for domain in $faces $children; do # no shell, and no program but itself that stays in its domain
  forbidden $domain shell_exec_t file execute
  for program in bin_t mount_exec_t azfilesauth_az_exec_t lib_t usr_t tmp_t user_home_t azfilesauth_run_t; do
    forbidden $domain $program file execute_no_trans
  done
done
for domain in $faces $children azfilesauth_az_t; do
  for type in bin_t etc_t lib_t usr_t shadow_t systemd_unit_t azfilesauth_exec_t; do
    forbidden $domain $type file 'write|append|create|rename|unlink|setattr'
  done
  for type in shadow_t sshd_key_t ssh_home_t; do forbidden $domain $type file read; done
  forbidden $domain '[a-z_]*_device_t' blk_file 'read|write'
  forbidden $domain '[a-z_]*' process 'ptrace|execmem|setexec|dyntransition'
  forbidden $domain init_t unix_stream_socket connectto
done
for domain in $faces; do forbidden $domain $domain capability 'sys_admin|sys_ptrace|sys_module'; done # mount.cifs mounts
for domain in azfilesauth_az_t azfilesauth_names_t; do forbidden $domain $domain capability '[a-z_]*'; done
for domain in $children azfilesauth_az_t; do forbidden $domain azfilesauth_run_t file 'write|append|create'; done
echo 'selinux: linked into the reference policy; each child has its domain, and no attack is allowed'
