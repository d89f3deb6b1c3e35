# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What people do with a container from its first day to its last, with Docker and with Podman: engine_session,
# once, where engine() and $RUNTIME are as for engine_list. Most of it happens to one container, "desk".

state_is() { [[ $(engine inspect -f '{{.State.Status}}' "$1") == "$2" ]]; }  # NAME STATUS
run_none() { engine run --rm --runtime "$RUNTIME" --network none "$@"; }

begin_desk() {
  expect_ok engine run -d --name desk --hostname desk-host --memory 96m --cpus 0.9 --pids-limit 60 --label purpose=work \
    --runtime "$RUNTIME" --network none husk-test sh -c \
    'trap "echo got-hup" HUP; trap "echo got-usr1" USR1; trap "echo got-winch" WINCH; trap "echo bye; exit 9" TERM
     echo up; while :; do sleep 0.1; done'
  eventually 30 logs_contain desk up
  expect_equal desk-host "$(engine exec desk hostname)" "host name"
}

renamed() {
  expect_ok engine rename desk bench
  expect_ok engine exec bench true
  run engine exec desk true
  [[ $status != 0 ]] || fail "the old name still works"
  expect_ok engine rename bench desk
}

signalled() {
  expect_ok engine kill -s HUP desk
  eventually 10 logs_contain desk got-hup
  expect_ok engine kill -s SIGUSR1 desk
  eventually 10 logs_contain desk got-usr1
  expect_ok engine kill -s 28 desk
  eventually 10 logs_contain desk got-winch
  state_is desk running || fail "it does not run after signals that it takes"
}

listed() {
  expect_equal desk "$(engine ps --filter label=purpose=work --format '{{.Names}}')" "ps by label"
  expect_equal desk "$(engine ps --filter status=running --filter name=desk --format '{{.Names}}')" "ps by status"
  expect_match '^[1-9][0-9]*$' "$(engine inspect -f '{{.State.Pid}}' desk)" "pid"
}

told_by_inspect() {
  expect_equal "true false 0 desk-host" "$(engine inspect -f '{{.State.Running}} {{.State.OOMKilled}} {{.State.ExitCode}} {{.Config.Hostname}}' desk)" "state"
  expect_ok engine start desk  # of what runs: nothing happens
}

logged() {
  expect_match '^20[0-9-]+T[^ ]+ up' "$(engine logs --timestamps desk 2>&1)" "logs --timestamps"
  expect_equal "" "$(engine logs --since 2100-01-01T00:00:00Z desk 2>&1)" "logs --since"
}

shown_by_top() {
  expect_ok engine top desk
  expect_contains "sh -c trap" "$out" "top"
}

measured() {
  expect_ok engine stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.PIDs}}' desk
  expect_match '^desk [1-9][0-9.]* ?[kMG]i?B / [0-9.]+ ?[kMG]i?B [1-9]' "$out" "stats"
}

guest_memory_mib() {  # NAME
  engine exec "$1" awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo
}
has_little_memory() { [[ $(guest_memory_mib "$1") -lt 400 ]]; }  # NAME

# In and out of the memory that the guest booted with.
vm_follows_limits() {
  expect_equal 1 "$(engine exec desk nproc)" "CPUs of a VM for 0.9"
  expect_ok engine update --memory 600m --memory-swap 600m desk
  [[ $(guest_memory_mib desk) -ge 600 ]] || fail "memory of the VM: $(guest_memory_mib desk) MiB"
  expect_ok engine update --memory 80m --memory-swap 80m desk
  eventually 30 has_little_memory desk
}

limited() {
  expect_equal "100663296 60" "$(engine exec desk cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max | xargs)" "limits in the guest"
  expect_ok engine update --memory 80m --memory-swap 80m desk
  expect_equal 83886080 "$(engine exec desk cat /sys/fs/cgroup/memory.max)" "the limit after update"
  ! is_husk || vm_follows_limits
}

killed_for_memory() {
  # conmon makes its file "oom" where `podman exec` is called.
  cd "$work" || fail "cd $work"
  run engine exec desk dd if=/dev/zero of=/dev/null bs=200M count=1
  cd "$OLDPWD" || fail "cd back"
  expect_status 137
  state_is desk running || fail "desk ended with the process that took too much"
  # Podman tells of it when the container has ended.
  [[ $(engine --version) == podman* ]] || eventually 20 has_event_oom desk
}
has_event_oom() {  # CONTAINER: Docker's
  engine events --since 10m --until 0s --filter "container=$1" --filter event=oom | grep -q " container oom "
}

ended_for_memory() {
  run engine run --name greedy -m 64m --runtime "$RUNTIME" --network container:base husk-test dd if=/dev/zero of=/dev/null bs=200M count=1
  expect_status 137
  expect_equal "true 137" "$(engine inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' greedy)" "state"
  expect_ok engine rm greedy
}

