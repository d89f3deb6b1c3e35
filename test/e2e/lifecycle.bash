# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# husk by hand: every command, and each refused in the states in which runc refuses it, with runc's words.

# shellcheck source=test/e2e/by_hand.bash
source "$here/by_hand.bash"

# The container's streams are files: with a pipe, `create` would seem to hang as long as it lives.
create() {  # ID BUNDLE FLAGS...
  local id=$1 bundle=$2
  shift 2
  husk create --bundle "$bundle" --pid-file "$work/$id.pid" "$@" "$id" >"$work/$id.out" 2>"$work/$id.err" </dev/null ||
    fail "create $id: $(cat "$work/$id.err")"
}

demand() {
  is_husk || skip "about libvirt"
  ! uses_ch || skip "about the daemon of libvirt's QEMU driver"
  # One that another test's husk started goes by itself when it has been idle; asking it would keep it. Without
  # systemd, which starts one with the same arguments, it is ended at once.
  if pgrep -f '^/usr/sbin/libvirtd --timeout' >/dev/null; then
    [[ -d /run/systemd/system ]] || kill "$(cat /run/libvirtd.pid)"
    echo "waiting for the idle daemon to end"
    for _ in {1..150}; do
      pgrep -x libvirtd >/dev/null || break
      sleep 1
    done
  fi
  pgrep -x 'libvirtd|virtqemud' >/dev/null && skip "a libvirt daemon is running already"
  local before
  before=$(pgrep -x virtlogd)
  # Two at once: one starts the daemons, the other waits for it.
  make_bundle "$work/demand" true
  make_bundle "$work/demand2" true
  husk run --bundle "$work/demand2" demand2 >"$work/demand2.out" 2>&1 </dev/null &
  local other=$!
  expect_ok husk run --bundle "$work/demand" demand
  wait "$other" || fail "the other of two that start the daemon: $(cat "$work/demand2.out")"
  libvirt_listens || fail "husk ran a VM, but no libvirt daemon listens"
  # They would go by themselves, but only after two minutes.
  # Waited for until they are gone: the next test starts its own, which needs their pid files.
  local daemon
  daemon=$(cat /run/libvirtd.pid)
  kill "$daemon"
  wait_gone "$daemon"
  [[ -n $before ]] && return
  daemon=$(cat /run/virtlogd.pid)
  kill "$daemon"
  wait_gone "$daemon"
}

whole_life() {
  make_bundle "$work/life" sh -c 'uname -r; exec sleep 1000'
  create life "$work/life"
  expect_match '^[0-9]+$' "$(cat "$work/life.pid")" "pid file"
  expect_equal "$(wc -c <"$work/life.pid")" "$(tr -d '\n' <"$work/life.pid" | wc -c)" "pid file without a newline: bytes"
  expect_ok husk state life
  local pid
  pid=$(cat "$work/life.pid")
  expect_equal "created $pid life $work/life $work/life/rootfs" "$(jq -r '"\(.status) \(.pid) \(.id) \(.bundle) \(.rootfs)"' <<<"$out")" "state"
  expect_match '^20[0-9-]+T[0-9:]+(\.[0-9]+)?Z$' "$(jq -r .created <<<"$out")" "created"
  kill -0 "$pid" || fail "no process $pid after create"
  expect_equal "" "$(cat "$work/life.out")" "output before start"

  expect_failure 1 "container with given ID already exists" husk create --bundle "$work/life" life
  expect_ok husk start life
  expect_equal running "$(state_of life)" "status after start"
  eventually 20 test -s "$work/life.out"
  expect_guest_kernel "$(cat "$work/life.out")"
  expect_failure 1 "cannot start an already running container" husk start life
  expect_failure 1 "cannot delete container life that is not stopped: running" husk delete life
  expect_equal running "$(state_of life)" "status after a refused delete"

  expect_ok husk kill life KILL
  eventually 20 is_state life stopped
  expect_equal 0 "$(husk state life | jq .pid)" "pid of a stopped container"
  expect_failure 1 "container not running" husk kill life
  expect_failure 1 "cannot start a container that has stopped" husk start life
  expect_failure 1 "container with given ID already exists" husk create --bundle "$work/life" life
  expect_ok husk delete life
  expect_failure 1 "container does not exist" husk state life
  [[ ! -e $work/root/life ]] || fail "delete left $work/root/life"
}

