# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Files of the host in a container: file_cases uses a folder on the host, the container's root, and a bind. Nothing but
# a real virtiofsd with a real guest shows what differs. Each virtiofsd that is there has its turn.

# shellcheck source=test/e2e/by_hand.bash
source "$here/by_hand.bash"

capabilities='["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_SETGID", "CAP_SETUID", "CAP_MKNOD", "CAP_SETFCAP", "CAP_SYS_ADMIN"]'

# A container that has the host's programs, and more rights than usual.
with_host_programs() {  # ID
  make_bundle "$work/$1" sleep 1000
  mkdir -p "$work/$1.volume"
  edit_config "$work/$1" '.process.capabilities |= map_values($all) | .linux.resources.devices += [{allow: true, access: "rwm"}] |
    .mounts += (["usr", "lib", "lib64", "bin"] | map({destination: ("/" + .), source: ("/" + .), type: "bind", options: ["rbind", "ro"]})) +
      [{destination: "/volume", source: $volume, type: "bind", options: ["rbind"]}]' \
    --arg volume "$work/$1.volume" --argjson all "$capabilities"
}

# Prints the cases that differ, as file_differences lists them.
differences() {  # FILE FILE
  { diff "$1" "$2" || true; } | sed -nE 's/^[<>] ([a-z_]+) ([0-9]+) .*/\1 \2/p; s/^[<>] ([a-z_]+) ended.*/\1 -/p' | sort -u
}

compare() {  # KIND PROGRAM
  local kind=$1 place kernel
  [[ -x $2 ]] || skip "no virtiofsd in $kind on this machine: $2"
  printf '[files]\nvirtiofsd = "%s"\n' "$2" >"$work/$kind.toml"
  with_host_programs "$kind"
  expect_ok "$HUSK" --config "$work/$kind.toml" --root "$work/root" run --detach --bundle "$work/$kind" "$kind"
  mkdir "$work/$kind/rootfs/cases" "$work/$kind.volume/cases"
  cp "$here/file_cases" "$work/$kind.volume/"
  [[ -e $work/on-host ]] || { mkdir "$work/plain" && /usr/bin/python3 "$here/file_cases" "$work/plain" >"$work/on-host" 2>&1; }
  [[ $(wc -l <"$work/on-host") -gt 100 ]] || fail "on the host: $(tail "$work/on-host")"
  # husk's own kernel has what Debian's lacks (rootfs-builder/kernel-patches).
  kernel=$kind-debian
  ! husk exec "$kind" uname -r | grep -q -- '-husk$' || kernel=$kind
  awk -v kind="$kind" -v kernel="$kernel" '!/^#/ { for (n = 3; n <= NF; n++) if ($n == kind || $n == kernel) { print $1, $2; next } }' \
    "$here/file_differences" >"$work/known"
  for place in /volume/cases /cases; do
    # The guest does not know of the root that the host opens no devices there, and opens its own.
    [[ $place == /volume/cases ]] || ! findmnt -no OPTIONS -T "$work" | grep -qw nodev || echo special_files 2 >>"$work/known"
    sort -o "$work/known" "$work/known"
    husk exec "$kind" /usr/bin/python3 /volume/file_cases "$place" >"$work/in-container" 2>&1 </dev/null
    differences "$work/on-host" "$work/in-container" | diff "$work/known" - >"$work/changed" ||
      fail "$place with virtiofsd in $kind (<: known and not seen, >: seen and not known): $(cat "$work/changed")"
  done
  expect_ok husk delete --force "$kind"
}

in_c() {
  has_virtiofsd_in_c || skip "no virtiofsd in C on this machine"
  compare c "$virtiofsd_in_c"
}
in_rust() {
  local program
  for program in /usr/libexec/virtiofsd /usr/local/libexec/husk-virtiofsd/virtiofsd; do
    [[ ! -x $program ]] || break
  done
  compare rust "$program"
}

