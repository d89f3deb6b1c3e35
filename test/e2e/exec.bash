# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# husk exec and terminals, by hand. $HUSK_TEST_EXECS: how many run one after the other (30).
# shellcheck source=test/e2e/by_hand.bash
source "$here/by_hand.bash"

# A function is nothing that another program could run.
on_terminal() {  # SIZE HUSK_ARGUMENTS...
  local size=$1
  shift
  "$here/on_terminal" "$size" "$HUSK" --root "$work/root" "$@"
}

joins() {
  run husk exec box sh -c 'cat /proc/1/comm; hostname; echo err >&2; exit 4'
  expect_status 4
  expect_equal $'sh\nbox-name' "$out" "what an exec sees"
  expect_equal err "$err" "its stderr"
  run husk exec box cat < <(echo from-stdin)
  expect_equal from-stdin "$out" "stdin through an exec"
  expect_ok husk exec -e COLOUR=blue --cwd /tmp --user 1000:1001 -g 7 box sh -c 'echo "$COLOUR $(pwd) $(id -u):$(id -g) $(id -G)"'
  expect_equal "blue /tmp 1000:1001 1001 7" "$out" "environment, directory, user and groups"
}

refusals() {
  expect_failure 255 'executable file not found in $PATH' husk exec box nosuch
  expect_failure 255 "permission denied" husk exec box /etc/passwd
  expect_failure 255 "container does not exist" husk exec nobody true
  expect_failure 255 "setting console socket" husk exec --detach --tty box true
  expect_failure 255 "console socket" husk exec --detach --console-socket "$work/none" box true
  ! is_husk || expect_failure 255 "preserve-fds" husk exec --preserve-fds 1 box true
  echo '{"args": "ls"}' >"$work/process.json"
  ! is_husk || expect_failure 255 "process.args" husk exec --process "$work/process.json" box
  make_bundle "$work/ended" true
  husk run --detach --bundle "$work/ended" ended >/dev/null 2>&1 </dev/null
  eventually 30 is_state ended stopped
  expect_failure 255 "cannot exec in a stopped container" husk exec ended true
  expect_ok husk delete ended
}

from_file() {
  jq '.process | .terminal = false | .args = ["sh", "-c", "echo from-file; exit 9"]' "$work/box/config.json" >"$work/process.json"
  husk exec --process "$work/process.json" --detach --pid-file "$work/exec.pid" box >"$work/exec.out" 2>&1 </dev/null ||
    fail "exec --detach: $(cat "$work/exec.out")"
  eventually 20 grep -q from-file "$work/exec.out"
  expect_match '^[0-9]+$' "$(cat "$work/exec.pid")" "the pid file"
  eventually 20 eval "[[ ! -d /proc/$(cat "$work/exec.pid") ]]"
}

sees_the_host() {
  local i text=""
  # In place, by another file of that name, in a new folder, and gone again: each seen at once, whatever was known.
  for ((i = 0; i < 4; i++)); do
    text+="text $i "
    echo "$text" >"$work/box/rootfs/tmp/in-place"
    echo "$text" >"$work/next"
    mv "$work/next" "$work/box/rootfs/tmp/replaced"
    mkdir "$work/box/rootfs/tmp/new-$i"
    echo "$text" >"$work/box/rootfs/tmp/new-$i/file"
    expect_ok husk exec box cat /tmp/in-place /tmp/replaced "/tmp/new-$i/file"
    expect_equal "$text"$'\n'"$text"$'\n'"$text" "$out" "what an exec sees of the host's change number $i"
    rm -r "$work/box/rootfs/tmp/new-$i"
    expect_ok husk exec box sh -c "[ ! -e /tmp/new-$i ] && echo from the guest $i >/tmp/answer"
    expect_equal "from the guest $i" "$(cat "$work/box/rootfs/tmp/answer")" "what the host sees of the guest's"
  done
}

# The shim of an exec stands for its process: signals, SIGKILL, and the container's end.
shims() {
  husk exec --detach --pid-file "$work/e1.pid" box sh -c 'trap "echo term; exit 5" TERM; echo ready; while :; do sleep 0.1; done' \
    >"$work/e1.out" 2>&1 </dev/null || fail "exec"
  eventually 20 grep -q ready "$work/e1.out"
  local pid
  pid=$(cat "$work/e1.pid")
  expect_contains "trap" "$(tr '\0' ' ' <"/proc/$pid/cmdline")" "the shim's command line"
  expect_equal "$(readlink "/proc/$(husk state box | jq .pid)/ns/mnt")" "$(readlink "/proc/$pid/ns/mnt")" "the shim's mount namespace"
  expect_equal "$(cat "/proc/$(husk state box | jq .pid)/cgroup")" "$(cat "/proc/$pid/cgroup")" "the shim's cgroup"
  kill -TERM "$pid"
  eventually 20 grep -q term "$work/e1.out"
  husk exec --detach --pid-file "$work/e2.pid" box sleep 4321 >/dev/null 2>&1 </dev/null || fail "exec"
  expect_ok husk exec box sh -c 'ps | grep -c "sleep 432[1]"'
  kill -KILL "$(cat "$work/e2.pid")"
  eventually 20 eval '! husk exec box sh -c "ps | grep -q \"sleep 432[1]\""'
  expect_equal running "$(state_of box)" "the container meanwhile"
}