created_can_be_deleted() {
  make_bundle "$work/fresh" sleep 1000
  create fresh "$work/fresh"
  local pid
  pid=$(cat "$work/fresh.pid")
  expect_ok husk delete --force fresh
  eventually 10 eval "! kill -0 $pid"
  expect_failure 1 "container does not exist" husk state fresh
  create fresh "$work/fresh"
  expect_ok husk delete --force fresh
}

created_can_be_killed() {
  make_bundle "$work/parked" sleep 1000
  create parked "$work/parked"
  expect_ok husk kill parked KILL
  eventually 20 is_state parked stopped
  expect_ok husk delete parked
}

unknown_ids() {
  local command
  for command in state start kill pause resume delete; do
    expect_failure 1 "container does not exist" husk "$command" nobody
  done
  expect_ok husk delete --force nobody
}

signals() {
  make_bundle "$work/signals" sh -c 'trap "echo usr1" USR1; trap "echo hup" HUP; trap "echo term; exit 7" TERM
    trap "echo real-time first" 35; trap "echo real-time last" 64; echo ready; while true; do sleep 0.1; done'
  create signals "$work/signals"
  expect_ok husk start signals
  eventually 20 grep -q ready "$work/signals.out"
  expect_ok husk kill signals USR1
  eventually 10 grep -q usr1 "$work/signals.out"
  expect_ok husk kill signals 1
  eventually 10 grep -q hup "$work/signals.out"
  expect_ok husk kill signals SIGRTMIN+1
  eventually 10 grep -q "real-time first" "$work/signals.out"
  expect_ok husk kill signals rtmax
  eventually 10 grep -q "real-time last" "$work/signals.out"
  expect_failure 1 "" husk kill signals NOSUCHSIGNAL
  expect_ok husk kill signals sigterm
  eventually 20 is_state signals stopped
  expect_contains term "$(cat "$work/signals.out")" "output"
  expect_ok husk delete signals
}

# Its processes stand still, its VM does not; what is said to it meanwhile is runc's.
pausing() {
  make_bundle "$work/pausing" sh -c 'trap "echo term; exit 7" TERM; while true; do echo x >>/count; sleep 0.05; done'
  create pausing "$work/pausing"
  expect_failure 1 "container not paused" husk resume pausing
  expect_ok husk start pausing
  eventually 20 test -s "$work/pausing/rootfs/count"
  expect_ok husk pause pausing
  expect_equal "" "$out$err" "what pause prints"
  expect_equal paused "$(state_of pausing)" "state"
  expect_contains paused "$(husk list)" "list"
  local before
  before=$(stat -c %s "$work/pausing/rootfs/count")
  expect_failure 1 "container not running" husk pause pausing
  expect_failure 1 "cannot start a container in the paused state" husk start pausing
  expect_failure 1 "cannot delete container pausing that is not stopped: paused" husk delete pausing
  expect_failure 255 "cannot exec in a paused container" husk exec pausing true
  expect_ok husk ps --format json pausing
  sleep 1
  expect_equal "$before" "$(stat -c %s "$work/pausing/rootfs/count")" "what it wrote while it was paused"
  expect_ok husk resume pausing
  expect_equal running "$(state_of pausing)" "state"
  eventually 10 eval "[[ \$(stat -c %s '$work/pausing/rootfs/count') -gt $before ]]"
  expect_ok husk exec pausing true
  # A signal waits until it is resumed, as with runc.
  expect_ok husk pause pausing
  expect_ok husk kill pausing TERM
  sleep 0.5
  expect_equal paused "$(state_of pausing)" "state after SIGTERM"
  expect_ok husk resume pausing
  eventually 20 is_state pausing stopped
  expect_contains term "$(cat "$work/pausing.out")" "output"
  expect_failure 1 "container not running" husk pause pausing
  expect_failure 1 "container not paused" husk resume pausing
  expect_ok husk delete pausing
}

