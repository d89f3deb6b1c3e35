# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Whatever is wrong with what husk is given: one clear line on stderr, the same in --log as JSON, exit
# status 1, and nothing left.

root=$work/root

# refused PART_OF_THE_TEXT ID [FLAGS...]: create must fail so; $bundle is the bundle, $program husk.
refused() {
  local text=$1 id=$2
  shift 2
  rm -f "$work/bad.log"
  run "${program[@]}" --root "$root" --log "$work/bad.log" --log-format json create --bundle "$bundle" "$@" "$id"
  expect_status 1
  expect_contains "$text" "$err" "stderr"
  expect_equal 1 "$(wc -l <"$run_err")" "lines on stderr"
  [[ ${#err} -lt 9000 ]] || fail "an error of ${#err} bytes"
  expect_equal "" "$out" "stdout"
  expect_equal error "$(jq -rs 'map(.level) | join(" ")' <"$work/bad.log")" "levels in the log"
  expect_contains "$text" "$(jq -r .msg <"$work/bad.log")" "message in the log"
  expect_equal "" "$(find "$root" -mindepth 1 2>/dev/null)" "what is left in the root"
}

fresh_bundle() {
  bundle=$work/bad
  program=("$HUSK")
  rm -rf "$bundle"
  make_bundle "$bundle" true
}

# config.json as text in, one create out.
refused_config() {  # PART_OF_THE_TEXT
  cat >"$bundle/config.json"
  refused "$1" bad
}

no_config() {
  fresh_bundle
  rm "$bundle/config.json"
  refused "JSON specification file config.json not found" bad
  bundle=$work/no-such-bundle
  refused "no-such-bundle" bad
}

malformed() {
  fresh_bundle
  local whole
  whole=$(cat "$bundle/config.json")
  refused_config "config.json" <<<""
  refused_config "config.json" <<<"{"
  refused_config "config.json" <<<"${whole:0:700}"
  refused_config "config.json" <<<"$whole }"
  refused_config "config.json" <<<"[]"
  refused_config "config.json" < <(printf '{"ociVersion": "1.0.0", "hostname": "\xff\xfe"}')
  refused_config "config.json" < <(head -c 100000 /dev/urandom)
}

too_much() {
  fresh_bundle
  refused_config "deep" < <(head -c 200000 /dev/zero | tr '\0' '[')
  refused_config "deep" < <(printf '{"ociVersion":"1.0.0","annotations":'; for _ in {1..2000}; do printf '{"a":'; done)
  refused_config "larger than" < <(printf '{"ociVersion":"1.0.0","annotations":{"a":"'; head -c 10485760 /dev/zero | tr '\0' 'x'; printf '"}}')
}

wrong_types() {
  fresh_bundle
  cp "$bundle/config.json" "$work/good.json"
  local edit field
  while IFS=$'\t' read -r field edit; do
    jq "$edit" "$work/good.json" >"$bundle/config.json" || fail "jq $edit"
    refused "$field" bad
  done <<-'END'
	process.args	.process.args = "true"
	process.args	.process.args = []
	process.cwd	.process.cwd = 7
	process.cwd	.process.cwd = "relative"
	process.user.uid	.process.user.uid = -1
	process.env	.process.env = {}
	mounts: 	.mounts = {}
	mounts[0].destination	.mounts[0].destination = 5
	root: 	.root = []
	root.path	.root.path = null
	linux.namespaces[0]	.linux.namespaces = [{"type": "nonsense"}]
	ociVersion	.ociVersion = 1
	ociVersion	.ociVersion = "2.0.0"
	ociVersion	.ociVersion = "99.0.0"
	ociVersion	del(.ociVersion)
	END
}

missing_rootfs() {
  fresh_bundle
  rm -rf "$bundle/rootfs"
  refused rootfs bad
  : >"$bundle/rootfs"
  refused rootfs bad
}

bad_ids() {
  fresh_bundle
  local id
  for id in "" . .. a/b ../escape /abs 'sp ace' $'new\nline' 'ünicode' "$(head -c 2000 /dev/zero | tr '\0' a)"; do
    refused "invalid container ID format" "$id"
  done
  [[ ! -e $work/escape ]] || fail "an id led outside of the root"
}

bad_pid_file() {
  fresh_bundle
  refused "no/such/directory" bad --pid-file "$work/no/such/directory/pid"
}

# A copy of what husk is made of, to break a part of it.
copy_of_husk() {
  rm -rf "$work/prefix"
  mkdir -p "$work/prefix/bin" "$work/prefix/share/husk"
  cp "$(dirname "$HUSK")"/{husk,husk-shim,husk-keeper} "$work/prefix/bin/"
  cp "$(dirname "$HUSK")"/../share/husk/{vmlinuz,initrd} "$work/prefix/share/husk/"
  ln -s "$(realpath "$(dirname "$HUSK")/../share/husk/modules")" "$work/prefix/share/husk/modules"
  fresh_bundle
  program=("$work/prefix/bin/husk")
}

broken_assets() {
  is_husk || skip "about husk's guest"
  local file
  local -A corrupt=([vmlinuz]="start the VM" [initrd]="Initramfs unpacking failed")
  for file in vmlinuz initrd; do
    copy_of_husk
    rm "$work/prefix/share/husk/$file"
    refused "share/husk/$file" bad
    copy_of_husk
    head -c 100000 /dev/urandom >"$work/prefix/share/husk/$file"
    refused "${corrupt[$file]}" bad
    copy_of_husk
    : >"$work/prefix/share/husk/$file"
    refused "share/husk/$file is missing, empty" bad
  done
  copy_of_husk
  rm "$work/prefix/bin/husk-shim"
  refused "husk-shim" bad
}

# Runs husk where FILE is something else, in a mount namespace of its own.
with_file_replaced() {  # REPLACEMENT FILE
  fresh_bundle
  program=(unshare --mount --propagation private sh -c 'mount --bind "$1" "$2" && shift 2 && exec "$@"' sh "$1" "$2" "$HUSK")
}

no_libvirt() {
  is_husk || skip "about libvirt"
  local library
  library=$(readlink -f "$(ldconfig -p | sed -n 's/.*libvirt\.so\.0 .*=> //p' | sed -n 1p)")
  [[ -f $library ]] || fail "no libvirt.so.0 on this machine to take away"
  with_file_replaced /dev/null "$library"
  refused "libvirt is not installed" bad
}

# What it says has to come through the keeper, QEMU and libvirt.
bad_virtiofsd() {
  is_husk || skip "about the VM"
  make_bundle "$work/served" true
  printf '[files]\nvirtiofsd = "%s"\n' "$work/virtiofsd" >"$work/served.toml"
  printf '#!/bin/sh\n[ "$1" = --version ] || echo "unknown option: $*" >&2\n[ "$1" = --version ] && echo virtiofsd 9.9\n' >"$work/virtiofsd"
  expect_failure 1 "files.virtiofsd: $work/virtiofsd is not a program that can be executed" "$HUSK" --config "$work/served.toml" --root "$work/root" run --bundle "$work/served" served
  chmod 0755 "$work/virtiofsd"
  expect_failure 1 "virtiofsd said: unknown option: --shared-dir=/run/husk-vm/" "$HUSK" --config "$work/served.toml" --root "$work/root" run --bundle "$work/served" served
  [[ $(wc -l <<<"$err") == 1 ]] || fail "more than one line: $err"
}

no_memory() {
  is_husk || skip "about the VM"
  [[ ! -e /etc/husk/config.toml ]] || skip "/etc/husk/config.toml is somebody's"
  [[ -d /etc/husk ]] && trap 'rm -f /etc/husk/config.toml' EXIT || trap 'rm -f /etc/husk/config.toml; rmdir /etc/husk' EXIT
  mkdir -p /etc/husk
  fresh_bundle
  # Twice what the machine has.
  awk '/^(MemTotal|SwapTotal):/ { kib += $2 } END { printf "[vm]\nmemory_mib = %d\n", kib / 512 }' /proc/meminfo >/etc/husk/config.toml
  refused "memory" bad
  printf '[vm]\nmemory_mib = "lots"\n' >/etc/husk/config.toml
  refused "memory_mib" bad
}

bad_namespaces() {
  fresh_bundle
  mkfifo "$work/fifo"
  local path text
  while read -r path text; do
    edit_config "$bundle" '.linux.namespaces |= map(if .type == "network" then .path = $path else . end)' --arg path "$path"
    refused "$text" bad
  done <<-END
	$work/fifo open network namespace: $work/fifo: not a network namespace
	$work/no-such open network namespace: $work/no-such
	/proc/self/ns/mnt open network namespace: /proc/self/ns/mnt: not a network namespace
	END
}

bad_cgroups() {
  fresh_bundle
  edit_config "$bundle" '.linux.cgroupsPath = "/a/../b"'
  refused 'linux.cgroupsPath: contains ".."' bad
  edit_config "$bundle" '.linux.cgroupsPath = "/"'
  refused 'linux.cgroupsPath: is the root cgroup' bad
  program=("$HUSK" --systemd-cgroup)
  edit_config "$bundle" '.linux.cgroupsPath = "/plain/path"'
  refused 'expected the form "slice:prefix:name" for systemd cgroups, got "/plain/path"' bad
  edit_config "$bundle" '.linux.cgroupsPath = "system.slice:husk-e2e:bad" | .annotations["org.systemd.property.KillSignal"] = "nine"'
  refused 'annotations["org.systemd.property.KillSignal"]' bad
  [[ -d /run/systemd/system ]] && return
  edit_config "$bundle" 'del(.annotations)'
  refused "systemd not running on this host, cannot use systemd cgroups manager" bad
}

missing_configuration() {
  expect_failure 1 "--config: $work/none.toml does not exist" "$HUSK" --config "$work/none.toml" --root "$root" list
}

usage() {
  fresh_bundle
  local command
  run "$HUSK" --root "$root" nonsense
  expect_status 3
  expect_contains nonsense "$err$out" "what is said about it"
  for command in "create" "create --no-such-flag x" "kill" "state a b c" "--log-format xml list"; do
    # shellcheck disable=SC2086  # several words
    run "$HUSK" --root "$root" $command
    expect_equal 1 "$status" "exit status of: husk $command"
    [[ -n $err$out ]] || fail "nothing is said about: husk $command"
  done
}

# What was created although it should have been refused goes too.
# shellcheck source=test/e2e/by_hand.bash
source "$here/by_hand.bash"
! is_husk || start_libvirt
at_end delete_all

it "no config.json" no_config
it "malformed and truncated config.json" malformed
it "deeply nested and 10 MB config.json" too_much
it "fields of a wrong type and unknown versions" wrong_types 150
it "a missing rootfs" missing_rootfs
it "ids that are none" bad_ids
it "a pid file that cannot be written" bad_pid_file
it "missing and corrupt kernel, initrd and shim" broken_assets 600
it "libvirt not installed" no_libvirt
it "a virtiofsd that is none, or refuses its options" bad_virtiofsd
it "no memory for the VM, and a wrong configuration file" no_memory
it "namespaces that are none" bad_namespaces
it "cgroup paths that cannot be" bad_cgroups
it "a --config that does not exist" missing_configuration
it "wrong usage" usage
