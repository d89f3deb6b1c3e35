# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# bash completion for husk. test/command_line/run checks that it has what husk has.
#
# Each command is one entry, and nothing else has to be changed for a new one: its options, with "=KIND" where one
# takes a value, then the KIND of each word that follows. -h and --help need not be named. The entry "-" is for what
# stands before the command. A KIND is
#   directory, file, id, signal, command   what it says
#   a|b                                    one of these words
#   any                                    nothing can be proposed
#   rest                                   here husk's own words end: the others belong to another program
declare -gA _husk_takes=(
  [-]="-v --version --debug --systemd-cgroup --root=directory --config=file --log=file --log-format=text|json
    --rootless=any --criu=file command"
  [check]="--json"
  [create]="-b=directory --bundle=directory --pid-file=file --console-socket=file --pidfd-socket=file
    --preserve-fds=any --no-pivot --no-new-keyring --trace=file any"
  [delete]="-f --force --trace=file id"
  [env]=" "
  [exec]="-p=file --process=file --cwd=any -e=any --env=any -u=any --user=any -g=any --additional-gids=any -c=any
    --cap=any --no-new-privs -t --tty -d --detach --console-socket=file --pid-file=file --cgroup=any
    --pidfd-socket=file --preserve-fds=any --ignore-paused --process-label=any --apparmor=any id rest"
  [events]="--interval=any --stats id"
  [features]=" "
  [kill]="-a --all id signal"
  [list]="-f=table|json --format=table|json -q --quiet"
  [pause]="id"
  [pool]="--json --no-wait fill|drain|status"
  [ps]="-f=table|json --format=table|json id rest"
  [resume]="id"
  [run]="-b=directory --bundle=directory --pid-file=file --console-socket=file --pidfd-socket=file
    --preserve-fds=any --no-pivot --no-new-keyring -d --detach --keep --no-subreaper --trace=file any"
  [setup]="--file=file --remove -y --yes docker"
  [spec]="-b=directory --bundle=directory --rootless"
  [start]="--trace=file id"
  [state]="id"
  [update]="-r=file --resources=file --memory=any --memory-reservation=any --memory-swap=any --cpu-period=any
    --cpu-quota=any --cpu-burst=any --cpu-share=any --cpu-idle=any --pids-limit=any --blkio-weight=any
    --cpu-rt-period=any --cpu-rt-runtime=any --cpuset-cpus=any --cpuset-mems=any --kernel-memory=any
    --kernel-memory-tcp=any --l3-cache-schema=any --mem-bw-schema=any id"
)

_husk_signals="HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP
  TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS RTMIN RTMAX"

# Sets line to the words up to the cursor. Readline makes three of "--root=/x": they are one again.
_husk_read_line() {
  local i
  line=("${COMP_WORDS[0]}")
  for ((i = 1; i <= COMP_CWORD; i++)); do
    if [[ ${COMP_WORDS[i]} == "=" && ${#line[@]} -gt 1 ]]; then
      line[-1]+="="
      ((++i > COMP_CWORD)) || line[-1]+=${COMP_WORDS[i]}
    else
      line+=("${COMP_WORDS[i]}")
    fi
  done
}

# Sets kind to that of the option's value; empty if it takes none.
_husk_kind_of_option() {  # COMMAND OPTION
  local item
  kind=""
  for item in ${_husk_takes[$1]}; do
    [[ $item != "$2="* ]] || kind=${item#*=}
  done
}

# Sets kind to that of the word after COUNT others; empty if there is no such word.
_husk_kind_of_word() {  # COMMAND COUNT
  local item count=0
  kind=""
  for item in ${_husk_takes[$1]}; do
    [[ $item != -* ]] || continue
    [[ $item == rest || $count == "$2" ]] && { kind=$item; return; }
    count=$((count + 1))
  done
}

_husk_ids() {
  local directory
  directory=$(xargs -r printf %s <<<"$root" 2>/dev/null)  # without the quotes of the line
  # shellcheck disable=SC2088  # what was typed
  [[ $directory != "~/"* ]] || directory=$HOME/${directory:2}
  "$program" ${directory:+--root "$directory"} list --quiet 2>/dev/null
}

_husk_words_of() {  # KIND
  case $1 in
    id) _husk_ids ;;
    command) printf '%s\n' "${!_husk_takes[@]}" | grep -v '^-$' ;;
    signal)
      tr -s ' \n' '\n' <<<"$_husk_signals"
      # Both forms, but not twice the list when nothing was typed.
      [[ -z $current ]] || tr -s ' \n' '\n' <<<"$_husk_signals" | sed 's/^/SIG/'
      ;;
    *"|"*) tr '|' '\n' <<<"$1" ;;
  esac
}

_husk_propose() {  # KIND
  local word
  case $1 in
    directory) compopt -o dirnames ;;
    file) compopt -o default ;;
    *)
      while read -r word; do
        [[ -z $word || $word != "$current"* ]] || COMPREPLY+=("$word")
      done < <(_husk_words_of "$1")
      ;;
  esac
}

_husk_propose_options() {  # COMMAND
  local item
  for item in -h --help ${_husk_takes[$1]}; do
    [[ $item != -* || $item != "$current"* ]] || COMPREPLY+=("${item%%=*}")
  done
}

_husk() {
  local IFS=$' \t\n' program=$1 command=- root="" count=0 kind="" option="" current word
  local -a line
  COMPREPLY=()
  _husk_read_line
  current=${line[-1]}
  unset 'line[-1]'
  for word in "${line[@]:1}"; do
    if [[ -n $kind ]]; then
      [[ $command$option != ---root ]] || root=$word
      kind=""
    elif [[ $word == -*=* ]]; then
      [[ $command$word != ---root=* ]] || root=${word#*=}
    elif [[ $word == -* ]]; then
      option=$word
      _husk_kind_of_option "$command" "$option"
    elif [[ $command == - ]]; then
      command=$word
      [[ -n ${_husk_takes[$command]:-} ]] || return 0
    else
      count=$((count + 1))
    fi
  done
  if [[ -n $kind ]]; then
    _husk_propose "$kind"
    return
  fi
  _husk_kind_of_word "$command" "$count"
  if [[ $current == --*=* && $kind != rest ]]; then
    option=${current%%=*} current=${current#*=}
    _husk_kind_of_option "$command" "$option"
    _husk_propose "$kind"
  elif [[ $current == -* && $kind != rest ]]; then
    _husk_propose_options "$command"
  else
    _husk_propose "$kind"
  fi
}

complete -F _husk husk