paused_ends() {
  make_bundle "$work/held" sleep 1000
  local how
  for how in kill delete; do
    expect_ok husk run --detach --bundle "$work/held" held
    expect_ok husk pause held
    if [[ $how == kill ]]; then
      expect_ok husk kill held KILL
      eventually 20 is_state held stopped
      expect_ok husk delete held
    else
      expect_ok husk delete --force held
    fi
    expect_failure 1 "container does not exist" husk state held
  done
}

foreground() {
  make_bundle "$work/front" sh -c 'cat; echo to-stderr >&2; exit 3'
  run husk run --bundle "$work/front" front < <(echo from-stdin)
  expect_status 3
  expect_equal from-stdin "$out" stdout
  expect_equal to-stderr "$err" stderr
  expect_failure 1 "container does not exist" husk state front
  edit_config "$work/front" '.process.args = ["sh", "-c", "sleep 1000"]'
  husk run --bundle "$work/front" front >/dev/null 2>&1 </dev/null &
  local runner=$!
  eventually 60 is_state front running
  expect_ok husk kill front KILL
  wait "$runner"
  expect_equal 137 $? "exit status of run after kill -9"
}

detached() {
  make_bundle "$work/back" sh -c 'echo up; sleep 1000'
  husk run --detach --bundle "$work/back" --pid-file "$work/back.pid" back >"$work/back.out" 2>&1 </dev/null || fail "run -d"
  expect_equal running "$(state_of back)" "status after run -d"
  eventually 20 grep -q up "$work/back.out"
  expect_ok husk kill back KILL
  eventually 20 is_state back stopped
  expect_ok husk delete back
}

listing() {
  husk() { "$HUSK" --root "$work/listing-root" "$@"; }
  make_bundle "$work/listed" sleep 1000
  expect_ok husk list --format json
  expect_equal null "$out" "empty list"
  expect_equal 5 "$(husk list --format json | wc -c)" "bytes of an empty list, which ends its line"
  create listed "$work/listed"
  mkdir -p "$work/listing-root/broken"
  expect_ok husk list
  expect_match '^ID +PID +STATUS +BUNDLE +CREATED +OWNER' "$out" heading
  expect_match "listed +$(cat "$work/listed.pid") +created +$work/listed" "$out" row
  expect_ok husk list --quiet
  expect_equal listed "$out" "list -q"
  expect_ok husk list --format json
  expect_equal "listed created" "$(jq -r '.[] | "\(.id) \(.status)"' <<<"$out")" "list as json"
  expect_equal 1 "$(husk list --format json | wc -l)" "lines of the list as json"
  rmdir "$work/listing-root/broken"
  expect_ok husk delete --force listed
}

missing_command() {
  make_bundle "$work/nocmd" no-such-command
  rm -f "$work/nocmd.log" "$work/nocmd.pid"
  expect_failure 1 'exec: "no-such-command": executable file not found in $PATH' \
    husk --log "$work/nocmd.log" --log-format json create --bundle "$work/nocmd" --pid-file "$work/nocmd.pid" nocmd
  expect_equal error "$(jq -r .level <"$work/nocmd.log")" "the log's one object: level"
  expect_contains "executable file not found" "$(jq -r .msg <"$work/nocmd.log")" "msg in the log"
  expect_match '^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9:]+)$' "$(jq -r .time <"$work/nocmd.log")" "time in the log"
  [[ ! -e $work/nocmd.pid ]] || fail "a failed create left a pid file"
  expect_failure 1 "container does not exist" husk state nocmd
}

# poststart hooks that fail are only a warning, which has nowhere to go here.
unwritable_log() {
  local log
  make_bundle "$work/mute" sh -c 'exit 5'
  edit_config "$work/mute" '.hooks.poststart = [{"path": "/bin/false"}] | .hooks.poststop = [{"path": "/bin/false"}]'
  for log in /dev/full /nonexistent/dir/log; do
    run "$HUSK" --root "$work/root" --log "$log" run --bundle "$work/mute" mute
    expect_status 5
    expect_failure 1 "container does not exist" husk --log "$log" state mute
  done
}

