# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Guests, file servers and readers that stand still: what the host wants to end, ends, in bounded time.

husk() { "$HUSK" --root "$work/root" "$@"; }
is_state() { [[ $(husk state "$1" | jq -r .status) == "$2" ]]; }

record() { jq -r "$2" "$work/root/$1/state.json"; }  # ID JQ_FILTER
qemu_of() { record "$1" .vm.process.pid; }
virtiofsd_of() { record "$1" '.vm.helpers[].pid'; }

is_gone() {  # PID
  [[ ! -d /proc/$1 || $(cut -d' ' -f3 "/proc/$1/stat" 2>/dev/null) == Z ]]
}

begin() {  # ID COMMAND...
  local id=$1
  shift
  make_bundle "$work/$id" "$@"
  husk run --detach --bundle "$work/$id" --pid-file "$work/$id.pid" "$id" >"$work/$id.out" 2>&1 </dev/null ||
    fail "run --detach $id: $(cat "$work/$id.out")"
}

expect_within() {  # SECONDS COMMAND...
  local limit=$1 start=$SECONDS
  shift
  expect_ok timeout $((limit * 3)) "$HUSK" --root "$work/root" "$@"
  ((SECONDS - start <= limit)) || fail "took $((SECONDS - start)) s instead of $limit: $*"
}

expect_killed() {  # ID
  expect_within 15 kill "$1" KILL
  is_state "$1" stopped || fail "not stopped after kill KILL"
  expect_failure 1 "container not running" husk kill "$1" TERM
  expect_within 20 delete "$1"
  expect_failure 1 "container does not exist" husk state "$1"
}

stopped_qemu() {
  begin still sleep 1000
  kill -STOP "$(qemu_of still)"
  expect_failure 1 "the guest did not take signal 15" husk kill still TERM
  is_state still running || fail "the container is not running any more"
  expect_killed still
}

stopped_virtiofsd() {
  begin files sh -c 'while true; do cat /bin/busybox >/dev/null; echo 3 >/tmp/x; sleep 0.1; done'
  local pid
  for pid in $(virtiofsd_of files); do kill -STOP "$pid"; done
  sleep 1
  expect_killed files
}

stalled_reader() {
  mkfifo "$work/flood.fifo"
  sleep 1000 <>"$work/flood.fifo" &
  local reader=$!
  make_bundle "$work/flood" sh -c 'while true; do echo a line that nobody reads; done'
  husk run --detach --bundle "$work/flood" flood >"$work/flood.fifo" 2>&1 </dev/null || fail "run --detach flood"
  sleep 2
  expect_killed flood
  kill "$reader"
}

# The taken-over guest: it does not power off when its owner goes. No husk command helps.
guest_outlives_shim() {
  begin robbed sleep 1000
  local qemu helpers pid
  qemu=$(qemu_of robbed) helpers=$(virtiofsd_of robbed)
  kill -STOP "$qemu"
  kill -KILL "$(cat "$work/robbed.pid")"
  eventually 10 is_gone "$qemu"
  for pid in $helpers; do eventually 5 is_gone "$pid"; done
  eventually 5 eval '! pgrep -x husk-keeper'
  expect_ok husk delete robbed
}

signal_zero() {
  begin asked sleep 1000
  expect_ok husk kill asked 0
  expect_ok husk kill asked KILL
  eventually 20 is_state asked stopped
  expect_failure 1 "container not running" husk kill asked 0
  expect_ok husk kill --all asked KILL
  expect_ok husk delete asked
}

delete_all() {
  local id
  for id in "$work"/root/*/; do
    husk delete --force "$(basename "$id")"
  done
}

is_husk || report skip "about husk's VMs" ""
if is_husk; then
  start_libvirt
  at_end delete_all
  it "kill -9 of a container whose QEMU stands still" stopped_qemu 120
  it "kill -9 of a container whose virtiofsd stands still" stopped_virtiofsd 120
  it "kill -9 of a container whose output nobody reads" stalled_reader 120
  it "a VM that does not power off ends after its shim" guest_outlives_shim 120
  it "signal 0 asks whether the container is there" signal_zero
fi
