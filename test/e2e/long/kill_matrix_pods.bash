# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 of each part of husk at each stage of a pod of CRI-O's, without an infra container ("plain") and with one
# ("infra"): the command that was at work ends in bounded time, what was not hit goes on, another pod does in any case,
# and the pod's end leaves nothing. Prints two tables, for docs/reliability.md, and writes them to $KILL_MATRIX.

# shellcheck source=test/e2e/by_hand.bash
source "$here/by_hand.bash"
# shellcheck source=test/e2e/crio_pod.bash
source "$here/crio_pod.bash"
# shellcheck source=test/e2e/kill_parts.bash
source "$here/kill_parts.bash"

victims=(husk first second qemu virtiofsd keeper libvirtd)  # first, second: the shims of the pod's two containers
patience=$((60 * time_factor))  # with a command, in seconds
at_once=$((10 * time_factor))   # in seconds: until a pod without its VM has stopped

# The pod's first container is its infra container, where there is one.
first() { if [[ $pod == infra-* ]]; then echo "$pod"; else echo "$pod/one"; fi; }
second() { echo "$pod/two"; }
bounded() { timeout --foreground "$patience" "$HUSK" --root "$work/root" "$@" </dev/null; }
call() { bounded "$1" "$(id_of "$2")" "${@:3}"; }  # COMMAND NAME ARGUMENTS...
remove() { bounded delete --force "$(id_of "$1")"; }  # NAME
state() { call state "$1" 2>/dev/null | jq -r .status; }  # NAME
create() { bounded create --bundle "$(directory_of "$1")" "$(id_of "$1")"; }  # NAME
begin_member() {  # NAME
  { create "$1" && call start "$1"; } >"$work/begin.out" 2>&1 || fail "create and start $1: $(cat "$work/begin.out")"
}
is_state_of() { [[ $(state "$1") == "$2" ]]; }  # NAME STATE
is_ended() { [[ ! $(state "$1") =~ running|created ]]; }  # NAME, which may be gone
forever=(sh -c 'while true; do sleep 0.2; done')

vm_of() { jq -r .vmId "$work/root/$(id_of "$1")/state.json" 2>/dev/null; }  # NAME
shim_of() { call state "$1" 2>/dev/null | jq -r 'select(.pid > 0).pid'; }  # NAME
# The shim of a create that is at work is on no record; it is husk's child.
new_shim() {
  local pid
  for pid in $(pgrep -P "$(pgrep -P "$job" -x husk || echo none)" 2>/dev/null); do
    [[ $(readlink "/proc/$pid/exe") != */husk-shim ]] || echo "$pid"
  done
}
# Of this pod alone: others run on the machine.
pids_of() {  # VICTIM
  local vm
  case $1 in
    libvirtd) running libvirtd; running virtqemud ;;
    first | second) if [[ -n ${job:-} ]]; then new_shim; else shim_of "$("$1")"; fi ;;
    *)
      vm=$(vm_of "$(first)")
      [[ -n $vm ]] || return 0
      part_of_vm "$1" "$vm" ;;
  esac
}

prepare() {  # STAGE
  if [[ $1 == idle ]]; then make_member "$(first)" true; else make_member "$(first)" "${forever[@]}"; fi
  make_member "$(second)" "${forever[@]}"
  case $1 in
    create-first) return ;;
    idle) begin_member "$(first)" && eventually 30 is_state_of "$(first)" stopped ;;
    *) begin_member "$(first)" ;;
  esac
  [[ $1 != idle && $1 != create-second ]] || return 0
  create "$(second)" || fail "create"
  [[ $1 == start ]] || call start "$(second)" || fail "start"
}

command_of() {  # STAGE: sets command, and the moment at which the victim dies, in seconds after its begin
  local first second
  first=$(id_of "$(first)") second=$(id_of "$(second)")
  case $1 in
    create-first) command=(create --bundle "$(directory_of "$(first)")" "$first") moment=0.2 ;;
    create-second) command=(create --bundle "$(directory_of "$(second)")" "$second") moment=0.05 ;;
    idle) command=(create --bundle "$(directory_of "$(second)")" "$second") moment=-1 ;;
    start) command=(start "$second") moment=0 ;;
    exec) command=(exec "$second" sleep 3) moment=0.5 ;;
    delete) command=(delete --force "$second") moment=0.02 ;;
    delete-first) command=(delete --force "$first") moment=0.02 ;;
  esac
}

is_for_all() { [[ $victim == qemu || $victim == virtiofsd || $victim == keeper ]]; }

check_status() {  # STAGE
  [[ $status != 124 ]] || fail "$1 did not end within $patience s"
  # A start whose pod has its network, and a create in a VM that runs, take less time than the look for husk.
  [[ $1 == delete* || $1 == idle || $1-$victim == start-husk || -n $killed ]] ||
    fail "$1 was over before $victim was killed: status $status"
  [[ $victim != husk || -z $killed ]] || { expect_equal 137 "$status" "status of $1"; return; }
  case $1-$victim in
    delete*) expect_equal 0 "$status" "status of $1" ;;
    create-first-libvirtd | create-second-first | start-second | start-first | idle-*) ;;
    *-libvirtd | exec-first) expect_equal 0 "$status" "status of $1" ;;
    start-*) ;;
    *) [[ $killed == late || $status != 0 ]] || fail "$1 went on without $victim" ;;
  esac
  [[ $status == 0 || $status == 137 || $1 == exec ]] || expect_clear "$work/cell.out"
}

