# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What a person does inside a container, the same with Docker and with Podman; read by engine_list.bash. Nearly
# all of it happens in one container, "box", whose first process is a shell on a terminal.

# An engine's command on a terminal, with the steps of on_terminal on stdin.
on_terminal() {  # SIZE ENGINE_ARGUMENTS...
  engine_command "${@:2}"
  "$here/on_terminal" "$1" "${command[@]}"
}

run_on_terminal() {
  run on_terminal 31x97 run -it --rm --runtime "$RUNTIME" --network none husk-test sh < <(cat <<'STEPS'
expect #
send stty size; tty; echo re''ady\r
expect 31 97\r\n/dev/pts/0\r\n
expect ready\r\n
resize 42x101
send sleep 1; stty size; seq 20000; exit 3\r
expect 42 101\r\n
STEPS
  )
  expect_status 3
  expect_equal 20000 "$(tr -d '\r' <"$run_out" | grep -cx '[0-9][0-9]*')" "lines that arrived"
}

pipe_that_ends() {
  run in_base -i husk-test sh -c 'cat; sleep 1; echo after the end; exit 4' < <(echo typed)
  expect_status 4
  expect_equal $'typed\nafter the end' "$out" "what comes back before and after stdin's end"
}

begin_box() {
  expect_ok engine run -dit --name box --hostname box-name --runtime "$RUNTIME" --network none "${box_flags[@]}" husk-test sh
}

attach_and_detach() {
  local i
  for i in first second; do
    run on_terminal 25x81 attach box < <(cat <<STEPS
send stty size; me=\${me:-none}$i; echo said-\$me\\r
expect 25 81\\r\\n
expect said-none
keys \\x10\\x11
STEPS
    )
    expect_contains "$i" "${out##*said-none}" "what the shell remembers"
    [[ $status != 99 && $status -lt 128 ]] || fail "attach ended with $status"
    expect_equal true "$(engine inspect -f '{{.State.Running}}' box)" "running after detaching"
  done
  expect_contains said-nonefirstsecond "$out" "the second time: the same shell"
}

exec_on_terminal() {
  run on_terminal 33x99 exec -it box sh < <(
    cat <<'STEPS'
expect #
send stty size; hostname; echo wi''th $(tty)\r
expect 33 99\r\nbox-name\r\n
expect with /dev/pts/
STEPS
    typing_steps
    cat <<'STEPS'
send echo af''ter=$?\r
expect after=130\r\n
send exit 3\r
STEPS
  )
  expect_status 3
  run on_terminal 24x80 exec -it box cat < <(printf 'send one\\r\nexpect one\\r\\none\\r\\n\nsend \\x04\n')
  expect_status 0
}

detaches_from_an_exec() {
  run on_terminal 24x80 exec -it box sh -c 'echo he""re; while [ ! -e /tmp/over ]; do sleep 0.2; done; echo seen >/tmp/unseen' \
    < <(printf 'expect here\nkeys \\x10\\x11\n')
  # Podman 4.3 then waits in vain for its exit file, and ends with 255.
  [[ $status != 99 && $status != 137 ]] || fail "exec ended with $status: $out"
  expect_ok engine exec box sh -c '[ ! -e /tmp/unseen ] && touch /tmp/over'
  eventually 30 engine exec box grep seen /tmp/unseen
}

exec_statuses() {
  expect_ok engine exec box true
  run engine exec box sh -c 'echo to-stdout; echo to-stderr >&2; exit 3'
  expect_status 3
  expect_equal to-stdout "$out" stdout
  expect_contains to-stderr "$err" stderr
  # Docker says these on stdout, and has 126 for both up to version 20.10.
  run engine exec box /etc/passwd
  expect_status 126
  expect_contains "permission denied" "$out$err" "the text"
  run engine exec box no-such-command
  expect_match "^($status_of_missing)$" "$status" "exit status of a missing command"
  expect_contains no-such-command "$out$err" "the text"
}

exec_settings() {
  expect_ok engine exec -e COLOUR=blue -w /tmp -u 1000:1001 box sh -c 'echo "$COLOUR $(pwd) $(id -u):$(id -g)"'
  expect_equal "blue /tmp 1000:1001" "$out" "environment, directory and user"
  expect_ok engine exec -d box sh -c 'echo detached >/tmp/detached; sleep 1000'
  eventually 30 engine exec box grep detached /tmp/detached
  expect_ok engine exec box sh -c 'ps | grep -q "[s]leep 1000"'
}

