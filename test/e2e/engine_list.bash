# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What has to work in the same way with Docker and with Podman. The topic that sources this defines
# engine_command(), which puts the engine's command line (against its private store, where the image `husk-test`
# is) into $command, and calls engine_process_list NETWORK_NAME NETWORK_FLAGS... once, engine_list with the same for
# each network, and engine_exec_list FLAGS_OF_BOX... once, with $known_capabilities, $status_of_missing and
# health_checks() defined. begin_base comes before them: what is about one thing of the container, and not about
# its VM, joins the VM of the idle container "base". Of each kind of thing one test has a VM of its own.
# shellcheck source=test/e2e/engine_exec.bash
source "$here/engine_exec.bash"

engine() {
  local command
  engine_command "$@"
  "${command[@]}"
}

ctr() { engine run --rm --runtime "$RUNTIME" "${network[@]}" "$@"; }

begin_base() {
  engine run -d --name base --runtime "$RUNTIME" --network none husk-test sleep 100000 >/dev/null 2>"$work/base.err" </dev/null ||
    { cat "$work/base.err" >&2; echo "the container that others join did not start" >&2; exit 1; }
}

in_base() { engine run --rm --runtime "$RUNTIME" --network container:base "$@"; }

logs_contain() { [[ $(engine logs "$1" 2>&1) == *"$2"* ]]; }  # NAME TEXT

guest_kernel() {
  expect_ok ctr husk-test uname -r
  expect_guest_kernel "$out"
}

streams_byte_for_byte() {
  head -c $((64 << 20)) /dev/urandom >"$work/random"
  local wanted
  wanted=$(sha256sum <"$work/random")
  ctr -i --log-driver none husk-test cat <"$work/random" >"$work/echoed" || fail "cat in the container"
  expect_equal "$((64 << 20))" "$(stat -c %s "$work/echoed")" "bytes that came back"
  expect_equal "$wanted" "$(sha256sum <"$work/echoed")" "sha256 of 64 MiB piped in and out"
  rm -f "$work/random" "$work/echoed"
  # The count is the container's own: nothing is lost on the way in.
  run in_base -i husk-test wc -c < <(head -c 3000001 /dev/zero)
  expect_status 0
  expect_equal 3000001 "$out" "bytes of stdin seen in the container"
}

streams_apart() {
  expect_ok in_base husk-test sh -c 'echo to-stdout; echo to-stderr >&2'
  expect_equal to-stdout "$out" stdout
  expect_equal to-stderr "$err" stderr
}

exit_codes() {
  expect_ok in_base husk-test true
  run ctr husk-test sh -c 'exit 3'
  expect_status 3
  run ctr husk-test no-such-command
  expect_status 127
  expect_contains no-such-command "$err" stderr
  run in_base husk-test /etc/passwd
  expect_status 126
}

killed() {
  local name=killed-$network_name
  engine run --name "$name" --runtime "$RUNTIME" "${network[@]}" husk-test sleep 1000 >/dev/null 2>&1 </dev/null &
  local client=$!
  eventually 60 eval "[[ \$(engine inspect -f '{{.State.Running}}' $name) == true ]]"
  expect_ok engine kill "$name"
  wait "$client"
  expect_equal 137 $? "exit status of run after kill"
  expect_equal 137 "$(engine inspect -f '{{.State.ExitCode}}' "$name")" "exit code in inspect"
  expect_ok engine rm "$name"
}

volumes() {
  mkdir -p "$work/volume/sub"
  echo from-host >"$work/volume/in"
  echo single >"$work/single"
  expect_ok ctr -v "$work/volume:/data" -v "$work/single:/etc/single:ro" husk-test sh -c \
    'cat /data/in /etc/single; echo from-guest >/data/sub/out; chown 1234:5678 /data/sub/out; ln -s in /data/link'
  expect_equal $'from-host\nsingle' "$out" "files seen in the container"
  expect_equal from-guest "$(cat "$work/volume/sub/out")" "file written in the container"
  expect_equal 1234:5678 "$(stat -c %u:%g "$work/volume/sub/out")" "its owner"
  expect_equal in "$(readlink "$work/volume/link")" "a link made in the container"
  run in_base -v "$work/volume:/data:ro" husk-test sh -c 'cat /data/in && ! echo changed >/data/in'
  expect_status 0
  expect_contains "Read-only file system" "$err" "stderr of a write to a read-only volume"
  expect_equal from-host "$(cat "$work/volume/in")" "the file in a read-only volume"
  rm -rf "$work/volume" "$work/single"
}