differs() {
  expect_ok engine exec desk sh -c 'mkdir /made && echo text >/made/file && echo more >>/etc/passwd'
  expect_ok engine diff desk
  expect_contains "A /made/file" "$out" "diff"
  expect_contains "C /etc/passwd" "$out" "diff"
}

committed() {
  expect_ok engine commit desk husk-committed
  expect_equal text "$(in_base husk-committed cat /made/file)" "a file in the image made of it"
  expect_ok engine rmi husk-committed
}

exported() {
  engine export desk | tar -x -O -f - made/file >"$work/exported" || fail "export"
  expect_equal text "$(cat "$work/exported")" "a file in the archive"
}

followed() {
  engine logs -f desk >"$work/followed" 2>&1 </dev/null &
  follower=$!
  eventually 10 grep -q up "$work/followed"
  expect_equal 1 "$(engine logs --tail 1 desk 2>&1 | wc -l)" "lines of logs --tail 1"
  engine wait desk >"$work/waited" 2>&1 </dev/null &
  local waiter=$!
  sleep 0.5
  expect_ok engine stop -t $((20 * time_factor)) desk
  wait "$waiter" || fail "wait: $(cat "$work/waited")"
  expect_equal 9 "$(cat "$work/waited")" "what wait prints"
  wait "$follower" || fail "logs -f did not end well"
  expect_contains bye "$(cat "$work/followed")" "what logs -f printed"
  expect_equal desk "$(engine ps -a --filter status=exited --filter name=desk --format '{{.Names}}')" "ps of what has ended"
}

ended() {
  expect_equal 9 "$(engine wait desk)" "wait for what has ended"
  expect_ok engine stop desk
  run engine kill desk
  [[ $status != 0 ]] || fail "kill of what has ended"
  run engine pause desk
  [[ $status != 0 ]] || fail "pause of what has ended"
}

copied_while_stopped() {
  echo from-outside >"$work/outside"
  expect_ok engine cp "$work/outside" desk:/made/outside
  expect_ok engine cp desk:/made/file "$work/inside"
  expect_equal text "$(cat "$work/inside")" "copied out of a stopped container"
  expect_ok engine start desk
  eventually 30 state_is desk running
  expect_equal from-outside "$(engine exec desk cat /made/outside)" "copied into a stopped container"
}

restarted() {
  local before
  before=$(engine inspect -f '{{.State.StartedAt}}' desk)
  expect_ok engine restart -t 20 desk
  state_is desk running || fail "it does not run after restart"
  [[ $(engine inspect -f '{{.State.StartedAt}}' desk) != "$before" ]] || fail "it was not started anew"
  expect_equal text "$(engine exec desk cat /made/file)" "its files after restart"
}

removed_while_running() {
  run engine rm desk
  [[ $status != 0 ]] || fail "rm of a running container"
  expect_ok engine rm -f desk
  run engine inspect desk
  [[ $status != 0 ]] || fail "it is still known"
}

stubborn() {
  expect_ok engine run -d --name stubborn --runtime "$RUNTIME" --network container:base husk-test sh -c 'trap "" TERM; echo up; while :; do sleep 0.1; done'
  eventually 30 logs_contain stubborn up
  expect_ok engine stop -t 1 stubborn
  expect_equal "exited 137" "$(engine inspect -f '{{.State.Status}} {{.State.ExitCode}}' stubborn)" "after stop of who ignores SIGTERM"
  expect_ok engine rm stubborn
}

own_stop_signal() {
  expect_ok engine run -d --name polite --stop-signal USR2 --runtime "$RUNTIME" --network container:base husk-test sh -c 'trap "exit 12" USR2; echo up; while :; do sleep 0.1; done'
  eventually 30 logs_contain polite up
  expect_ok engine stop -t $((20 * time_factor)) polite
  expect_equal 12 "$(engine inspect -f '{{.State.ExitCode}}' polite)" "exit code"
  expect_ok engine rm polite
}

created_then_started() {
  expect_ok engine create -i --name later --runtime "$RUNTIME" --network none husk-test sh -c 'read line; echo "got $line"; exit 4'
  run engine exec later true
  [[ $status != 0 ]] || fail "exec in a container that was not started"
  run engine start -a -i later < <(echo words)
  expect_equal "got words" "$out" "output of start -ai"
  expect_equal 4 "$(engine inspect -f '{{.State.ExitCode}}' later)" "exit code"
  expect_ok engine rm later
}

