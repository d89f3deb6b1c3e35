# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Podman's pods as a user makes and uses them. runc does the same in each of these tests (HUSK=/usr/sbin/runc), but
# where is_husk says otherwise.

greets() { [[ $(engine exec "$1" nc 127.0.0.1 7000) == hi ]]; }  # NAME
says_hi() { [[ $(cat <"/dev/tcp/127.0.0.1/$1") == hi ]]; }  # PORT, one of the host
pod_status() { engine pod ps --filter "name=^$1\$" --format '{{.Status}} {{.NumberOfContainers}}'; }  # POD
statuses_of() {  # POD
  local name
  for name in $(engine ps --all --filter "pod=$1" --format '{{.Names}}'); do
    engine inspect -f '{{.Name}} {{.State.Status}}' "$name"
  done | sed 's/^[0-9a-f]*-infra/infra/' | sort | xargs
}
kernel_of() { engine exec "$1" cat /proc/sys/kernel/random/boot_id; }  # NAME
addresses_of() { engine exec "$1" ip -o -4 addr show | awk '$2 != "lo" { print $2 }'; }  # NAME

# The default: net, ipc and uts are shared, pid is not.
pod_with_a_port() {
  expect_ok engine pod create --name served -p 127.0.0.1:27803:7000
  expect_ok engine run -d --name server --pod served husk-test sh -c 'while :; do nc -l -p 7000 -e echo hi; done'
  expect_ok engine run -d --name beside --pod served --health-cmd 'ls /tmp/well' --health-interval disable --health-retries 1 \
    husk-test sh -c 'trap "exit 3" TERM; touch /tmp/well; echo started; while :; do sleep 0.1; done'
  eventually 20 greets beside
  eventually 20 says_hi 27803
  expect_equal "$(namespaces_in server net ipc uts)" "$(namespaces_in beside net ipc uts)" "namespaces of the pod"
  [[ $(namespaces_in server pid) != "$(namespaces_in beside pid)" ]] || fail "the pid namespace is shared"
  expect_contains "	served " "$(engine exec beside cat /etc/hosts)" "/etc/hosts"
  pod_as_podman_shows_it
  health_in_a_pod
  paused_pod
  member_killed
  expect_ok engine pod stop -t 1 served
  expect_equal "Exited 3" "$(pod_status served)" "the pod"
  expect_equal "137 3" "$(engine inspect -f '{{.State.ExitCode}}' server beside | xargs)" "exit statuses"
  expect_ok engine pod start served
  infra_killed
  expect_ok engine pod rm -f -t 0 served
  expect_equal "" "$(engine pod ps -q)" "pods left"
}

pod_as_podman_shows_it() {
  local command
  expect_equal "Running 3" "$(pod_status served)" "the pod"
  expect_equal "ipc net uts" "$(engine pod inspect -f '{{range .SharedNamespaces}}{{println .}}{{end}}' served | sort | xargs)" "what is shared"
  expect_contains 27803 "$(engine pod inspect -f '{{json .InfraConfig.PortBindings}}' served)" "the port in inspect"
  expect_ok engine pod stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.PIDS}}' served
  expect_equal 3 "$(grep -cE ' [0-9.]+[kMG]?B .* [1-9][0-9]*$' <<<"$out")" "members with memory and pids in: $out"
  expect_ok engine pod top served args
  for command in "/catatonit -P" "nc -l -p 7000" 'sh -c trap "exit 3" TERM'; do expect_contains "$command" "$out" "pod top"; done
  expect_match '^[0-9a-f]{12} started$' "$(engine pod logs served)" "pod logs"
  expect_ok engine generate kube served
  expect_contains "hostPort: 27803" "$out" "the pod's YAML"
}

health_in_a_pod() {
  expect_ok engine healthcheck run beside
  expect_ok engine exec beside rm /tmp/well
  run engine healthcheck run beside
  expect_status 1
  expect_equal unhealthy "$(engine inspect -f '{{.State.Health.Status}}' beside)" "health"
}

paused_pod() {
  expect_ok engine pod pause served
  expect_equal "Paused 3" "$(pod_status served)" "the pod"
  run engine exec beside true
  [[ $status != 0 ]] || fail "exec in a paused pod"
  expect_ok engine pod unpause served
  eventually 20 greets beside
}