file_systems() {
  expect_ok in_base --read-only --tmpfs /scratch:size=16m husk-test sh -c \
    '! echo x 2>/dev/null >/new && echo y >/scratch/new && cat /scratch/new && grep " /scratch " /proc/mounts'
  expect_match $'^y\ntmpfs /scratch tmpfs .*size=16384k' "$out" "a tmpfs in a read-only container"
}

process_settings() {
  expect_ok in_base -e COLOUR=blue -w /tmp -u 1000:1000 husk-test sh -c 'echo "$COLOUR $(pwd) $(id -u):$(id -g)"; touch /tmp/mine; stat -c %u:%g /tmp/mine'
  expect_equal $'blue /tmp 1000:1000\n1000:1000' "$out" "environment, directory and user in the container"
}

detached() {
  local name=detached-$network_name id
  expect_ok engine run -d --name "$name" --runtime "$RUNTIME" "${network[@]}" husk-test sh -c \
    'trap "echo bye; exit 5" TERM; echo hello; echo oops >&2; while true; do sleep 0.1; done'
  id=$out
  expect_match '^[0-9a-f]{64}$' "$id" "what run -d prints"
  eventually 30 logs_contain "$name" hello
  run engine logs "$name"
  expect_equal hello "$out" "logs: stdout"
  expect_equal oops "$err" "logs: stderr"
  expect_ok engine stop -t 20 "$name"
  expect_equal "exited 5" "$(engine inspect -f '{{.State.Status}} {{.State.ExitCode}}' "$name")" "after stop"
  expect_contains bye "$(engine logs "$name" 2>&1)" "logs after stop"
  expect_ok engine rm "$name"
  run engine inspect "$name"
  [[ $status != 0 ]] || fail "the container is still known after rm"
}

# What is done while it is paused waits, or is refused by the engine; stop and kill do not hang.
paused() {
  local name=paused-$network_name size
  expect_ok engine run -d --name "$name" --runtime "$RUNTIME" "${network[@]}" husk-test sh -c 'while true; do echo tick; sleep 0.1; done'
  eventually 30 logs_contain "$name" tick
  expect_ok engine pause "$name"
  expect_equal paused "$(engine inspect -f '{{.State.Status}}' "$name")" "status"
  sleep 0.5  # what was under way
  size=$(engine logs "$name" | wc -l)
  sleep 1
  expect_equal "$size" "$(engine logs "$name" | wc -l)" "lines while it is paused"
  run engine exec "$name" true
  [[ $status != 0 ]] || fail "exec in a paused container"
  expect_ok engine unpause "$name"
  expect_equal running "$(engine inspect -f '{{.State.Status}}' "$name")" "status"
  eventually 10 eval "[[ \$(engine logs $name | wc -l) -gt $size ]]"
  expect_ok engine exec "$name" true
  expect_ok engine pause "$name"
  expect_ok engine rm -f "$name"
}

copies() {
  local name=copies-$network_name
  expect_ok engine run -d --name "$name" --runtime "$RUNTIME" "${network[@]}" husk-test sh -c \
    'echo made-inside >/root/inside; while [ ! -s /root/outside ]; do sleep 0.1; done; cat /root/outside; sleep 1000'
  echo made-outside >"$work/outside"
  expect_ok engine cp "$work/outside" "$name:/root/outside"
  eventually 30 logs_contain "$name" made-outside
  expect_ok engine cp "$name:/root/inside" "$work/inside"
  expect_equal made-inside "$(cat "$work/inside")" "file copied out of the running container"
  [[ ! -e /root/outside ]] || fail "cp went to the host's root"
  expect_ok engine rm -f "$name"
  rm -f "$work/inside" "$work/outside"
}

# What does not depend on the network, once.
engine_process_list() {  # NETWORK_NAME NETWORK_FLAGS...
  network_name=$1
  shift
  network=("$@")
  it "stdin and stdout arrive byte for byte" streams_byte_for_byte 180
  it "stdout and stderr stay apart" streams_apart
  it "volumes, read-write and read-only" volumes 120
  it "tmpfs and a read-only root" file_systems
  it "environment, working directory and user" process_settings
}

engine_list() {  # NETWORK_NAME NETWORK_FLAGS...
  network_name=$1
  shift
  network=("$@")
  it "$network_name: runs on a kernel of its own" guest_kernel
  it "$network_name: exit codes 0, 3, 127 and 126" exit_codes 120
  it "$network_name: exit code 137 after kill" killed
  it "$network_name: detached, with logs, stop and rm" detached 120
  it "$network_name: cp both ways while it runs" copies 120
  it "$network_name: pause and unpause" paused 120
}