# Each appends its kind and its state to a file of the rootfs: those of the host, and the one in the guest.
all_hooks() {
  make_bundle "$work/hooked" sh -c 'echo program'
  local seen=$work/hooked/rootfs/hooks
  # shellcheck disable=SC2016  # for jq, and for the hooks' shells
  edit_config "$work/hooked" '
    def hook($kind; $file): {path: "/bin/sh", args: ["sh", "-c", "echo \($kind) \"$(cat)\" >>\($file); echo noise"],
      env: ["PATH=/usr/bin:/bin"], timeout: 20};
    .annotations = {"some": "annotation"}
    | .hooks = (["poststop", "poststart", "createContainer", "createRuntime", "prestart"]
                | map({key: ., value: [hook(.; $seen)]}) | from_entries)
    | .hooks.startContainer = [hook("startContainer"; "/hooks")]' --arg seen "$seen"
  create hooked "$work/hooked"
  local pid
  pid=$(cat "$work/hooked.pid")
  expect_equal "prestart createRuntime createContainer" "$(cut -d' ' -f1 "$seen" | xargs)" "hooks in create"
  expect_ok husk start hooked
  eventually 20 is_state hooked stopped
  expect_ok husk delete hooked
  expect_equal program "$(cat "$work/hooked.out")" "output"
  # poststart may come before or after the program's end.
  expect_equal "prestart creating $pid
createRuntime creating $pid
createContainer creating $pid
startContainer created 1
poststart
poststop stopped 0" "$(while read -r kind state; do
    [[ $kind == poststart ]] || kind+=" $(jq -r '"\(.status) \(.pid)"' <<<"$state")"
    echo "$kind"
  done <"$seen")" "hooks with their states"
  expect_equal "hooked $work/hooked annotation" \
    "$(cut -d' ' -f2- "$seen" | jq -r '"\(.id) \(.bundle) \(.annotations.some)"' | sort -u)" "what all of them are told"

  edit_config "$work/hooked" '.hooks |= {poststop} | .hooks.startContainer = [{path: "/bin/sh", args: ["sh", "-c", "echo why not; exit 3"]}]'
  create hooked "$work/hooked"
  expect_failure 1 "startContainer hook #0 /bin/sh: exit status 3: why not" husk start hooked
  expect_equal stopped "$(state_of hooked)" "status after a failed start"
  expect_equal "" "$(cat "$work/hooked.out")" "output of what was not started"
  expect_ok husk delete hooked
  expect_equal 2 "$(grep -c ^poststop "$seen")" "poststop hooks"

  # Whoever gives up the start finds a container that has ended, not one that starts later.
  edit_config "$work/hooked" '.hooks.startContainer = [{path: "/bin/sleep", args: ["sleep", "1000"], timeout: 1000}]'
  create hooked "$work/hooked"
  run timeout --preserve-status $((3 * time_factor)) "$HUSK" --root "$work/root" start hooked
  expect_status 143
  expect_equal stopped "$(state_of hooked)" "status after an interrupted start"
  expect_equal "" "$(cat "$work/hooked.out")" "output of what was not started"
  expect_ok husk delete hooked
}

killed_shim() {
  is_husk || skip "about husk's shim"
  make_bundle "$work/orphan" sh -c 'while true; do echo alive; sleep 0.2; done'
  create orphan "$work/orphan"
  expect_ok husk start orphan
  eventually 20 grep -q alive "$work/orphan.out"
  local vms
  vms=$(running_vms)
  [[ $vms -ge 1 ]] || fail "no QEMU while a container runs"
  kill -KILL "$(cat "$work/orphan.pid")"
  eventually 5 is_state orphan stopped
  eventually 20 eval "[[ \$(running_vms) -lt $vms ]]"
  expect_failure 1 "container not running" husk kill orphan
  expect_ok husk delete orphan
}