ends_with_container() {
  begin short sleep 1000
  husk exec --detach --pid-file "$work/e3.pid" short sleep 1000 >/dev/null 2>&1 </dev/null || fail "exec"
  husk exec short sleep 1000 >/dev/null 2>&1 </dev/null &
  local client=$!
  eventually 20 eval "[[ \$(husk exec short sh -c 'ps | grep -c \"[s]leep 1000\"') == 3 ]]"
  expect_ok husk kill short KILL
  wait "$client"
  expect_equal 137 $? "exit status of an exec whose container is killed"
  eventually 20 eval "[[ ! -d /proc/$(cat "$work/e3.pid") ]]"
  eventually 20 is_state short stopped
  expect_ok husk delete short
}

in_created() {
  make_bundle "$work/waiting" sh -c 'cat /tmp/prepared'
  husk create --bundle "$work/waiting" waiting >"$work/waiting.out" 2>&1 </dev/null || fail "create"
  expect_ok husk exec waiting sh -c 'echo prepared >/tmp/prepared'
  expect_ok husk start waiting
  eventually 20 grep -q prepared "$work/waiting.out"
  expect_ok husk delete --force waiting
}

# Without a pid namespace of its own a container sees all of its guest, process 1 is husk-agent.
begin_watcher() {
  make_bundle "$work/watcher" sleep 10000
  edit_config "$work/watcher" '.linux.namespaces |= map(select(.type != "pid")) |
    .process.capabilities |= map_values(. + ["CAP_SYS_PTRACE"])'
  husk run --detach --bundle "$work/watcher" watcher >"$work/watcher.out" 2>&1 </dev/null ||
    fail "run: $(cat "$work/watcher.out")"
}

# All that an exec could leave: the guest's processes, the agent's descriptors, groups of processes; on the host
# the container's shims.
left_of_execs() {
  husk exec watcher sh -c 'cat /proc/1/comm
    set -- /proc/[0-9]*/stat  # before the line below has processes of its own
    cat "$@" | awk "\$4 != 2" | wc -l  # kernel threads, children of 2, come and go
    ls /proc/1/fd | wc -l
    find /sys/fs/cgroup | wc -l' 2>"$work/watcher.err"
  husk ps --format json watcher
}

nothing_left() {
  local before i many=${HUSK_TEST_EXECS:-30}
  begin_watcher
  before=$(left_of_execs)
  expect_contains husk-agent "$before" "the guest's first process"
  for ((i = 0; i < many; i++)); do
    run husk exec watcher sh -c "echo $i; exit $((i % 7))"
    expect_status $((i % 7))
    expect_equal "$i" "$out" "output of exec $i"
  done
  expect_equal "$before" "$(left_of_execs)" "processes, descriptors of the agent, cgroups, shims"
  expect_ok husk delete --force watcher
}

# Who waits for an exec gets a status in bounded time whatever dies, and the process never outlives who stands for it.
killed_parts() {
  local part id client start status pid
  for part in exec-shim husk init-shim qemu; do
    id=target-$part
    begin "$id" sleep 1000
    "$HUSK" --root "$work/root" exec "$id" sleep 1234 >"$work/$id.exec" 2>&1 </dev/null &
    client=$!
    eventually 30 eval 'husk exec $id ps | grep -q "sleep 123[4]"'
    case $part in
      # husk execs nothing: the client is husk itself, the other shim's pid is in the list.
      exec-shim) pid=$(husk ps --format json "$id" | jq --argjson init "$(cat "$work/$id.pid")" '.[] | select(. != $init)') ;;
      husk) pid=$client ;;
      init-shim) pid=$(cat "$work/$id.pid") ;;
      qemu) pid=$(jq .process.pid "/run/husk-vm/$(jq -r .vmId "$work/root/$id/state.json")/vm.json") ;;
    esac
    start=$SECONDS
    kill -KILL "$pid" || fail "no $part: '$pid'"
    wait "$client"
    status=$?
    ((SECONDS - start <= 10)) || fail "$part: the caller waited $((SECONDS - start)) s"
    [[ $status == 137 || $status == 255 ]] || fail "$part: the caller's status is $status"
    case $part in
      exec-shim | husk)
        eventually 20 eval '! husk exec $id ps | grep -q "sleep 123[4]"'
        expect_equal "[$(cat "$work/$id.pid")]" "$(husk ps --format json "$id")" "shims after the end of $part"
        is_state "$id" running || fail "$part: the container is not running any more"
        expect_ok husk delete --force "$id"
        ;;
      *)
        eventually 20 is_state "$id" stopped
        expect_ok husk delete "$id"
        ;;
    esac
  done
}