# --privileged means all capabilities that the engine knows of ($known_capabilities), and it is in the guest.
capabilities_of() { "$@" | awk '$1 == "CapEff:" { print $2 }'; }
has_known() { (((0x$1 & 0x$known_capabilities) == 0x$known_capabilities)); }
can_be_privileged() {
  is_husk || has_known "$(capabilities_of cat /proc/self/status)" || skip "runc cannot give what this machine keeps back"
}

exec_privileged() {
  local plain all
  plain=$(capabilities_of engine exec box cat /proc/self/status)
  expect_match '^[0-9a-f]{16}$' "$plain" "capabilities"
  expect_equal "$(capabilities_of engine exec box cat /proc/1/status)" "$plain" "an exec's capabilities, as the first process'"
  ! has_known "$plain" || fail "an exec without --privileged has all capabilities: $plain"
  can_be_privileged
  all=$(capabilities_of engine exec --privileged box cat /proc/self/status)
  has_known "${all:-0}" || fail "capabilities with --privileged: '$all'"
}

run_privileged() {
  can_be_privileged
  run ctr --privileged husk-test sh -c 'cat /proc/self/status; mount -t tmpfs of-the-guest /mnt && grep of-the-guest /proc/mounts'
  expect_status 0
  has_known "$(capabilities_of echo "$out")" || fail "capabilities of run --privileged: $out"
  expect_contains "of-the-guest /mnt tmpfs" "$out" "a mount by a privileged container"
  ! grep of-the-guest /proc/self/mounts || fail "it is on the host"
}

exec_streams() {
  head -c $((64 << 20)) /dev/urandom >"$work/random"
  engine exec -i box cat <"$work/random" >"$work/echoed" || fail "cat in the container"
  expect_equal "$(sha256sum <"$work/random")" "$(sha256sum <"$work/echoed")" "sha256 of 64 MiB piped in and out"
  rm -f "$work/random" "$work/echoed"
  run engine exec -i box sh -c 'wc -c; sleep 1; echo after the end' < <(head -c 3000001 /dev/zero)
  expect_status 0
  expect_equal $'3000001\nafter the end' "$out" "what comes back after stdin's end"
}

execs_at_once() {
  local i pids=()
  for ((i = 0; i < 20; i++)); do
    engine exec -i box sh -c "wc -c; echo out $i; exit $i" >"$work/many.$i" 2>&1 < <(head -c 100000 /dev/zero) &
    pids[i]=$!
  done
  for ((i = 0; i < 20; i++)); do
    wait "${pids[i]}"
    expect_equal "$i" $? "exit status of exec $i, which said '$(cat "$work/many.$i")'"
    expect_equal "100000"$'\n'"out $i" "$(cat "$work/many.$i")" "output of exec $i"
  done
}

ends_with_box() {
  engine exec box sh -c 'touch /tmp/waits; sleep 1000' >/dev/null 2>&1 </dev/null &
  local client=$!
  eventually 30 engine exec box ls /tmp/waits
  expect_ok engine kill box
  wait "$client"
  expect_equal 137 $? "exit status of an exec whose container is killed"
  eventually 30 eval '[[ $(engine inspect -f "{{.State.Running}}" box) == false ]]'
  run engine exec box true
  [[ $status != 0 ]] || fail "an exec in a stopped container worked"
  expect_match "is not running|running containers" "$err" stderr
  expect_ok engine rm box
}

engine_exec_list() {  # FLAGS_OF_BOX...
  local network_name=none network=(--network none) box_flags=("$@")
  it "run -it: size, resize, the last line, exit 3" run_on_terminal 120
  it "run -i with a pipe that ends" pipe_that_ends
  it "run --privileged: capabilities and mounts, in the guest" run_privileged
  it "run -dit: a shell that waits" begin_box
  it "attach, detach by ctrl-p ctrl-q, and again" attach_and_detach
  it "exec -it: size, resize, Ctrl-C, Ctrl-D, exit 3" exec_on_terminal 120
  it "exec -it: detach by ctrl-p ctrl-q" detaches_from_an_exec
  it "exec: exit codes 0, 3, 126 and 127" exec_statuses
  it "exec: -e, -w, -u and -d" exec_settings
  it "exec --privileged: the capabilities, in the guest" exec_privileged
  it "exec: 64 MiB in and out, and stdin's end" exec_streams 180
  it "exec: 20 at once keep their input, output and status" execs_at_once 180
  it "health checks by command" health_checks
  it "exec: ends with the container, and is refused in a stopped one" ends_with_box
}