forwarded_by_shim() {
  make_bundle "$work/fwd" sh -c 'trap "echo usr2; exit 9" USR2; echo ready; while true; do sleep 0.1; done'
  create fwd "$work/fwd"
  expect_ok husk start fwd
  eventually 20 grep -q ready "$work/fwd.out"
  kill -USR2 "$(cat "$work/fwd.pid")"
  eventually 20 is_state fwd stopped
  expect_contains usr2 "$(cat "$work/fwd.out")" "output"
  expect_ok husk delete fwd
}

# After the filter is loaded only what runc does then may happen; such bundles are what validation suites have.
narrow_seccomp() {
  local privileges user
  for privileges in true false; do
    for user in 0 1000; do
      make_bundle "$work/narrow" id -u
      edit_config "$work/narrow" '.linux.seccomp = $profile[0] | .process.noNewPrivileges = $privileges |
        .process.user = {"uid": $user, "gid": $user}' --slurpfile profile "$top/test/agent/profiles/minimal.json" \
        --argjson privileges $privileges --argjson user $user
      expect_ok husk run --bundle "$work/narrow" narrow
      expect_equal "$user" "$out" "output with noNewPrivileges $privileges"
      # What it does not allow is refused: the filter is there.
      edit_config "$work/narrow" '.process.args = ["mkdir", "/tmp/new"]'
      run husk run --bundle "$work/narrow" narrow
      [[ $status != 0 ]] || fail "the filter is not there"
      rm -rf "$work/narrow"
    done
  done
}

closed_streams() {
  make_bundle "$work/closed" sh -c 'ls -l /proc/self/fd/0 /proc/self/fd/1 >/made; exit 4'
  local result=0
  husk run --bundle "$work/closed" closed <&- >&- 2>&- || result=$?
  expect_equal 4 "$result" "exit status of run with closed streams"
  [[ -s $work/closed/rootfs/made ]] || fail "the container did not run"
  # What is opened first must not be taken for standard output or standard error.
  expect_ok husk --log "$work/closed.log" list
  husk --log "$work/closed.log" state nobody >&- 2>&-
  expect_equal 1 "$(wc -l <"$work/closed.log")" "lines in the log"
}

spec_and_version() {
  mkdir -p "$work/spec"
  expect_ok husk spec --bundle "$work/spec"
  expect_match '^1\.' "$(jq -r .ociVersion "$work/spec/config.json")" ociVersion
  expect_failure 1 "" husk spec --bundle "$work/spec"
  expect_ok husk --version
  expect_match '(runc|husk) version [0-9]' "$out" "first line of --version"
  expect_match 'spec: 1\.' "$out" --version
  expect_equal "" "$err" "stderr of --version"
  is_husk || return 0
  expect_ok husk features
  expect_match '^1\.' "$(jq -r .ociVersionMax <<<"$out")" ociVersionMax
  ! husk checkpoint --help >/dev/null 2>&1 || fail "checkpoint --help must fail: it is how engines ask"
}

no_libvirt_in_short_commands() {
  is_husk || skip "about libvirt"
  command -v strace >/dev/null || skip "no strace here"
  local command
  for command in "--version" "list" "state nobody" "kill nobody"; do
    # shellcheck disable=SC2086  # several words
    strace -f -qq -e trace=openat -o "$work/trace" "$HUSK" --root "$work/root" $command >/dev/null 2>&1
    [[ -s $work/trace ]] || fail "strace saw nothing of: $command"
    ! grep -q libvirt "$work/trace" || fail "husk $command loads libvirt"
  done
}

