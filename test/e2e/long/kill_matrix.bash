# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 of each part of husk at each stage of a container: the command that was at work ends in bounded time, and
# `delete --force` afterwards leaves nothing. Prints a table, for docs/reliability.md, and writes it to $KILL_MATRIX.
# The machine's libvirt daemon is among the victims.

# shellcheck source=test/e2e/by_hand.bash
source "$here/by_hand.bash"
# shellcheck source=test/e2e/kill_parts.bash
source "$here/kill_parts.bash"

victims=(husk shim qemu virtiofsd libvirtd keeper)
stages=(create start exec delete)
patience=$((60 * time_factor))  # with a command, in seconds

# Pids of a part that came since $others was noted, one a line; the daemon is there always.
pids_of() {  # VICTIM
  case $1 in
    shim) running husk-shim ;;
    qemu) running 'qemu-system-*' ;;
    virtiofsd) running virtiofsd ;;
    libvirtd) running libvirtd; running virtqemud ;;
    keeper) pgrep -x husk-keeper ;;
  esac | grep -vxF "${others:-none}"
}

prepare() {  # STAGE ID
  [[ $1 != create ]] || return 0
  expect_ok husk create --bundle "$work/bundle" "$2"
  [[ $1 != start ]] || return 0
  expect_ok husk start "$2"
}

command_of() {  # STAGE ID: sets command, and the moment at which the victim dies, in seconds after its begin
  case $1 in
    create) command=(create --bundle "$work/bundle" "$2") moment=0.2 ;;
    start) command=(start "$2") moment=0.01 ;;
    exec) command=(exec "$2" sleep 20) moment=0.5 ;;
    delete) command=(delete --force "$2") moment=0.02 ;;
  esac
}

# `delete` may have ended them itself before they are killed.
check_status() {  # STAGE VICTIM KILLED STATUS
  local stage=$1 victim=$2 killed=$3 status=$4
  [[ $status != 124 ]] || fail "$stage did not end within $patience s"
  [[ $stage == delete || -n $killed ]] || fail "$stage was over before its $victim was killed: status $status"
  [[ $victim != husk || -z $killed ]] || { expect_equal 137 "$status" "status of $stage"; return; }
  # libvirt is asked to start and to end VMs: what runs in one goes on without it.
  case $stage-$victim in
    create-libvirtd | delete-*) ;;
    *-libvirtd) expect_equal 0 "$status" "status of $stage" ;;
    start-*) ;;  # over, before the victim was missed; check_container looks
    *) [[ $killed == late || $status != 0 ]] || fail "$stage went on without its $victim" ;;
  esac
}

# What the death of its victim makes of the container: none of those that carry it can be missed.
check_container() {  # STAGE VICTIM ID STATUS
  case $1-$2 in
    create-libvirtd) [[ $4 != 0 ]] || expect_equal created "$(bounded_state "$3")" "state after create" ;;
    create-husk | delete-* | start-husk) ;;
    exec-husk | *-libvirtd) expect_equal running "$(bounded_state "$3")" "state after $1" ;;
    *)
      if [[ $1 == create && $4 != 0 ]]; then
        [[ ! -e $work/root/$3 ]] || fail "a create that failed left its state"
      else
        eventually 60 eval "[[ \$(bounded_state $3) == stopped ]]"
      fi
      ;;
  esac
}

bounded_state() { timeout "$patience" "$HUSK" --root "$work/root" state "$1" | jq -r .status; }

cell() {  # STAGE VICTIM
  local stage=$1 victim=$2 id=$1-$2 command moment job status begin killed before others known
  echo failed >"$work/cell.$id"
  before=$(snapshot)
  others=""
  [[ $victim == libvirtd || $victim == husk ]] || others=$(pids_of "$victim")
  prepare "$stage" "$id"
  command_of "$stage" "$id"
  # Looking for it takes longer than these do.
  known=()
  [[ ($stage != start && $stage != delete) || $victim == husk ]] || mapfile -t known < <(pids_of "$victim")
  begin=$SECONDS
  timeout --foreground "$patience" "$HUSK" --root "$work/root" "${command[@]}" >"$work/cell.out" 2>&1 </dev/null &
  job=$!
  sleep "$moment"
  killed=$(kill_victim "$victim" "$job")
  wait "$job"
  status=$?
  local took=$((SECONDS - begin))
  echo "${killed:-not there}, status $status, $took s: $(head -c 300 "$work/cell.out" | tr '\n' ' ')"
  check_status "$stage" "$victim" "$killed" "$status"
  check_container "$stage" "$victim" "$id" "$status"
  start_libvirt_again "again-$id"
  timeout "$patience" "$HUSK" --root "$work/root" delete --force "$id" >"$work/delete.out" 2>&1 </dev/null ||
    fail "delete --force: status $?: $(cat "$work/delete.out")"
  expect_nothing_left "$before"
  if [[ -n $killed ]]; then echo "$status, $took s$([[ $killed == killed ]] || echo ", late")" >"$work/cell.$id"; else echo "–" >"$work/cell.$id"; fi
}

if is_husk; then
  start_libvirt
  at_end end_daemons
  at_end delete_all
  make_bundle "$work/bundle" sh -c 'while true; do sleep 0.2; done'
  make_bundle "$work/short" true
  for stage in "${stages[@]}"; do
    for victim in "${victims[@]}"; do
      eval "cell_${stage}_$victim() { cell $stage $victim; }"
      it "$stage, kill -9 of $victim" "cell_${stage}_$victim" 240
    done
  done
  print_table | tee "${KILL_MATRIX:-/dev/null}"
fi
