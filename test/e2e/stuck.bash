# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Guests, file servers and readers that stand still: what the host wants to end, ends, in bounded time.

# shellcheck source=test/e2e/by_hand.bash
source "$here/by_hand.bash"

record() { jq -r "$2" "/run/husk-vm/$(jq -r .vmId "$work/root/$1/state.json")/vm.json"; }  # ID JQ_FILTER
qemu_of() { record "$1" .process.pid; }
virtiofsd_of() { record "$1" '.helpers[].pid'; }

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

# A file system whose server answers nothing, as that of a dead NFS server.
mount_dead_filesystem() {  # DIRECTORY
  /usr/bin/python3 - "$1" <<'END' &
import ctypes, os, sys, time
server = os.open("/dev/fuse", os.O_RDWR)
options = b"fd=%d,rootmode=40000,user_id=0,group_id=0" % server
if ctypes.CDLL(None, use_errno=True).mount(b"dead", os.fsencode(sys.argv[1]), b"fuse", 0, options):
    sys.exit(os.strerror(ctypes.get_errno()))
time.sleep(300)  # of a test that fails
END
  dead_server=$!
  eventually 10 grep -qF " $1 " /proc/self/mountinfo
}

# The volume shows what the host mounts in it later.
dead_volume() {
  mkdir -p "$work/volume/"{there,alive}
  mount --bind "$work/volume" "$work/volume"
  mount --make-shared "$work/volume"
  make_bundle "$work/waiting" sh -c 'n=0; while sleep 0.1; do n=$((n + 1)); echo $n >/volume/alive/count; done'
  edit_config "$work/waiting" '.mounts += [{destination: "/volume", source: $volume, type: "bind", options: ["rbind", "rslave"]}]' --arg volume "$work/volume"
  expect_ok husk run --detach --bundle "$work/waiting" waiting
  mount_dead_filesystem "$work/volume/there"
  husk exec waiting cat /volume/there/file >"$work/waits.out" 2>&1 </dev/null &
  local reader=$! count
  sleep 3
  ! is_gone "$reader" || fail "the dead file system answers: $(cat "$work/waits.out")"
  count=$(cat "$work/volume/alive/count")
  # The file is empty for a moment each time.
  eventually 10 eval 'now=$(cat "$work/volume/alive/count"); [[ -n $now && $now != "$count" ]]'
  expect_killed waiting
  kill "$dead_server"
  wait "$reader" "$dead_server" || true
  umount --lazy "$work/volume"
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

# Others on the machine may use the daemon: it stands still as short as possible.
stopped_libvirtd() {
  local daemon
  daemon=$(pgrep -x 'libvirtd|virtqemud' | sed -n 1p)
  local vm qemu helpers pid
  vm=husk-$(jq -r .vmId "$work/root/cut/state.json") qemu=$(qemu_of cut) helpers=$(virtiofsd_of cut)
  kill -STOP "$daemon"
  trap 'kill -CONT $daemon' EXIT
  # delete does not need libvirt, and does not wait for it: a process of its own goes on asking.
  expect_within 10 delete --force cut
  is_gone "$qemu" || fail "QEMU is still there"
  for pid in $helpers; do is_gone "$pid" || fail "virtiofsd is still there"; done
  expect_failure 1 "container does not exist" husk state cut
  make_bundle "$work/uncut" true
  expect_failure 1 "libvirt did not answer within 60 s" timeout 120 "$HUSK" --root "$work/root" create --bundle "$work/uncut" uncut
  expect_failure 1 "container does not exist" husk state uncut
  kill -CONT "$daemon"
  trap - EXIT
  eventually 20 eval '[[ ! -e /run/libvirt/qemu/$vm.xml ]]'
  # What libvirt notes about the VM's end when it goes on, after husk has cleaned up.
  rm -f "/var/log/libvirt/qemu/$vm.log"
}

# The guest is up long before the host comes; it used to power off after 60 s.
long_hook() {
  make_bundle "$work/hooked" true
  edit_config "$work/hooked" '.hooks.prestart = [{"path": "/bin/sh", "args": ["sh", "-c", $script]}]' \
    --arg script "touch $work/hooked.waits && sleep 75 && touch $work/hooked.over"
  expect_ok husk run --bundle "$work/hooked" hooked
  [[ -e $work/hooked.over ]] || fail "the hook did not run to its end"
}

# A guest that does not answer to start: the state must not say "created" of what may run later.
stuck_start() {
  kill -STOP "$(qemu_of late)"
  expect_failure 1 "the guest did not start the container, which was ended" \
    timeout 150 "$HUSK" --root "$work/root" start late
  expect_equal stopped "$(husk state late | jq -r .status)" "state"
  expect_ok husk delete late
}

# Each takes a minute and more of waiting: side by side, each with a VM of its own that is up before libvirtd
# stands still.
long_waits() {
  (long_hook) >"$work/hooked.log" 2>&1 &
  local hook=$! start daemon
  eventually 60 test -e "$work/hooked.waits"
  make_bundle "$work/late" sleep 1000
  husk create --bundle "$work/late" late >"$work/late.out" 2>&1 </dev/null || fail "create late"
  begin cut sleep 1000
  (stuck_start) >"$work/late.log" 2>&1 &
  start=$!
  (stopped_libvirtd) >"$work/cut.log" 2>&1 &
  daemon=$!
  wait "$daemon" || fail "libvirtd stands still: $(cat "$work/cut.log")"
  wait "$start" || fail "start of a guest that stands still: $(cat "$work/late.log")"
  wait "$hook" || fail "a prestart hook longer than a minute: $(cat "$work/hooked.log")"
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

is_husk || report skip "about husk's VMs" ""
if is_husk; then
  start_libvirt
  at_end delete_all
  it "kill -9 of a container whose QEMU stands still" stopped_qemu 120
  it "kill -9 of a container whose virtiofsd stands still" stopped_virtiofsd 120
  it "a file system of a volume that does not answer: other files do, and kill -9 works" dead_volume 120
  it "kill -9 of a container whose output nobody reads" stalled_reader 120
  it "a VM that does not power off ends after its shim" guest_outlives_shim 120
  it "a prestart hook longer than a minute, start of a guest that stands still, delete and create with such a libvirtd" long_waits 300
  it "signal 0 asks whether the container is there" signal_zero
fi
