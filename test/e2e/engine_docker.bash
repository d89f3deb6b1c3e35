# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Docker's engine, started for one topic: its own directories, socket and bridge. engine() is its client.

# A package's, by its full path: other clients may be first in PATH.
docker=/usr/bin/docker
RUNTIME=under-test
# shellcheck source=test/e2e/engine_list.bash
source "$here/engine_list.bash"
# shellcheck source=test/e2e/engine_pool.bash
source "$here/engine_pool.bash"
engine_command() { command=("$docker" --host "unix://$work/docker.sock" "$@"); }

make_bridge() {
  # A bridge of our own, and no packet filter rules: nothing of the machine's, or of another dockerd's, is touched.
  bridge=huske2e$run_id
  ip link add "$bridge" type bridge && ip addr add "172.29.$((RANDOM % 250)).1/24" dev "$bridge" && ip link set "$bridge" up
  at_end "ip link del $bridge"
}

start_dockerd() {
  # Reaped for, since its containerd goes with it: the next dockerd takes a dead one for alive.
  (reaping /usr/sbin/dockerd --host "unix://$work/docker.sock" --data-root "$work/data" --exec-root "$work/exec" \
    --pidfile "$work/docker.pid" --bridge "$bridge" --iptables=false --ip6tables=false --ip-masq=false \
    --live-restore --add-runtime "$RUNTIME=$runtime_program") >>"$work/dockerd.log" 2>&1 </dev/null &
  local dockerd=$! i
  disown
  for ((i = 0; i < 300; i++)); do
    engine version >/dev/null 2>&1 && return
    [[ -d /proc/$dockerd ]] || break
    sleep 0.1
  done
  tail -n 30 "$work/dockerd.log" >&2
  echo "dockerd does not answer" >&2
  exit 1
}

# A test may have started another one than the first.
stop_dockerd() {
  local dockerd
  engine ps -aq | xargs -r -n 1 "$docker" --host "unix://$work/docker.sock" rm -f
  dockerd=$(cat "$work/docker.pid") && kill "$dockerd" && wait_gone "$dockerd"
}

# libvirt with it. Fails where there is no Docker.
begin_docker() {
  [[ -x $docker && -x /usr/sbin/dockerd ]] || return 1
  ! is_husk || start_libvirt
  begin_pool
  make_bridge
  at_end stop_dockerd
  start_dockerd
}