# One line that names what is missing.
expect_clear() {  # FILE
  expect_equal 1 "$(wc -l <"$1")" "lines of: $(cat "$1")"
  expect_match "VM|vm|virtual machine|pod|shim|container|libvirt" "$(cat "$1")" "why it failed"
  echo "says: $(cat "$1")"
}

is_running() { [[ $(state "$1") == running ]] && call exec "$1" true; }  # NAME

check_containers() {  # STAGE
  local name start=$SECONDS
  if [[ $1 == idle && $status == 0 ]]; then
    call start "$(second)" || fail "start in a pod that was idle"
    is_running "$(second)" || fail "the second container: $(state "$(second)")"
  elif is_for_all; then
    for name in "$(first)" "$(second)"; do
      eventually "$at_once" is_ended "$name"
    done
    echo "stopped after $((SECONDS - start)) s"
  else
    check_others "$1"
  fi
}

check_others() {  # STAGE
  [[ $1 == create-first || $1 == idle || $1 == delete-first || $victim == first ]] || is_running "$(first)" ||
    fail "the first container: $(state "$(first)")"
  [[ $1 != exec || $victim == second ]] || is_running "$(second)" || fail "the second container: $(state "$(second)")"
  # A shim that dies beside the command.
  case $victim-$1 in
    first-start | first-exec | first-delete) eventually "$at_once" is_state_of "$(first)" stopped ;;
    second-start | second-exec) eventually "$at_once" is_state_of "$(second)" stopped ;;
  esac
}

# A later member works, or is refused in clear words.
check_later() {  # STAGE
  make_member "$pod/late" "${forever[@]}"
  if create "$pod/late" >"$work/late.out" 2>&1; then
    # Without its infra container CRI-O's pod looks like one that never had any: it gets a VM anew.
    call start "$pod/late" || fail "a later member does not start"
    is_running "$pod/late" || fail "a later member was created and does not run"
    echo "a later member works"
  else
    [[ $? != 124 ]] || fail "a later create did not end"
    expect_clear "$work/late.out"
    is_for_all || [[ $victim == first || $1 == create-first || $1 == delete-first ]] || fail "no later member"
  fi
}

end_members() {  # STAGE: the infra container is the last, as CRI-O has it
  local name names=("$pod/late" "$(second)" "$(first)") before=$1
  [[ $before == delete || $before == idle ]] || unpin_namespaces "$pod" || fail "unmount"
  for name in "${names[@]}"; do
    remove "$name" || fail "delete --force $name: $?"
  done
  [[ $pod == infra-* ]] || remove_cgroup "$(infra_cgroup "$pod")" ||
    fail "the pod's cgroup is busy: $(programs_in "$(infra_cgroup "$pod")")"
  unpin_namespaces "$pod" || fail "unmount"
  end_pod "$pod"
}

# Sets status and killed.
work_and_kill() {  # STAGE
  local command=() moment job="" known=() begin
  command_of "$1"
  # Looking for what is there already takes longer than some commands do.
  [[ $victim == husk || $1 == create-first || ($1 == create-second && $victim == second) ]] ||
    mapfile -t known < <(pids_of "$victim")
  begin=$SECONDS
  [[ $moment != -1 || $victim == husk ]] || { kill -KILL "${known[@]}"; killed=killed; }
  timeout --foreground "$patience" "$HUSK" --root "$work/root" "${command[@]}" >"$work/cell.out" 2>&1 </dev/null &
  job=$!
  [[ -n $killed ]] || { sleep "${moment/-1/0.03}"; killed=$(kill_victim "$victim" "$job"); }
  wait "$job"
  status=$?
  took=$((SECONDS - begin))
  echo "${killed:-not there}, status $status, $took s: $(head -c 300 "$work/cell.out" | tr '\n' ' ')"
}

cell() {  # KIND STAGE VICTIM
  local pod=$1-$2-$3 stage=$2 victim=$3 status killed="" took before result=– cell=$work/cell.$1.$2-$3
  echo failed >"$cell"
  before=$(snapshot)
  begin_pod "$pod"
  [[ $1 == infra ]] || drop_infra "$pod"
  prepare "$stage"
  work_and_kill "$stage"
  [[ -z $killed ]] || result="$status, $took s$([[ $killed == killed ]] || echo ", late")"
  check_status "$stage"
  check_containers "$stage"
  is_running witness/one || fail "another pod does not go on"
  start_libvirt_again "again-$pod"
  check_later "$stage"
  end_members "$stage"
  is_running witness/one || fail "another pod went with this one"
  expect_nothing_left "$before"
  echo "$result" >"$cell"
}

# Nobody is there to be killed.
is_cell() {  # KIND STAGE VICTIM
  case $1-$2-$3 in
    *-create-first-second | *-idle-first | *-idle-second | infra-idle-* | plain-delete-first-*) return 1 ;;
  esac
}

is_husk || return 0
start_libvirt
at_end end_daemons
at_end drop_pods
at_end delete_all
make_bundle "$work/short" true
begin_pod witness
drop_infra witness
make_member witness/one "${forever[@]}"
begin_member witness/one
stages=(create-first create-second idle start exec delete delete-first)
for kind in plain infra; do
  for stage in "${stages[@]}"; do
    for victim in "${victims[@]}"; do
      is_cell "$kind" "$stage" "$victim" || { echo "" >"$work/cell.$kind.$stage-$victim"; continue; }
      eval "cell_${kind}_${stage}_$victim() { cell $kind $stage $victim; }"
      it "$kind pod, $stage, kill -9 of $victim" "cell_${kind}_${stage}_$victim" 240
    done
  done
done
for kind in plain infra; do
  echo "$kind:"
  print_table "$kind."
done | tee "${KILL_MATRIX:-/dev/null}"
