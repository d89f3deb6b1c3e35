# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 of a part of husk while a command is at work, for topics that have $victims, $stages and $patience, a function
# `pids_of VICTIM`, and a cell of a table for each stage and victim, in $work/cell.[PREFIX]STAGE-VICTIM.

# Pids of a program, whatever name it gave itself.
running() {  # PATTERN
  local process program
  while read -r process program; do
    # shellcheck disable=SC2053  # a pattern
    [[ ${program% (deleted)} != */$1 ]] || echo "${process##*/}"
  done < <(find /proc/[0-9]*/exe -maxdepth 0 -printf '%h %l\n' 2>/dev/null)
}

# Pids of a part of that VM alone: others run on the machine.
part_of_vm() {  # VICTIM VM
  case $1 in
    qemu) pgrep -f "^[^ ]*qemu-system-.*husk-$2" ;;
    virtiofsd) pgrep -f "virtiofsd .*$2" ;;
    keeper) pgrep -f "^([^ ]*/)?husk-keeper $2" ;;
  esac
}

# One of the machine's without the husks that reap for libvirt's daemons, started on demand: they end later.
snapshot() {
  local pid
  snapshot_machine | grep -v '^process husk$'
  for pid in $(running husk); do
    pgrep -P "$pid" '^(lib)?virt.*d$' >/dev/null || echo "process husk"
  done
}

# Kills what was $known before the command, or else what comes with it, and says "killed", or "late" where the command
# had ended by then.
kill_victim() {  # VICTIM JOB
  local i pids word
  if [[ ${#known[@]} != 0 ]]; then
    if is_gone "$2"; then word=late; else word=killed; fi
    kill -KILL "${known[@]}" 2>/dev/null && echo "$word"
    return
  fi
  for ((i = 0; i < 500; i++)); do
    if [[ $1 == husk ]]; then mapfile -t pids < <(pgrep -P "$2" -x husk); else mapfile -t pids < <(pids_of "$1"); fi
    if [[ ${#pids[@]} != 0 ]]; then
      if is_gone "$2"; then word=late; else word=killed; fi
      kill -KILL "${pids[@]}" 2>/dev/null && { echo "$word"; return; }
    fi
    is_gone "$2" && return
    sleep 0.01
  done
}

# It may have been the victim.
start_libvirt_again() {  # ID
  libvirt_listens && return
  "$HUSK" --root "$work/root" run --bundle "$work/short" "$1" >"$work/again.out" 2>&1 </dev/null ||
    fail "husk does not start libvirt again: $(cat "$work/again.out")"
}

expect_nothing_left() {  # SNAPSHOT
  local left i
  for ((i = 0; i < 50 * time_factor; i++)); do
    left=$(comm -13 <(echo "$1" | LC_ALL=C sort) <(snapshot | LC_ALL=C sort))
    [[ -n $left ]] || return 0
    sleep 0.2
  done
  fail "left: $left"
}

print_table() {  # [PREFIX_OF_STAGE]
  local stage victim row
  row="| killed at |"
  for stage in "${stages[@]}"; do row+=" \`$stage\` |"; done
  echo "$row"
  echo "|$(printf -- '---|%.0s' - "${stages[@]}")"
  for victim in "${victims[@]}"; do
    row="| $victim |"
    for stage in "${stages[@]}"; do row+=" $(cat "$work/cell.${1:-}$stage-$victim" 2>/dev/null || echo 'not run') |"; done
    echo "$row"
  done
}

end_daemons() {
  local file
  for file in /run/libvirtd.pid /run/virtlogd.pid; do
    [[ ! -s $file ]] || kill "$(cat "$file")"
  done
}
