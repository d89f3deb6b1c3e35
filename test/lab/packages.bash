# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The Debian packages on a stock host: from nothing to the first container, husk check on a host that was broken on purpose,
# an upgrade while containers run, a purge. The packages are in the payload's folder "packages".
# Nothing here uses the husk of the build. The lab has no network: what the packages depend on is there.

# shellcheck source=test/e2e/by_hand.bash
source "$here/by_hand.bash"

packages=$PWD/packages
husk_check() { /usr/bin/husk check --json; }
result_of() { husk_check | jq -r --arg check "$1" '.checks[] | select(.check == $check) | .result'; }  # CHECK
finding() {  # CHECK
  husk_check | jq -r --arg check "$1" '.checks[] | select(.check == $check) | "\(.result) \(.check): \(.text) -> \(.advice)"'
}

# For the log of the run, whether the test passes or not.
note() { echo "       $*" >>"$work/notes"; }

install_packages() { apt-get -q -o APT::Sandbox::User=root install -y --allow-downgrades --reinstall "$packages"/husk_*.deb "$packages"/husk-guest_*.deb; }

first_containers() {
  local start=$SECONDS
  expect_ok install_packages
  note "installed after $((SECONDS - start)) s"
  expect_ok husk_check
  note "checked after $((SECONDS - start)) s"
  expect_equal "" "$(jq -r '.checks[] | select(.result == "fail") | .text' <<<"$out")" "what fails"
  expect_equal pass "$(result_of kvm)" "KVM"
  expect_ok /usr/bin/husk setup docker --yes
  systemctl start docker || fail "docker does not start: $(journalctl -u docker --no-pager | tail -n 5)"
  expect_equal pass "$(result_of docker)" "Docker, after husk setup"
  expect_equal pass "$(result_of podman)" "Podman, by the package's file"
  mkdir -p "$work/image/bin"
  cp /bin/busybox "$work/image/bin/"
  ln -s busybox "$work/image/bin/uname"
  ln -s busybox "$work/image/bin/sleep"
  tar -C "$work/image" -c . | docker import - first >/dev/null || fail "docker import"
  tar -C "$work/image" -c . | podman import - first >/dev/null 2>&1 || fail "podman import"
  expect_ok docker run --rm --network none --runtime husk first uname -r
  expect_match '-husk$' "$out" "the kernel, with Docker"
  note "the first container's output, with Docker, after $((SECONDS - start)) s"
  expect_ok podman --runtime husk run --rm --network none first uname -r
  expect_match '-husk$' "$out" "the kernel, with Podman"
  note "Podman's after $((SECONDS - start)) s"
}

# Breaks the host, looks at what husk check says, does what it says, and looks again.
broken() {  # CHECK RESULT PART_OF_TEXT_AND_ADVICE BREAK FIX
  local found
  eval "$4" || fail "$1: cannot be broken: $4"
  found=$(finding "$1")
  note "$found"
  [[ $found == "$2 "* ]] || fail "$1 after: $4: wanted $2, got: $found"
  expect_contains "$3" "$found" "$1 after: $4"
  eval "$5" || fail "$1: the fix fails: $5"
  found=$(finding "$1")
  [[ $found == "pass "* ]] || fail "$1 after: $5: got: $found"
}

broken_hosts() {
  broken kvm warn "modprobe kvm_intel, or kvm_amd" "eventually 20 modprobe -r kvm_amd" "modprobe kvm_amd"
  broken vsock fail "modprobe vhost_vsock" \
    "eventually 20 modprobe -r vhost_vsock; echo 'install vhost_vsock /bin/false' >/run/modprobe.d/broken.conf" \
    "rm /run/modprobe.d/broken.conf && modprobe vhost_vsock"
  broken libvirt fail "Unit libvirtd.socket is masked) -> systemctl unmask libvirtd.socket" \
    "systemctl stop libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd && systemctl mask --runtime libvirtd.socket" \
    "systemctl unmask --runtime libvirtd.socket && systemctl start libvirtd.socket"
  broken guest fail "chmod o+x /usr/share/husk" "chmod 0700 /usr/share/husk" "chmod o+x /usr/share/husk"
  broken qemu fail "qemu-system-x86" "chmod -x /usr/bin/qemu-system-x86_64" "chmod +x /usr/bin/qemu-system-x86_64"
  broken virtiofsd fail "install virtiofsd" "chmod -x /usr/libexec/virtiofsd" "chmod +x /usr/libexec/virtiofsd"
  broken configuration fail "config.toml:1" "cp /etc/husk/config.toml $work/good.toml; sed -i '1i [vn]' /etc/husk/config.toml" \
    "cp $work/good.toml /etc/husk/config.toml"
  broken docker warn "daemon.json: " "cp /etc/docker/daemon.json $work/; echo { >/etc/docker/daemon.json" "cp $work/daemon.json /etc/docker/daemon.json"
  broken docker warn "husk setup docker" "/usr/bin/husk setup docker --remove --yes" "/usr/bin/husk setup docker --yes"
  local file=/etc/containers/containers.conf.d/husk.conf
  broken podman warn "write [engine.runtimes] husk = [\"/usr/bin/husk\"] to $file" "mv $file $work/husk.conf" \
    "printf '[engine.runtimes]\nhusk = [\"/usr/bin/husk\"]\n' >$file"
  mv "$work/husk.conf" "$file"
  # The error of a create has the same words.
  chmod -x /usr/libexec/virtiofsd
  run podman --runtime husk run --rm --network none first uname -r
  chmod +x /usr/libexec/virtiofsd
  expect_contains "install virtiofsd (Debian 13, Fedora) or qemu-system-common (Debian 12)" "$err" "the error of a container without virtiofsd"
}

