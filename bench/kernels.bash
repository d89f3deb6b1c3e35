# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The guest's own kernel beside Debian's: the one that the build took beside the other (build/other-kernel). Sourced by
# scripts/bench.
# shellcheck disable=SC2154  # work, rounds: of the parts before it

# Memory that the guest of an idle container does not have any more, of what QEMU gave to it.
taken_kib() {  # HUSK
  "$1" --root "$(root_of husk)" run --bundle "$work/meminfo" bench-meminfo </dev/null |
    awk '$1 == "MemFree:" { print 512 * 1024 - $2 }'
}

used_kib() {  # HUSK
  "$1" --root "$(root_of husk)" run --bundle "$work/meminfo" bench-meminfo </dev/null |
    awk '$1 == "MemTotal:" { total = $2 } $1 == "MemAvailable:" { print total - $2 }'
}

# shellcheck disable=SC2016  # backquotes are Markdown
bench_kernels() {
  local i kernel name other=$build/other-kernel
  local -A of=([first]=$build [second]=$other)
  [[ -x $other/bin/husk ]] || die "there is one kernel only: rootfs-builder/build-kernel, then scripts/build -DBUILD_TESTING=ON"
  make_bundle "$work/meminfo" "$husk" '.process.args = ["cat", "/proc/meminfo"]'
  for ((i = 0; i < rounds; i++)); do
    for kernel in first second; do
      start_devices 1
      bare_command 1
      command=("${command[@]/#$build\/share\/husk\/vmlinuz/${of[$kernel]}/share/husk/vmlinuz}")
      milliseconds "${command[@]}" >>"$work/kernels.bare.$kernel"
      stop_devices
      milliseconds "${of[$kernel]}/bin/husk" --root "$(root_of husk)" run --bundle "$work/true-husk" bench-kernels >>"$work/kernels.run.$kernel"
      taken_kib "${of[$kernel]}/bin/husk" >>"$work/kernels.taken.$kernel"
      used_kib "${of[$kernel]}/bin/husk" >>"$work/kernels.used.$kernel"
    done
    say "bench: kernels $((i + 1)) of $rounds" >&2
  done
  for kernel in first second; do
    stat -Lc %s "${of[$kernel]}/share/husk/"{vmlinuz,initrd} | awk '{ sum += $1 } END { printf "%d\n", sum / 1024 }' >"$work/kernels.size.$kernel"
  done
  name="with $(cat "$other/guest/version")"
  row 'bare QEMU, powered off by `/init`' ms "$work/kernels.bare.first" "$name" "$work/kernels.bare.second"
  row '`run` of `true`' ms "$work/kernels.run.first" "$name" "$work/kernels.run.second"
  row 'what an idle guest has taken of its 512 MiB' KiB "$work/kernels.taken.first" "$name" "$work/kernels.taken.second"
  row 'used in an idle guest: MemTotal - MemAvailable' KiB "$work/kernels.used.first" "$name" "$work/kernels.used.second"
  row 'kernel and initrd' KiB "$work/kernels.size.first" "$name" "$work/kernels.size.second"
}
