# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What a person does with Docker.

# shellcheck source=test/e2e/engine_docker.bash
source "$here/engine_docker.bash"
# shellcheck source=test/e2e/engine_list.bash
source "$here/engine_list.bash"
# shellcheck source=test/e2e/engine_session.bash
source "$here/engine_session.bash"
# shellcheck source=test/e2e/engine_pod.bash
source "$here/engine_pod.bash"
# shellcheck source=test/e2e/engine_network.bash
source "$here/engine_network.bash"
# Its containers live on without it, and it finds them again.
live_restore() {
  expect_ok engine run -d --name lasting --runtime "$RUNTIME" --network none husk-test sh -c 'while true; do echo tick; sleep 0.2; done'
  eventually 30 logs_contain lasting tick
  local dockerd pid lines
  dockerd=$(cat "$work/docker.pid") pid=$(engine inspect -f '{{.State.Pid}}' lasting)
  kill -KILL "$dockerd"
  wait_gone "$dockerd"
  [[ -d /proc/$pid ]] || fail "the container ended with dockerd"
  start_dockerd
  expect_equal "running $pid" "$(engine inspect -f '{{.State.Status}} {{.State.Pid}}' lasting)" "the container after dockerd came back"
  expect_equal fine "$(engine exec lasting echo fine)" "exec"
  lines=$(engine logs lasting | wc -l)
  eventually 20 eval "[[ \$(engine logs lasting | wc -l) -gt $lines ]]"
  expect_ok engine stop -t 1 lasting
  expect_equal 137 "$(engine inspect -f '{{.State.ExitCode}}' lasting)" "exit code"
  expect_ok engine rm lasting
}

known_capabilities=0000003fffffffff status_of_missing='126|127'

is_health() { [[ $(engine inspect -f '{{.State.Health.Status}}' box) == "$1" ]]; }

# "box" has a command that asks for /tmp/well every second.
health_checks() {
  expect_ok engine exec box touch /tmp/well
  eventually 60 is_health healthy
  expect_ok engine exec box rm /tmp/well
  eventually 60 is_health unhealthy
  expect_contains "not well" "$(engine inspect -f '{{json .State.Health.Log}}' box)" "the log of the checks"
  expect_ok engine exec box touch /tmp/well
  eventually 60 is_health healthy
}

no_zombie_shims() {
  local i before
  before=$(engine ps -aq)
  for i in 1 2 3; do
    expect_ok engine run --rm --runtime "$RUNTIME" --network none husk-test echo "$i"
    expect_equal "$i" "$out" "output of run $i"
  done
  expect_equal "$before" "$(engine ps -aq)" "containers there are"
}

many_at_once() {
  local i pids=()
  for i in 1 2 3; do
    engine run --rm --runtime "$RUNTIME" --network none husk-test sh -c "echo $i; exit $i" >"$work/many.$i" 2>&1 </dev/null &
    pids[i]=$!
  done
  for i in 1 2 3; do
    wait "${pids[i]}"
    expect_equal "$i" $? "exit status of container $i"
    expect_equal "$i" "$(cat "$work/many.$i")" "output of container $i"
  done
}

if begin_docker; then
  make_rootfs "$work/rootfs"
  tar -C "$work/rootfs" -c . | engine import - husk-test >/dev/null || { echo "docker import failed" >&2; exit 1; }
  begin_base
  engine_process_list none --network none
  engine_list default
  engine_network_list
  engine_session
  engine_exec_list --health-cmd 'ls /tmp/well || { echo not well; exit 1; }' --health-interval 1s --health-retries 2
  it "containers that share pid, ipc and network namespaces" shared_namespaces 120
  it "another's pid namespace without its network is refused" refused_without_the_network
  ! has_pool || it "its containers get VMs of the pool" container_of_pool 120
  it "live-restore: kill -9 of dockerd, and its return" live_restore 120
  it "one after the other leaves nothing" no_zombie_shims 120
  it "three at once keep their output and status" many_at_once 180
else
  report skip "no docker.io here (scripts/install-deps test)" ""
fi