# What engines do between create and start: fill in /etc/hosts and the like in place, drop the mounts that they gave
# as sources (Podman, CRI-O), look at the process, and start from wherever they are by then.
between_create_and_start() {
  local pid started
  make_bundle "$work/between" sh -c 'cat /kept/file /late; until grep -q third /late; do sleep 0.2; done; cat /late'
  mkdir -p "$work/source"
  mount -t tmpfs between "$work/source" || fail "mount"
  at_end umount --lazy --quiet "$work/source"
  echo "kept by create" >"$work/source/file"
  echo first >"$work/late"
  edit_config "$work/between" '.mounts += [
    {"destination": "/kept", "type": "bind", "source": $source, "options": ["rbind", "ro"]},
    {"destination": "/late", "type": "bind", "source": $late, "options": ["rbind"]}]' \
    --arg source "$work/source" --arg late "$work/late"
  husk create --bundle "$work/between" --pid-file "$work/between.pid" between >"$work/between.out" 2>&1 </dev/null ||
    fail "create: $(cat "$work/between.out")"
  umount "$work/source" || fail "the caller cannot unmount its source after create"
  echo second >"$work/late"
  pid=$(cat "$work/between.pid")
  expect_equal "$pid $pid" "$(ps -o pgid=,sid= -p "$pid" | xargs)" "process group and session of the pid"
  # Read to its end, as engines do: nothing that stays may hold it.
  started=$(timeout 60 unshare --mount --propagation private "$HUSK" --root "$work/root" start between 2>&1) ||
    fail "start from another mount namespace: $started"
  eventually 20 grep -q second "$work/between.out"
  echo third >"$work/late"
  eventually 20 is_state between stopped
  expect_equal $'kept by create\nsecond\nthird' "$(cat "$work/between.out")" "what the container saw"
  expect_ok husk delete between
}

