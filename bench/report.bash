# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What scripts/bench found, as a table and as JSON. Sourced after bench/lib.bash.
# shellcheck disable=SC2154  # work, top, build: of those who source it

# Values are in files, one in each line.
row() {  # WHAT UNIT HUSK_FILE [BESIDE OTHER_FILE]...: one line of the table for each that stands beside
  local what=$1 unit=$2 own=$3
  shift 3
  [[ $# -gt 0 ]] || set -- '' /dev/null
  while [[ $# -gt 0 ]]; do
    jq -n -c --arg what "$what" --arg unit "$unit" --arg beside "$1" --slurpfile husk "$own" --slurpfile other "$2" \
      '{$what, $unit, $husk} + if $beside == "" then {} else {$beside, $other} end' >>"$work/rows"
    shift 2
  done
}

statistics='def median: sort | if length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
  def short: if . >= 100 then round else . * 10 | round / 10 end;
  def shown($unit): "\(median | short) \($unit)" + if length > 1 then " (\(min | short) to \(max | short))" else "" end;
  def hundredths: "\(. * 100 | round / 100)" | if test("\\.") then . else . + ".0" end | if test("\\.[0-9]$") then . + "0" else . end;'

report_table() {
  echo "Medians of $rounds, of several at once $rounds_together (least to most), $(machine), $(accelerator), guest kernel $(cat "$build/guest/version"):"
  [[ ${#left_out[@]} -eq 0 ]] || printf '%s\n' "${left_out[@]}"
  echo
  echo '| | husk | beside it | ratio |'
  echo '|---|---|---|---|'
  jq -r "$statistics"' . as $row | "| \(.what) | \(.husk | shown($row.unit)) | " +
    if .beside then "\(.beside): \(.other | shown($row.unit)) | \((.husk | median) / (.other | median) | hundredths) |" else "| |" end' "$work/rows"
}

report_json() {
  jq -s --arg machine "$(machine)" --arg accelerator "$(accelerator)" --argjson left_out "$(printf '%s\n' "${left_out[@]}" | jq -R . | jq -s 'map(select(. != ""))')" --arg commit "$(git -C "$top" describe --always --dirty 2>/dev/null)" \
    "$statistics"'{$machine, $accelerator, $commit, $left_out, rows: map(.husk_median = (.husk | median)
      | if .beside then .other_median = (.other | median) | .ratio = .husk_median / .other_median else . end)}' "$work/rows"
}

put_into_docs() {  # TABLE
  local page=$top/docs/performance.md
  grep -q '<!-- bench -->' "$page" || die "docs/performance.md has no <!-- bench --> marker"
  awk -v table="$1" '
    /<!-- \/bench -->/ { inside = 0 }
    !inside { print }
    /<!-- bench -->/ { inside = 1; while ((getline line < table) > 0) print line }
  ' "$page" >"$work/page"
  cat "$work/page" >"$page"
}