# The others do not notice. The killed one comes back to the same VM.
member_killed() {
  local kernel
  kernel=$(kernel_of beside)
  expect_ok engine kill server
  expect_equal 137 "$(engine wait server)" "exit status"
  expect_equal "Degraded 3" "$(pod_status served)" "the pod"
  expect_ok engine start server
  eventually 20 greets beside
  expect_equal "$kernel" "$(kernel_of server)" "the kernel of the member that was started again"
}

# Podman takes the pod's addresses away. The members stay where they are; a member that starts afterwards is in the
# namespaces of the new infra container.
infra_killed() {
  expect_equal eth0 "$(addresses_of server)" "links with an address"
  expect_ok engine kill "$(engine pod inspect -f '{{.InfraContainerID}}' served)"
  eventually 20 eval '[[ $(statuses_of served) == "beside running infra exited server running" ]]'
  expect_equal "Degraded 3" "$(pod_status served)" "the pod"
  eventually 20 eval '[[ -z $(addresses_of server) ]]'
  eventually 20 greets beside
  run engine restart -t 1 beside
  expect_status 125
  expect_contains "cannot get namespace path unless container" "$err" "Podman's reason"
  expect_ok engine pod start served
  expect_equal "beside running infra running server running" "$(statuses_of served)" "the members"
  expect_equal "" "$(addresses_of server)" "links with an address in the old network"
  expect_equal eth0 "$(addresses_of beside)" "links with an address in the new network"
}

member_of() { expect_ok engine run -d --name "$2" --pod "$1" "${@:3}" husk-test sh -c 'trap "exit 0" TERM; while :; do sleep 0.1; done'; }  # POD NAME FLAGS...

# Settings of the pod, and net alone shared: Podman gives each member a host name of its own then.
pod_that_shares_net() {
  expect_ok engine pod create --name netted --share net --sysctl net.ipv4.ip_forward=1 --add-host elsewhere:192.0.2.1 --dns 192.0.2.53 \
    -v "$work/rootfs/etc:/of-the-pod:ro"
  member_of netted one
  member_of netted two
  expect_equal "$(namespaces_in one net)" "$(namespaces_in two net)" "network namespace"
  [[ $(namespaces_in one ipc) != "$(namespaces_in two ipc)" ]] || fail "the ipc namespace is shared"
  [[ $(engine exec one hostname) != "$(engine exec two hostname)" ]] || fail "the host name is shared"
  expect_equal 1 "$(engine exec two cat /proc/sys/net/ipv4/ip_forward)" "the pod's sysctl"
  expect_match $'192.0.2.1[ \t]+elsewhere' "$(engine exec two cat /etc/hosts)" "the pod's hosts"
  expect_contains "nameserver 192.0.2.53" "$(engine exec two cat /etc/resolv.conf)" "the pod's name server"
  expect_equal "$(cat "$work/rootfs/etc/passwd")" "$(engine exec one cat /of-the-pod/passwd)" "the pod's volume"
  expect_ok engine pod rm -f -t 1 netted
}

# Without infra container (Podman makes none for --share "" either) each member has a VM of its own.
pod_without_infra() {
  expect_ok engine pod create --name apart --infra=false
  member_of apart one --network none
  member_of apart two --network none
  expect_equal "Running 2" "$(pod_status apart)" "the pod"
  [[ $(engine exec one hostname) != "$(engine exec two hostname)" ]] || fail "the host name is shared"
  if is_husk; then [[ $(kernel_of one) != "$(kernel_of two)" ]] || fail "one VM of two networks"; fi
  expect_ok engine pod stop -t 1 apart
  expect_equal "one exited two exited" "$(statuses_of apart)" "the members"
  expect_ok engine pod rm -f apart
  expect_ok engine pod create --name apart --share ""
  expect_equal "" "$(engine pod inspect -f '{{.InfraContainerID}}' apart)" "infra container"
  expect_ok engine pod rm apart
}

# A guest has one network. runc runs both of these pods.
pods_that_a_vm_cannot_have() {
  expect_ok engine pod create --name refused --share pid
  run engine run --pod refused --network none husk-test true
  expect_status 126
  expect_contains "whose network the container must join as well: a VM has one network" "$err" "the reason"
  expect_contains "--share net,pid" "$err" "the advice"
  expect_ok engine pod rm -f -t 0 refused
  expect_ok engine pod create --name refused --network host
  run engine run --pod refused husk-test true
  [[ $status != 0 ]] || fail "a pod with the host's network"
  expect_contains "the host's network namespace cannot be used" "$err" "the reason"
  expect_ok engine pod rm -f -t 0 refused
}
