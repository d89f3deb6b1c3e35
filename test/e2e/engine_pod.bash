# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Containers that share namespaces: in one VM, in the same namespaces of its guest. engine() and $RUNTIME are as for
# engine_list.

namespaces_in() {  # NAME TYPE...: as /proc has them in the guest
  local name=$1 type
  shift
  for type in "$@"; do engine exec "$name" readlink "/proc/self/ns/$type"; done | xargs
}

# The host's flock(1) in the volume /v of both, for an image without one.
put_flock_into() {  # DIRECTORY
  local library
  mkdir -p "$1"
  cp "$(command -v flock)" "$1/flock.bin"
  ldd "$1/flock.bin" | grep -o '/[^ ]*' | while read -r library; do cp "$library" "$1/"; done
  mv "$1"/ld-* "$1/ld.so"
  printf '#!/bin/sh\nexec /v/ld.so --library-path /v /v/flock.bin "$@"\n' >"$1/flock"
  chmod +x "$1/flock"
}

# One container has a lock in the volume until a file there says that it is enough.
locks_exclude() {  # NAME OTHER
  local holder
  engine exec "$1" /v/flock /v/lock sh -c 'touch /v/held; while [ ! -e /v/enough ]; do sleep 0.1; done' &
  holder=$!
  eventually 20 engine exec "$2" test -e /v/held
  expect_equal "$(engine exec "$1" stat -c %d:%i /v/lock)" "$(engine exec "$2" stat -c %d:%i /v/lock)" "the file's identity"
  expect_equal 1 "$(engine exec "$2" sh -c '/v/flock -n /v/lock true; echo $?')" "status of flock -n while another has the lock"
  expect_ok engine exec "$2" touch /v/enough
  wait "$holder"
  expect_ok engine exec "$2" /v/flock -n /v/lock true
}

# "other" has everything of "first" but its files and host name; both have the volume /v.
shared_namespaces() {
  put_flock_into "$work/volume"
  expect_ok engine run -d --name first --runtime "$RUNTIME" --network none --ipc shareable --shm-size 32m -v "$work/volume:/v" \
    husk-test sleep 1111
  expect_ok engine run -d --name other --runtime "$RUNTIME" --network container:first --ipc container:first \
    --pid container:first -v "$work/volume:/v" husk-test sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done'
  expect_equal "$(namespaces_in first net ipc pid)" "$(namespaces_in other net ipc pid)" "net, ipc and pid namespaces"
  [[ $(namespaces_in first mnt) != "$(namespaces_in other mnt)" ]] || fail "the mount namespace is shared"
  expect_equal "sleep 1111" "$(engine exec other cat /proc/1/cmdline | tr '\0' ' ' | sed 's/ $//')" "process 1"
  expect_contains "sleep 1111" "$(engine exec other ps -o args)" "ps in the other"
  engine exec first sh -c 'echo shared >/dev/shm/file'
  expect_equal shared "$(engine exec other cat /dev/shm/file)" "a file in /dev/shm"
  if is_husk; then
    expect_equal tmpfs "$(engine exec other stat -f -c %T /dev/shm)" "file system of /dev/shm"
  fi
  expect_equal 32768 "$(engine exec other df -k /dev/shm | awk 'END { print $2 }')" "KiB of /dev/shm"
  locks_exclude first other
  # What ends of the other does not concern the first.
  expect_ok engine stop -t 20 other
  expect_equal 3 "$(engine wait other)" "exit status of the other"
  expect_ok engine start other
  expect_equal "sleep 1111" "$(engine exec other cat /proc/1/cmdline | tr '\0' ' ' | sed 's/ $//')" "process 1 after a restart"
  # Process 1 takes all of its pid namespace with it.
  expect_ok engine kill first
  expect_equal 137 "$(engine wait other)" "exit status with process 1 gone"
  if [[ $(engine --version) != podman* ]]; then  # which starts the first again
    run engine start other
    [[ $status != 0 ]] || fail "started in a pid namespace that is gone"
  fi
  expect_ok engine rm -f other
  expect_ok engine rm -f first
  rm -rf "$work/volume"
}

# A guest has one network: that of its containers.
refused_without_the_network() {
  run engine run --rm --runtime "$RUNTIME" --network none --pid container:base husk-test true
  [[ $status != 0 ]] || fail "a container in another's pid namespace with a network of its own"
  expect_contains "whose network the container must join as well" "$out$err" "the reason"
}

# Podman makes the pod's network, ipc and uts namespaces with its pause container, and each member gets their paths.
pod_of_podman() {
  local kernel
  expect_ok engine pod create --name pod --network none --share ipc,net,uts,pid
  expect_ok engine run -d --pod pod --name a husk-test sh -c 'nc -l -p 7000 -e cat & exec sleep 1000'
  expect_ok engine run -d --pod pod --name b husk-test sleep 1000
  expect_equal "$(namespaces_in a net ipc uts pid)" "$(namespaces_in b net ipc uts pid)" "namespaces of the pod"
  expect_equal pod "$(engine exec b hostname)" "host name"
  expect_equal hi "$(engine exec b sh -c 'echo hi | nc 127.0.0.1 7000')" "localhost"
  kernel=$(engine exec a cat /proc/sys/kernel/random/boot_id)
  expect_equal "$kernel" "$(engine run --rm --pod pod husk-test cat /proc/sys/kernel/random/boot_id)" "the kernel of one that comes later"
  expect_ok engine pod pause pod
  expect_ok engine pod unpause pod
  expect_ok engine pod stats --no-stream pod
  expect_ok engine pod restart pod
  expect_equal pod "$(engine exec a hostname)" "host name after a restart"
  [[ $(engine exec a cat /proc/sys/kernel/random/boot_id) != "$kernel" ]] || fail "the VM outlived all of its containers"
  expect_ok engine pod stop -t 2 pod
  expect_ok engine pod start pod
  expect_ok engine exec b true
  expect_ok engine pod rm -f -t 0 pod
}

# The same without a shared pid namespace, each in its own turn, and with one that ends early.
pod_without_pid() {
  expect_ok engine pod create --name plain --network none
  expect_ok engine run -d --pod plain --name c --restart on-failure:2 husk-test sh -c 'sleep 1; exit 4'
  expect_ok engine run -d --pod plain --name d husk-test sleep 1000
  expect_equal "sleep 1000" "$(engine exec d cat /proc/1/cmdline | tr '\0' ' ' | sed 's/ $//')" "process 1 of its own"
  eventually 60 eval '[[ $(engine inspect -f "{{.State.Status}} {{.RestartCount}}" c) == "exited 2" ]]'
  expect_ok engine exec d true
  expect_ok engine pod rm -f -t 0 plain
}