# The guest keeps what it has read of a program, and of a file of the root, for the next open, and has to see that the host
# has changed the file: also by another content of the same size and with the same mtime, and by changes that follow one
# another at once.
sees_what_the_host_changes() {
  local n file
  make_bundle "$work/reader" sh -c 'while sleep 0.1; do for folder in /volume /of-root; do
    read -r line <$folder/file && echo "$line" >>$folder/seen; done; done'
  mkdir "$work/reader.volume" "$work/reader/rootfs/of-root"
  edit_config "$work/reader" '.mounts += [{destination: "/volume", source: $volume, type: "bind", options: ["rbind"]}]' --arg volume "$work/reader.volume"
  local folders=("$work/reader.volume" "$work/reader/rootfs/of-root")
  change() { for file in "${folders[@]/%//file}"; do echo "$1" >"$file" && { [[ -z ${2:-} ]] || touch --date "$2" "$file"; }; done; }
  is_seen() { grep -q "$1" "${folders[0]}/seen" && grep -q "$1" "${folders[1]}/seen"; }
  change 100 2020-01-01
  sleep 2  # Before that the guest does not rely on the file's ctime.
  expect_ok husk run --detach --bundle "$work/reader" reader
  eventually 20 is_seen 100
  sleep 1
  change 200 2020-01-01
  eventually 10 is_seen 200
  # Until the container has read some of them: the machine may be slow.
  for n in {1..3000}; do
    change "$((300 + n % 100))"
    sleep 0.01
    ((n < 100)) || [[ $(grep -c '^3' "${folders[0]}/seen") -lt 3 || $(grep -c '^3' "${folders[1]}/seen") -lt 3 ]] || break
  done
  ((n < 3000)) || fail "the container did not read meanwhile"
  for n in {400..999}; do change "$n"; done
  eventually 10 is_seen 999
  expect_ok husk delete --force reader
}

# Who uses such files sees an error, the rest of the container goes on.
fails_alone() {
  local pid volume
  make_bundle "$work/used" sleep 1000
  for volume in full taken; do
    mkdir "$work/used.$volume"
    mount -t tmpfs -o size=1m,mode=0755,nosuid,nodev,noexec "$volume" "$work/used.$volume"
    edit_config "$work/used" '.mounts += [{destination: $target, source: $volume, type: "bind", options: ["rbind"]}]' --arg target "/$volume" --arg volume "$work/used.$volume"
  done
  echo here >"$work/used.taken/file"
  for n in {1..200}; do echo "$n" >"$work/used/rootfs/file-$n"; done
  expect_ok husk run --detach --bundle "$work/used" used

  expect_failure 1 "No space left on device" husk exec used dd if=/dev/zero of=/full/big bs=64k count=100
  [[ $(stat -c %s "$work/used.full/big") -ge $((900 * 1024)) ]] || fail "the disk is not full"
  expect_ok husk exec used sh -c 'rm /full/big && echo again >/full/file && cat /full/file'
  expect_equal again "$out" "written after the disk had been full"

  # As with runc the restrictions of the host's mount hold in the container.
  expect_ok husk exec used grep ' /full ' /proc/mounts
  expect_match ' [^ ]*nosuid,nodev,noexec' "$out" "the mount in the container"

  # As with runc the container keeps what is no longer mounted on the host.
  umount --lazy "$work/used.taken"
  expect_ok husk exec used cat /taken/file
  expect_equal here "$out" "file of a source that was unmounted"

  for pid in $(jq -r '.helpers[].pid' "/run/husk-vm/$(jq -r .vmId "$work/root/used/state.json")/vm.json"); do
    prlimit --pid "$pid" --nofile=60:1000
  done
  run husk exec used sh -c "cat /file-*"
  [[ $status != 0 ]] || fail "virtiofsd has enough descriptors"
  expect_contains "Too many open files" "$err" "what cat says"
  is_state used running || fail "the container ended for want of descriptors"
  for pid in $(jq -r '.helpers[].pid' "/run/husk-vm/$(jq -r .vmId "$work/root/used/state.json")/vm.json"); do
    prlimit --pid "$pid" --nofile=1000:1000
  done
  expect_ok husk exec used sh -c 'cat /file-* | tail -n 1'
  expect_ok husk delete --force used
  umount "$work/used.full"
}

start_libvirt
at_end delete_all
it "as on the host, but for what is known, with virtiofsd in C" in_c 300
it "as on the host, but for what is known, with virtiofsd in Rust" in_rust 300
it "a running process sees at its next open what the host has changed" sees_what_the_host_changes 180
it "a full disk, a source that is unmounted, and a virtiofsd out of descriptors are errors of who uses the files" fails_alone 120
