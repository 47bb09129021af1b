package cli

import "strings"

// The completions of azfilesauthmanager, whose own command line is that of the Python program: they ask azfilesauth for the
// hosts that are mounted, in fstab, have a ticket or are in the configuration.

// managerURIs prints the URIs that can follow. A mount point can have any name, and bash's compgen expands words as on a command
// line: none passes that is not made of the characters of a host.
const managerURIs = `azfilesauth completion words -- clear '' 2>/dev/null | sed -n '/[^a-z0-9.-]/d; s|.*[.].*|https://&|p'`

const managerBash = `
_azfilesauthmanager() {
  local line=${COMP_LINE:0:COMP_POINT} cur words= colon
  cur=${line##* }
  set -- ${line%"$cur"}
  case $#,$2,$cur in
    1,*) words="set clear list --version --help" ;;
    2,set,* | 2,clear,*) words=$(` + managerURIs + `) ;;
    *,list,*) words=--json ;;
    *,set,*) words="--system --imds-client-id --imds-object-id --imds-resource-id --identity-endpoint --workload-identity --tenant-id --client-id --token-file --authority-host --resource --force --verbose" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  [ "${!#}" != --token-file ] || COMPREPLY=($(compgen -f -- "$cur"))
  case $COMP_WORDBREAKS in *:*) # bash takes what follows the last colon for the word
    colon=${cur%"${cur##*:}"}
    COMPREPLY=("${COMPREPLY[@]#"$colon"}") ;;
  esac
}
complete -o default -F _azfilesauthmanager azfilesauthmanager
`

const managerZsh = `
_azfilesauthmanager() {
  local -a uris
  if (( CURRENT == 2 )); then
    compadd set clear list --version --help
  elif (( CURRENT == 3 )) && [[ $words[2] == (set|clear) ]]; then
    uris=(${(f)"$(` + managerURIs + `)"})
    compadd -a uris
  elif [[ $words[CURRENT-1] == --token-file ]]; then
    _files
  elif [[ $words[2] == set ]]; then
    compadd -- --system --imds-client-id --imds-object-id --imds-resource-id --identity-endpoint --workload-identity --tenant-id --client-id --token-file --authority-host --resource --force --verbose
  elif [[ $words[2] == list ]]; then
    compadd -- --json
  fi
}
compdef _azfilesauthmanager azfilesauthmanager
`

const managerFish = `
complete -c azfilesauthmanager -f
complete -c azfilesauthmanager -n 'test (count (commandline -opc)) -eq 1' -a 'set clear list --version --help'
complete -c azfilesauthmanager -n 'test (count (commandline -opc)) -eq 2; and __fish_seen_subcommand_from set clear' -a "(` + managerURIs + `)"
complete -c azfilesauthmanager -n '__fish_seen_subcommand_from list' -l json
for flag in system workload-identity force verbose
  complete -c azfilesauthmanager -n '__fish_seen_subcommand_from set' -l $flag
end
for flag in imds-client-id imds-object-id imds-resource-id identity-endpoint tenant-id client-id authority-host resource
  complete -c azfilesauthmanager -n '__fish_seen_subcommand_from set' -l $flag -x
end
complete -c azfilesauthmanager -n '__fish_seen_subcommand_from set' -l token-file -r -F
`

// addManager adds the completions of azfilesauthmanager to the script for a shell.
func addManager(script, shell string) string {
	switch shell {
	case "bash":
		return script + managerBash
	case "fish":
		return script + managerFish
	default: // zsh finds this file for both names by its first line, and runs its last lines for the first of them
		script = strings.Replace(script, "#compdef azfilesauth\n", "#compdef azfilesauth azfilesauthmanager\n", 1)
		return strings.Replace(script, "\n_azfilesauth()\n{\n", managerZsh+"\n_azfilesauth()\n{\n    [[ ${words[1]:t} == azfilesauthmanager ]] && { _azfilesauthmanager; return }\n", 1)
	}
}
