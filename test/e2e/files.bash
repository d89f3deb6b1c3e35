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
  local kind=$1 place
  [[ -x $2 ]] || { echo "no virtiofsd in $kind on this machine: $2"; return 0; }
  printf '[files]\nvirtiofsd = "%s"\n' "$2" >"$work/$kind.toml"
  with_host_programs "$kind"
  expect_ok "$HUSK" --config "$work/$kind.toml" --root "$work/root" run --detach --bundle "$work/$kind" "$kind"
  mkdir "$work/$kind/rootfs/cases" "$work/$kind.volume/cases"
  cp "$here/file_cases" "$work/$kind.volume/"
  [[ -e $work/on-host ]] || { mkdir "$work/plain" && /usr/bin/python3 "$here/file_cases" "$work/plain" >"$work/on-host" 2>&1; }
  [[ $(wc -l <"$work/on-host") -gt 100 ]] || fail "on the host: $(tail "$work/on-host")"
  sed -nE "s/^([a-z_]+ [0-9-]+) .*\b$kind\b.*/\1/p" "$here/file_differences" | sort >"$work/known"
  for place in /cases /volume/cases; do
    husk exec "$kind" /usr/bin/python3 /volume/file_cases "$place" >"$work/in-container" 2>&1 </dev/null
    differences "$work/on-host" "$work/in-container" | diff "$work/known" - >"$work/changed" ||
      fail "$place with virtiofsd in $kind (<: known and not seen, >: seen and not known): $(cat "$work/changed")"
  done
  expect_ok husk delete --force "$kind"
}

in_c() { compare c /usr/lib/qemu/virtiofsd; }
in_rust() {
  local program
  for program in /usr/libexec/virtiofsd /usr/local/libexec/husk-virtiofsd/virtiofsd; do
    [[ ! -x $program ]] || break
  done
  compare rust "$program"
}

start_libvirt
at_end delete_all
it "as on the host, but for what is known, with virtiofsd in C" in_c 300
it "as on the host, but for what is known, with virtiofsd in Rust" in_rust 300