# Each span that must be there, of husk (1) or the guest (2), lies within the whole of the command.
expect_trace() {  # FILE COMMAND NAMES_IN_HUSK NAMES_IN_GUEST
  local missing
  missing=$(jq -r --arg whole "$2" --argjson husk "$3" --argjson guest "$4" '
    [.traceEvents[] | select(.ph == "X")] as $spans
    | ($spans[] | select(.name == $whole and .pid == 1)) as $all
    | ([$husk[] | {pid: 1, name: .}] + [$guest[] | {pid: 2, name: .}])[] as $wanted
    | select([$spans[] | select(.pid == $wanted.pid and .name == $wanted.name and .dur >= 0
        and .ts >= $all.ts and .ts + .dur <= $all.ts + $all.dur)] == [])
    | $wanted | tostring' "$1") || fail "$1 is no trace"
  expect_equal "" "$missing" "missing or outside of $2"
}

traces() {
  make_bundle "$work/traced" true
  create traced "$work/traced" --trace "$work/create.json"
  expect_trace "$work/create.json" create '["libvirt", "wait for the agent"]' '["kernel", "share", "create_container"]'
  expect_ok husk start --trace "$work/start.json" traced
  expect_trace "$work/start.json" start '["network", "agent: start_process"]' '["start_process"]'
  eventually 20 is_state traced stopped
  expect_ok husk delete --trace "$work/delete.json" traced
  expect_trace "$work/delete.json" delete '["end the VM'"'"'s processes"]' '[]'
  make_bundle "$work/failed" no-such-command
  run husk run --trace "$work/failed.json" --bundle "$work/failed" failed
  expect_status 1
  expect_trace "$work/failed.json" create '["libvirt"]' '[]'
  run husk run --trace "$work/missing/file" --bundle "$work/failed" failed
  expect_status 1
  expect_contains "--trace: open $work/missing/file: no such file or directory" "$err" "the reason"
}

is_clock_near() {  # ID SECONDS: beside the host's
  local guest host
  guest=$(husk exec "$1" date +%s) host=$(date +%s)
  ((guest - host <= $2 && host - guest <= $2))
}

clock() {
  make_bundle "$work/clock" sleep 1000
  edit_config "$work/clock" '.process.capabilities |= map_values(. + ["CAP_SYS_TIME"])'
  husk run --detach --bundle "$work/clock" clock >"$work/clock.out" 2>&1 </dev/null ||
    fail "run --detach: $(cat "$work/clock.out")"
  eventually 5 is_clock_near clock 1 || fail "the guest's clock is wrong at the start: $(husk exec clock date)"
  # Ahead: a clock that is behind would be set by the next command.
  husk exec clock date -s "@$(($(date +%s) + 3600))" >/dev/null || fail "date -s in the guest"
  is_clock_near clock 1800 && fail "the guest's clock cannot be made wrong"
  echo "waiting for the VM's keeper to have it corrected"
  eventually 60 is_clock_near clock 2 || fail "the guest's clock stays wrong: $(husk exec clock date)"
  expect_ok husk delete --force clock
}

# Proves for five VMs that the guest's clock and the host's differ by 10 ms at most. The container's process tells its time
# when it is asked, and the host's is read before and after. That bounds the difference; of many answers the soonest
# bounds it best. The time is the shell's own variable, since an emulated guest takes 10 ms and more to start `date`.
clocks_at_start() {
  local number answers before told after ahead_least ahead_most end guest pid input
  make_bundle "$work/told" sh -c 'while read -r asked; do echo "$EPOCHREALTIME"; done'
  for number in 1 2 3 4 5; do
    coproc guest { exec "$HUSK" --root "$work/root" run --bundle "$work/told" "told-$number" 2>"$work/told.err"; }
    pid=$guest_PID
    exec {input}>&"${guest[1]}"
    exec {guest[1]}>&-
    ahead_least=-1000000000000 ahead_most=1000000000000 end=
    for ((answers = 1; ; answers++)); do
      before=${EPOCHREALTIME/[^0-9]/}
      echo >&"$input"
      read -r -t 60 -u "${guest[0]}" told || fail "container $number says nothing: $(cat "$work/told.err")"
      after=${EPOCHREALTIME/[^0-9]/}
      told=${told/./}
      ((told - after < ahead_least)) || ahead_least=$((told - after))
      ((told - before > ahead_most)) || ahead_most=$((told - before))
      ((ahead_least <= 10000 && ahead_most >= -10000)) || fail "the clock of container $number is ahead by $ahead_least to $ahead_most us"
      ((ahead_least < -10000 || ahead_most > 10000)) || break
      : "${end:=$((after + 5000000 * time_factor))}"
      ((after < end)) || fail "the clock of container $number is ahead by $ahead_least to $ahead_most us, as far as $answers answers tell"
    done
    echo "container $number: ahead by $ahead_least to $ahead_most us ($answers answers)"
    exec {input}>&-
    wait "$pid" || fail "container $number: status $?, $(cat "$work/told.err")"
  done
}

at_end delete_all
if is_husk; then
  it "starts libvirt on demand where none listens, two at once too" demand 300
  start_libvirt
  at_end delete_all  # while its libvirt is there
fi
it "create, start, kill, delete, each refused where runc refuses it" whole_life 120
it "a created container can be deleted by force, and its id used again" created_can_be_deleted 120
it "a created container ends when killed" created_can_be_killed
it "an unknown id is refused, delete --force of it is not" unknown_ids
it "kill takes names and numbers, and the container gets the signal" signals 120
it "pause stops its processes, resume lets them go on, each refused where runc refuses it" pausing 120
it "a paused container can be killed and deleted" paused_ends 120
it "run in the foreground passes streams and status" foreground 180
it "run --detach returns with the container running" detached
it "list prints a table, ids, JSON, and skips broken entries" listing
it "a missing command fails in create, in stderr and in --log" missing_command
is_husk && it "a log that cannot be written changes nothing" unwritable_log 240
is_husk && it "hooks of all kinds, in their order and with their states; a failing one in the guest" all_hooks 120
it "between create and start sources go and files change" between_create_and_start
it "killing the shim ends the container" killed_shim
it "a signal sent to the pid reaches the container" forwarded_by_shim
it "a narrow seccomp profile, as root and not, with and without new privileges" narrow_seccomp 180
it "closed standard streams" closed_streams
is_husk && it "--trace tells where the time goes, in the guest too" traces 120
it "at the start the clock is within 10 ms of the host's" clocks_at_start 120
is_husk && it "the guest's clock is the host's, and a wrong one is corrected" clock 180
it "spec, --version and features" spec_and_version
it "short commands do not load libvirt" no_libvirt_in_short_commands
