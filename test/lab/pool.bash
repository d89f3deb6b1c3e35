# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The pool on a stock host: all of test/e2e/pool.bash, and what only systemd has: scopes, the service that fills the pool,
# the one that refills it, and Docker's scope.

# shellcheck source=test/e2e/pool.bash
source "$here/pool.bash"

cgroup_of() { sed -n 's/^0:://p' "/proc/$1/cgroup"; }  # PID
qemu_of() { jq .process.pid "/run/husk-vm/$1/vm.json"; }  # VM
is_gone() { [[ $(systemctl show -P LoadState "$1") == not-found ]]; }  # UNIT

# packaging/husk-pool.service, with this husk and this topic's configuration.
start_service() {
  sed "s|/usr/bin/husk |$HUSK --config $work/config.toml |" "$top/husk-pool.service" >/run/systemd/system/husk-pool.service
  expect_ok systemctl daemon-reload
  expect_ok systemctl start husk-pool
}

service() {
  local spare next
  start_service
  spare=$(spares ready)
  expect_match '^[0-9a-f]{8}$' "$spare" "the spare VM"
  expect_equal active "$(systemctl show -P ActiveState "husk-spare-$spare.scope")" "the spare VM's scope"
  expect_equal "/system.slice/husk-spare-$spare.scope" "$(cgroup_of "$(qemu_of "$spare")")" "QEMU's cgroup"
  expect_equal active "$(systemctl show -P ActiveState "husk-keeper-$spare.service")" "the keeper's unit"
  # What is in the service's cgroup ends with the service.
  expect_equal "" "$(cat /sys/fs/cgroup/system.slice/husk-pool.service/cgroup.procs 2>/dev/null)" "processes of the service"
  # systemd takes away what it does not know when it looks again.
  expect_ok systemctl daemon-reload
  expect_equal 100 "$(cat "/sys/fs/cgroup/system.slice/husk-spare-$spare.scope/cpu.weight")" "the weight of a VM that has booted"
  make_bundle "$work/served" sleep 1000
  edit_config "$work/served" '.linux.cgroupsPath = "system.slice:husk-e2e:served"'
  expect_ok pooled --systemd-cgroup run --detach --bundle "$work/served" served
  expect_equal "$spare" "$(vm_of served)" "the container's VM"
  expect_equal "/system.slice/husk-e2e-served.scope" "$(cgroup_of "$(qemu_of "$spare")")" "QEMU's cgroup of a claimed VM"
  expect_equal 100 "$(cat /sys/fs/cgroup/system.slice/husk-e2e-served.scope/cpu.weight)" "the container's weight"
  eventually 10 is_gone "husk-spare-$spare.scope"
  eventually 60 has_spare
  eventually 10 is_gone husk-pool-refill.service
  next=$(spares ready)
  expect_equal "/system.slice/husk-spare-$next.scope" "$(cgroup_of "$(qemu_of "$next")")" "QEMU's cgroup after the refill"
  expect_ok systemctl reload husk-pool
  expect_equal "$next" "$(spares ready)" "the pool after a reload that had nothing to do"
  # The pool's end is not that of containers with VMs from it.
  expect_ok systemctl stop husk-pool
  expect_equal "[]" "$(pooled pool status --json)" "the pool after its service was stopped"
  eventually 10 is_gone "husk-spare-$next.scope"
  eventually 10 is_gone "husk-keeper-$next.service"
  expect_ok pooled exec served true
  expect_ok pooled delete --force served
  eventually 10 is_gone husk-e2e-served.scope
}

docker_takes_one() {
  local spare id
  start_service
  mkdir -p /etc/docker
  echo "{\"runtimes\": {\"husk\": {\"path\": \"$HUSK\", \"runtimeArgs\": [\"--config\", \"$work/config.toml\"]}}}" >/etc/docker/daemon.json
  systemctl start docker || fail "docker does not start"
  tar -C "$work/rootfs" -c . | docker import - husk-test || fail "docker import"
  spare=$(spares ready)
  expect_ok docker run -d --runtime husk --memory 700m --name pooled husk-test sleep 1000
  id=$out
  expect_equal "/system.slice/docker-$id.scope" "$(cgroup_of "$(qemu_of "$spare")")" "QEMU's cgroup"
  eventually 60 has_spare
  expect_ok docker exec pooled ip route
  expect_contains default "$out" "the container's routes"
  expect_match '^[1-9].*MiB' "$(docker stats --no-stream --format '{{.MemUsage}}' pooled)" "memory in docker stats"
  expect_ok docker rm -f pooled
  eventually 10 is_gone "docker-$id.scope"
  systemctl stop docker docker.socket containerd
  ip link del docker0
  expect_ok systemctl stop husk-pool
  rm /run/systemd/system/husk-pool.service
  systemctl daemon-reload
}

it "husk-pool.service: a scope for each VM, a refill, an end that leaves containers alone" service 240
it "docker's own service takes a VM of the pool" docker_takes_one 240
