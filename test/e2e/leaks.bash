# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Containers that end in every bad way; the harness then looks whether the machine is as before. (It does so
# after every topic; this one is for the endings that no other topic has.)

# shellcheck source=test/e2e/by_hand.bash
source "$here/by_hand.bash"

vm_of_new_container() {  # prints the pid of the QEMU that is not in $1 (a list of pids)
  local directory pid name
  for directory in /proc/[0-9]*; do
    pid=${directory#/proc/} name=''
    # Without a process for each: a poll must be faster than a create.
    { read -r name <"$directory/comm"; } 2>/dev/null
    [[ $name == qemu-system-* && " $1 " != *" $pid "* ]] && echo "$pid"
  done
}

vms() { vm_of_new_container "" | tr '\n' ' '; }

killed_vm() {
  local before vm
  before=$(vms)
  begin dead sleep 1000
  vm=$(vm_of_new_container "$before")
  expect_match '^[0-9]+$' "$vm" "pid of the new QEMU"
  kill -KILL "$vm"
  eventually 20 is_state dead stopped
  expect_failure 1 "container not running" husk kill dead
  expect_ok husk delete dead
}

killed_shim() {
  begin orphan sleep 1000
  kill -KILL "$(cat "$work/orphan.pid")"
  eventually 20 is_state orphan stopped
  expect_ok husk delete --force orphan
}

# The create is killed at several moments; what it had made must go with a delete --force, and the id be free again.
killed_create() {
  make_bundle "$work/half" sleep 1000
  local delay
  for delay in 0.02 0.1 0.4 1.0 2.0; do
    # shellcheck disable=SC2094
    husk create --bundle "$work/half" half >"$work/half.out" 2>&1 </dev/null &
    local creator=$!
    sleep "$delay"
    # The function runs in a shell of its own: its child is husk.
    pkill -KILL -P "$creator" || kill -KILL "$creator"
    wait "$creator"
    # Where everything is emulated, libvirt may not come to it within the 10 s that husk gives it: once more.
    ((time_factor == 1)) || husk delete --force half || sleep 20
    expect_ok husk delete --force half
    [[ ! -e $work/root/half ]] || fail "delete --force left the state of a create killed after $delay s"
  done
  expect_ok husk create --bundle "$work/half" half
  expect_ok husk delete --force half
}

# Ctrl-C and the like at several moments of create, and of run before its container started.
interrupted() {
  local command signal delay status before
  before=$(vms)
  make_bundle "$work/cut" sleep 1000
  # Longer than the last moment, so that it always comes before the end.
  edit_config "$work/cut" '.hooks.prestart = [{"path": "/bin/sleep", "args": ["sleep", "3"]}]'
  for command in create run; do
    for signal in INT TERM; do
      for delay in 0.05 0.3 1 2; do
        # bash lets its background jobs ignore SIGINT.
        env --default-signal=INT timeout --foreground 60 "$HUSK" --root "$work/root" "$command" --bundle "$work/cut" cut \
          >"$work/cut.out" 2>&1 </dev/null &
        local job=$! husk= start=$SECONDS
        sleep "$delay"
        husk=$(pgrep -x husk -P "$job")
        kill "-$signal" "$husk" || fail "$command ended before $delay s: $(cat "$work/cut.out")"
        wait "$job"
        status=$?
        # At 0.05 s it may not have come to its signals yet, and is ended by them: nothing was made then.
        [[ $status == $((128 + $(kill -l "$signal"))) ]] || fail "$command, $signal at $delay s: exit status $status"
        ((SECONDS - start <= 20)) || fail "$command, $signal at $delay s: took $((SECONDS - start)) s"
        [[ ! -e $work/root/cut ]] || fail "$command, $signal at $delay s: the state is left"
        [[ $(vms) == "$before" ]] || fail "$command, $signal at $delay s: a VM is left"
      done
    done
  done
  edit_config "$work/cut" 'del(.hooks) | .process.args = ["true"]'
  expect_ok husk run --bundle "$work/cut" cut
}

# No husk knows the VM that libvirt was starting when the create was killed; its keeper ends it by itself.
abandoned_vm() {
  make_bundle "$work/abandoned" sleep 1000
  local before vm="" creator
  before=$(vms)
  setsid "$HUSK" --root "$work/root" create --bundle "$work/abandoned" abandoned >"$work/abandoned.out" 2>&1 </dev/null &
  creator=$!
  for _ in {1..2000}; do
    vm=$(vm_of_new_container "$before")
    [[ -z $vm ]] || break
    sleep 0.01
  done
  kill -KILL "$creator" || fail "create ended too soon: $(cat "$work/abandoned.out")"
  wait "$creator"
  [[ -n $vm ]] || fail "no VM was started"
  eventually 20 eval "[[ -z \$(vm_of_new_container '$before') ]]"
  expect_ok husk delete --force abandoned
}

delete_twice_at_once() {
  begin twice sleep 1000
  husk delete --force twice >/dev/null 2>&1 &
  local first=$!
  expect_ok husk delete --force twice
  wait "$first"
  expect_equal 0 $? "exit status of the other delete --force"
  expect_failure 1 "container does not exist" husk state twice
}

# The knowledge of what runs is not thrown away with a record that cannot be read.
other_records() {
  local before record
  before=$(vms)
  begin newer sleep 1000
  record=$work/root/newer/state.json
  cp "$record" "$work/good.json"
  echo "nothing that is JSON" >"$record"
  expect_failure 1 "$record" husk delete --force newer
  kill -0 "$(cat "$work/newer.pid")" || fail "the container ended although delete failed"
  jq '.version = 99 | .hooks = "another shape"' "$work/good.json" >"$record"
  expect_failure 1 "version 99" husk delete newer
  expect_ok husk delete --force newer
  is_gone "$(cat "$work/newer.pid")" || fail "the shim is left"
  expect_equal "$before" "$(vms)" "VMs after the delete --force"
  [[ ! -e $work/root/newer ]] || fail "the state is left"
  mkdir -p "$work/root/stray"
  expect_ok husk delete --force stray
  [[ ! -e $work/root/stray ]] || fail "a stray directory is left"
}

# The VM's own record may go as well: the VM is found by its name, which follows from its id.
lost_vm_record() {
  local before vm id=lost state record text
  before=$(vms)
  for text in "" "nothing that is JSON" '{"version": 99, "process": {"pid": 1}}'; do
    id+=_again
    begin "$id" sleep 1000
    vm=$(vm_of_new_container "$before")
    state=$work/root/$id/state.json
    record=/run/husk-vm/$(jq -r .vmId "$state")/vm.json
    expect_equal "600 root $id" "$(stat -c '%a %U' "$record") $(jq -r '.members[].id' "$record")" "the VM's record"
    expect_equal null "$(jq -c .vm "$state")" "the VM in the container's record"
    rm "$record"
    [[ -z $text ]] || echo "$text" >"$record"
    expect_ok timeout 30 "$HUSK" --root "$work/root" delete --force "$id"
    is_gone "$vm" || fail "the VM is left"
    is_gone "$(cat "$work/$id.pid")" || fail "the shim is left"
    [[ ! -e ${record%/*} ]] || fail "the VM's folder is left"
  done
}

# A create that hangs holds the lock; delete --force ends it first.
hanging_create() {
  make_bundle "$work/hang" true
  edit_config "$work/hang" '.hooks.prestart = [{"path": "/bin/sleep", "args": ["sleep", "4242"]}]'
  husk create --bundle "$work/hang" hang >"$work/hang.out" 2>&1 </dev/null &
  local creator=$!
  eventually 60 pgrep -f '^sleep 4242$'
  expect_failure 1 "the container is locked by another command" husk delete hang
  expect_ok husk delete --force hang
  wait "$creator"
  expect_failure 1 "container does not exist" husk state hang
  pkill -f '^sleep 4242$' || true  # a hook outlives a husk that is killed, as with runc
}

reused_id() {
  local i
  make_bundle "$work/again" sh -c 'echo once'
  for i in 1 2 3; do
    expect_ok husk run --bundle "$work/again" again
    expect_equal once "$out" "output of run $i"
  done
}

is_husk || report skip "about husk's VMs" ""
if is_husk; then
  start_libvirt
  at_end delete_all
  it "a VM that is killed" killed_vm 120
  it "a shim that is killed" killed_shim
  it "a create that is killed half-way" killed_create 400
  it "create and run that are interrupted" interrupted 500
  it "a VM whose husk is killed while it starts" abandoned_vm 120
  it "two deletes at once" delete_twice_at_once 120
  it "records of another version, and no records" other_records 120
  it "a VM whose record is lost" lost_vm_record 120
  it "a create that hangs" hanging_create 120
  it "the same id again and again" reused_id 120
fi