many_at_once() {
  local i many=40 pids=()
  for ((i = 0; i < many; i++)); do
    husk exec box sh -c "cat >/dev/null; echo out $i; exit $i" >"$work/many.$i" 2>&1 < <(head -c 100000 /dev/zero) &
    pids[i]=$!
  done
  for ((i = 0; i < many; i++)); do
    wait "${pids[i]}"
    expect_equal "$i, out $i" "$?, $(cat "$work/many.$i")" "status and output of exec $i"
  done
}

bytes() {
  head -c $((64 << 20)) /dev/urandom >"$work/random"
  husk exec box cat <"$work/random" >"$work/echoed" || fail "cat in the container"
  expect_equal "$(sha256sum <"$work/random")" "$(sha256sum <"$work/echoed")" "64 MiB through an exec"
  rm -f "$work/random" "$work/echoed"
}

exec_terminal() {
  run on_terminal 33x99 exec --tty box sh < <(
    cat <<'STEPS'
send stty size; tty; echo wi''th\r
expect 33 99\r\n/dev/pts/
expect with\r\n
STEPS
    typing_steps
    echo 'send exit 3\r'
  )
  expect_status 3
}

run_terminal() {
  make_bundle "$work/term" sh
  edit_config "$work/term" '.process.terminal = true'
  run on_terminal 24x80 run --bundle "$work/term" term < <(cat <<'STEPS'
expect #
send stty size; stty size </dev/console; tty\r
expect 24 80\r\n24 80\r\n/dev/pts/0\r\n
send seq 20000; exit 7\r
STEPS
  )
  expect_status 7
  expect_contains $'19999\r\n20000\r' "$(tail -c 100 "$run_out")" "the end of much output"
  expect_equal 20000 "$(tr -d "\r" <"$run_out" | grep -cx "[0-9][0-9]*")" "lines that arrived"
  expect_failure 1 "setting console socket" husk create --bundle "$work/term" term
}

listed() {
  expect_ok husk exec --detach --pid-file "$work/ps.pid" box sleep 4711
  run husk ps --format json box -ef
  expect_status 0
  if ! is_husk; then  # with runc children are the host's as well
    expect_equal true "$(jq --argjson pid "$(cat "$work/ps.pid")" 'contains([$pid])' <<<"$out")" "the exec's pid is listed"
    return
  fi
  expect_equal "[$(husk state box | jq .pid),$(cat "$work/ps.pid")]" "$(jq -c 'sort' <<<"$out")" "pids on the host"
  expect_ok husk ps box
  expect_match '^ *UID +PID +PPID +TIME +CMD' "$out" "the table's first line"
  expect_match $'\n +0 +1 +0 +[0-9:]+  sh -c while' "$out" "the container's first process"
  expect_match $'\n +0 +[0-9]+ +0 +[0-9:]+  sleep 4711' "$out" "an exec's"
  expect_failure 1 "are not supported" husk ps box -ef
  kill -KILL "$(cat "$work/ps.pid")"
  expect_failure 1 "container does not exist" husk ps nobody
}

make_rootfs "$work/rootfs"
! is_husk || start_libvirt
make_bundle "$work/box" sh -c 'while :; do sleep 1; done'
edit_config "$work/box" '.hostname = "box-name"'
husk run --detach --bundle "$work/box" box >"$work/box.out" 2>&1 </dev/null || { cat "$work/box.out" >&2; exit 1; }
at_end delete_all
it "is in the container, with its own streams, status and settings" joins
it "what cannot be executed is refused in runc's words, with status 255" refusals 120
it "a process from a file, detached, with a pid file" from_file
it "sees what the host changed just before, and the other way round" sees_the_host
it "its shim stands for it" shims
it "ends with its container" ends_with_container 120
! is_husk || it "kill -9 of its shim, of husk, of the first shim, of QEMU" killed_parts 180
it "works in a created container" in_created
it "ps tells pids on the host to callers, processes in the guest to people" listed
! is_husk || it "many one after the other leave nothing" nothing_left 180
it "40 at once keep their output and status" many_at_once 180
it "64 MiB arrive byte for byte" bytes 180
it "a terminal: size, resize, Ctrl-C, Ctrl-D, exit status" exec_terminal 120
it "run on a terminal: nothing is lost, /dev/console is there" run_terminal 120