with_init() {
  [[ $(engine --version) != podman* || -x $(command -v catatonit) || -x /usr/libexec/podman/catatonit ]] || skip "podman has no catatonit here"
  expect_ok in_base --init husk-test sh -c 'cat /proc/1/comm; sh -c "sleep 0.1 & exit" ; sleep 0.5; grep -l "^State:.Z" /proc/[0-9]*/status 2>/dev/null | wc -l'
  expect_match $'^(docker-init|podman-init|catatonit|tini)\n0$' "$out" "the first process, and zombies"
}

restart_policy() {
  mkdir "$work/again"
  expect_ok engine run -d --name again --restart on-failure:2 -v "$work/again:/again" --runtime "$RUNTIME" --network none husk-test sh -c 'echo x >>/again/count; exit 1'
  eventually 60 eval '[[ $(wc -l <"$work/again/count") == 3 ]]'
  eventually 30 state_is again exited
  expect_equal 1 "$(engine inspect -f '{{.State.ExitCode}}' again)" "exit code"
  sleep 1
  expect_equal 3 "$(wc -l <"$work/again/count")" "runs"
  expect_ok engine rm again
}

process_options() {
  expect_ok run_none --entrypoint /bin/sh --ulimit nofile=512:512 --cap-drop ALL --cap-add CHOWN --security-opt no-new-privileges \
    --group-add 4321 --shm-size 8m -e A=1 --sysctl kernel.shm_rmid_forced=1 husk-test -c \
    'ulimit -n; grep -E "CapEff|NoNewPrivs" /proc/self/status | xargs; id -G; stat -f -c "%b %S" /dev/shm | awk "{print \$1 * \$2}"; echo $A; cat /proc/sys/kernel/shm_rmid_forced'
  expect_match $'^512\nCapEff: 0000000000000001 NoNewPrivs: 1\n[0-9 ]*4321[0-9 ]*\n8388608\n1\n1$' "$out" "limits, rights, groups, shared memory, environment, sysctl"
}

environment_file() {
  printf 'FROM_FILE=yes\nSPACED=a b\n' >"$work/environment"
  expect_equal "yes a b" "$(in_base --env-file "$work/environment" husk-test sh -c 'echo "$FROM_FILE $SPACED"')" "variables from a file"
}

shared_volume() {
  expect_ok engine volume create husk-shared
  expect_ok run_none -v husk-shared:/data husk-test sh -c 'echo kept >/data/file'
  expect_ok engine create --name holder -v husk-shared:/data --runtime "$RUNTIME" --network none husk-test true
  expect_equal kept "$(in_base --volumes-from holder husk-test cat /data/file)" "a file in a volume of another container's"
  expect_ok engine rm holder
  expect_ok engine volume rm husk-shared
}

mount_options() {
  mkdir -p "$work/source"
  echo there >"$work/source/file"
  expect_ok in_base --mount "type=bind,source=$work/source,target=/bound,readonly" --mount type=tmpfs,target=/quick husk-test sh -c \
    'cat /bound/file; ! touch /bound/new 2>/dev/null && touch /quick/new && grep -c " /quick tmpfs" /proc/mounts'
  expect_equal $'there\n1' "$out" "--mount"
}

temporary() {
  expect_ok engine run --rm -d --name temporary --runtime "$RUNTIME" --network container:base husk-test sleep 1000
  expect_ok engine kill temporary
  eventually 20 eval '! engine inspect temporary >/dev/null 2>&1'
}

engine_session() {
  it "session: a container that works, with limits and a name" begin_desk
  it "session: rename" renamed
  it "session: kill -s by name and number" signalled
  it "session: ps by label and status" listed
  it "session: inspect, and start of what runs" told_by_inspect
  it "session: logs with times" logged
  it "session: top" shown_by_top
  it "session: stats" measured
  it "session: limits, and update" limited
  it "session: what takes too much memory is killed, alone" killed_for_memory
  it "session: who takes too much memory is killed, and shown as that" ended_for_memory
  it "session: diff" differs
  it "session: commit, and run of the image" committed
  it "session: export" exported
  it "session: logs -f and wait until stop" followed
  it "session: wait, stop, kill and pause of what has ended" ended
  it "session: cp while it is stopped, and start" copied_while_stopped 120
  it "session: restart" restarted 120
  it "session: rm is refused, rm -f is not" removed_while_running
  it "session: stop of who ignores it" stubborn
  it "session: --stop-signal" own_stop_signal
  it "session: create, then start -ai" created_then_started
  it "session: --init" with_init
  it "session: --restart=on-failure" restart_policy 150
  it "session: entrypoint, limits, rights, groups, shared memory, sysctl" process_options
  it "session: --env-file" environment_file
  it "session: a volume for several" shared_volume 120
  it "session: --mount" mount_options
  it "session: --rm -d, then kill" temporary
}