# The same files as another version: dpkg puts each into place anew, which makes it another husk for the pool.
make_next_version() {
  local package
  for package in husk husk-guest; do
    dpkg-deb -R "$packages/${package}"_*.deb "$work/$package"
    sed -i 's/^Version: .*/&+next/' "$work/$package/DEBIAN/control"
    dpkg-deb -Znone -b "$work/$package" "$work/${package}_next.deb" >/dev/null
    rm -rf "${work:?}/$package"
  done
}

pool_states() { /usr/bin/husk pool status --json | jq -r '[.[].state] | join(" ")'; }
is_pool() { [[ $(pool_states) == "$1" ]]; }  # STATES

# One container has got its VM from the pool, the other one its own; another VM waits in the pool.
upgrade() {
  make_next_version || fail "no packages of another version"
  expect_ok docker run -d --name goes-on --network none --runtime husk first sleep 1000
  expect_ok sed -i 's/^#size = 0/size = 1/' /etc/husk/config.toml
  expect_ok systemctl start husk-pool
  expect_ok podman --runtime husk run -d --name goes-on --network none first sleep 1000
  eventually 60 is_pool ready
  expect_ok apt-get -q -o APT::Sandbox::User=root -o Dpkg::Options::=--force-confold install -y "$work"/husk_next.deb "$work"/husk-guest_next.deb
  expect_match '\+next$' "$(dpkg-query -W -f '${Version}' husk)" "the version"
  expect_equal stale "$(pool_states)" "the pool"
  expect_ok podman exec goes-on uname -r
  expect_ok docker exec goes-on uname -r
  expect_ok podman stop --time 1 goes-on
  expect_ok docker stop --time 1 goes-on
  expect_ok podman rm goes-on
  expect_ok docker rm goes-on
  # The first start after it has the pool renewed.
  expect_ok podman --runtime husk run --rm --network none first uname -r
  eventually 60 is_pool ready
  expect_ok systemctl stop husk-pool
  expect_equal "" "$(pool_states)" "the pool"
}

# With a VM of the pool, which only husk can end.
purge() {
  expect_ok systemctl start husk-pool
  expect_equal 1 "$(/usr/bin/husk pool status --json | jq length)" "VMs of the pool"
  expect_ok /usr/bin/husk setup docker --remove --yes
  systemctl stop docker.socket docker
  expect_ok apt-get -q purge -y husk husk-guest
  expect_equal 0 "$(running_vms)" "VMs after the purge"
  expect_equal "" "$(dpkg -l 'husk*' 2>/dev/null | grep -E '^(ii|rc)')" "packages"
  expect_equal "" "$(find /etc /usr /var/lib /run -xdev \( -name 'husk*' -o -path '*/husk/*' \) -not -path '/var/lib/containers/*' -not -path '/var/lib/docker/*' 2>/dev/null)" "files"
}

mkdir -p /run/modprobe.d
: >"$work/notes"
it "from nothing to a container with Docker and one with Podman" first_containers 300
it "husk check on a host that was broken on purpose, and mended as husk says" broken_hosts 300
it "containers go on during an upgrade, and the pool is renewed" upgrade 400
it "a purge leaves nothing" purge 120
cat "$work/notes"
rm -rf /etc/docker/daemon.json* /run/modprobe.d
podman rmi first >/dev/null 2>&1
