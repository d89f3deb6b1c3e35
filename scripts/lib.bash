# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the scripts share: where the tree is, and one line per step with the seconds since the start.
# Sourced; sets `top`.
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
HUSK_SCRIPT_START=${HUSK_SCRIPT_START:-$(date +%s)}
export HUSK_SCRIPT_START

say() {
  printf '[%4d s] %s\n' $(($(date +%s) - HUSK_SCRIPT_START)) "$*"
}

die() {
  echo "${0##*/}: $*" >&2
  exit 1
}

# Runs a command that talks a lot; shows what it said only when it fails.
quietly() {
  local output status=0
  output=$(mktemp)
  "$@" >"$output" 2>&1 </dev/null || status=$?
  [[ $status == 0 ]] || tail -n 60 "$output" >&2
  rm -f "$output"
  return "$status"
}

# cmake --preset NAME, with ccache where there is one; further arguments go to cmake. Most of a source file's
# compile time is that of the headers: a unit of several files costs them once.
configure() {
  local options=(-DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=12)
  if command -v ccache >/dev/null; then
    options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  fi
  (cd "$top" && cmake --preset "$1" "${options[@]}" "${@:2}")
}

# The machine's own Debian archive with other suites: from the deb822 or the one-line form. No host is
# named here, and a mirror or a proxy that the machine uses is used for these as well.
derive_sources() {  # CODENAME SUITES [NOT_FROM_FILE]
  local file
  for file in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list.d/*.sources; do
    [[ -f $file && $file != "${3:-}" ]] || continue
    awk -v RS= -v codename="$1" -v suites="$2" '
      !found && $0 ~ "(^|\n)Suites:[^\n]*[ \t]" codename "([ \t\n]|$)" {
        sub(/(^|\n)Suites:[^\n]*/, "\nSuites: " suites)
        sub(/(^|\n)Components:[^\n]*/, "\nComponents: main")
        sub(/^\n/, ""); print; found = 1
      }' "$file" | grep . && return 0
  done
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [[ -f $file ]] || continue
    awk -v codename="$1" -v suites="$2" '
      !found && $1 == "deb" {
        i = 2; options = ""
        if ($2 ~ /^\[/) { do { options = options " " $i } while ($(i++) !~ /\]$/) }
        if ($(i + 1) != codename) next
        n = split(suites, suite, " ")
        for (k = 1; k <= n; k++) print "deb" options " " $i " " suite[k] " main"
        found = 1
      }' "$file" | grep . && return 0
  done
  return 1
}
