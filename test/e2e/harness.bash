# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# A small test harness. A topic file defines functions and calls `it NAME FUNCTION [SECONDS]` for each test: the
# function runs in a shell of its own with a time limit, and fails by one of the expect_ functions.
# $work is the topic's directory; it and everything registered with at_end goes when the topic ends.
# $HUSK_TEST_TIME_FACTOR stretches every time limit, for machines that are emulated themselves.
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
HUSK=${HUSK:-$top/build/bin/husk}
build=$(dirname "$(dirname "$HUSK")")
here=$top/test/e2e
time_factor=${HUSK_TEST_TIME_FACTOR:-1}
# shellcheck source=test/e2e/machine.bash
source "$here/machine.bash"
# shellcheck source=test/e2e/sweep.bash
source "$here/sweep.bash"

is_husk() { [[ ${HUSK##*/} == husk ]]; }
uses_ch() { grep -qs '^uri = "ch:' /etc/husk/config.toml; }  # scripts/test-ch

begin_topic() {  # NAME
  topic=$1 passed=0 failed=0 skipped=0 cleanup=()
  [[ -x $HUSK ]] || { echo "$HUSK is not there: build first (scripts/build)" >&2; exit 1; }
  local self=$BASHPID  # which in $( ) is another
  run_id=$((self % 100000))  # in the names of what the tests make outside of $work
  sweep_killed_runs
  work=$(mktemp -d "/tmp/husk-e2e.XXXXXX")
  echo "$self $(started_at "$self")" >"$work/runner"
  chmod 0755 "$work"  # QEMU and virtiofsd run as other users
  trap 'exit 130' INT TERM
  trap tear_down EXIT
  snapshot_machine >"$work/before"
  echo "== $topic ($HUSK)"
}

at_end() { cleanup+=("$*"); }

tear_down() {
  local i
  for ((i = ${#cleanup[@]} - 1; i >= 0; i--)); do
    eval "${cleanup[i]}" >>"$work/cleanup.log" 2>&1
  done
  cleanup=()
  # Innermost first; engines may leave their own mounts when they are stopped hard.
  awk -v w="$work/" 'index($5, w) == 1 { print $5 }' /proc/self/mountinfo | sort -r | xargs -r -n 1 umount -l
  rm -rf --one-file-system "$work"
}

end_topic() {
  local before i left
  before=$(cat "$work/before")
  tear_down
  # What ends by itself (a VM after its last container) gets a moment to do so. Only what is there in addition
  # counts: others on the machine may take away what is theirs meanwhile.
  for ((i = 0; i < 50 * time_factor; i++)); do
    left=$(comm -13 <(echo "$before") <(snapshot_machine))
    [[ -n $left ]] || break
    sleep 0.2
  done
  if [[ -z $left ]]; then
    report ok "nothing is left behind" ""
  else
    echo "$left" >/tmp/husk-e2e-diff.$$
    report "not ok" "nothing is left behind (what is there in addition)" "" /tmp/husk-e2e-diff.$$
  fi
  rm -f /tmp/husk-e2e-diff.$$
  trap - EXIT
  echo "== $topic: $passed passed, $failed failed, $skipped skipped"
  [[ $failed == 0 ]] || exit 1
  [[ $passed -gt 1 || $skipped == 0 ]] || exit 77
  exit 0
}

report() {  # ok|"not ok"|skip NAME SECONDS [FILE]
  case $1 in
    ok) passed=$((passed + 1)) ;;
    skip) skipped=$((skipped + 1)) ;;
    *) failed=$((failed + 1)) ;;
  esac
  printf '%-6s %s: %s%s\n' "$1" "$topic" "$2" "${3:+ ($3 s)}"
  [[ -z ${4:-} ]] || sed 's/^/         /' "$4" | tail -n 40
}

it() {  # NAME FUNCTION [SECONDS]
  local name=$1 limit=$((${3:-90} * time_factor)) log=$work/test.log start pid status=0 watchdog
  [[ -z ${ONLY:-} || $name =~ $ONLY ]] || return 0
  start=$SECONDS
  # A process group of its own, so that the time limit ends everything the test started.
  set -m
  (trap - EXIT INT TERM; set +m; "$2") >"$log" 2>&1 </dev/null &
  pid=$!
  (sleep "$limit"; echo "ran for more than $limit s" >>"$log"; kill -KILL -- "-$pid") >/dev/null 2>&1 </dev/null &
  watchdog=$!
  set +m
  { wait "$pid" || status=$?; } 2>/dev/null
  kill -KILL -- "-$watchdog" 2>/dev/null
  wait "$watchdog" 2>/dev/null
  case $status in
    0) report ok "$name" $((SECONDS - start)) ;;
    77) report skip "$name" "" "$log" ;;
    *) report "not ok" "$name" $((SECONDS - start)) "$log" ;;
  esac
}

skip() {  # REASON
  echo "skipped: $*"
  exit 77
}

fail() {
  echo "FAILED: $*"
  local frame=0
  while caller $frame | sed 's/^/  at line /'; [[ -n $(caller $frame) ]]; do frame=$((frame + 1)); done
  [[ ! -s ${run_err:-} ]] || { echo "last stderr:" && head -c 4000 "$run_err"; }
  exit 1
}

# Runs a command and keeps its exit status in $status, stdout in $out and stderr in $err.
run() {
  run_out=$work/out.$BASHPID run_err=$work/err.$BASHPID
  status=0
  echo "+ $*"
  "$@" >"$run_out" 2>"$run_err" || status=$?
  out=$(head -c 100000 "$run_out" | tr -d '\0')
  err=$(head -c 100000 "$run_err" | tr -d '\0')
}

expect_equal() {  # WANTED GOT WHAT
  [[ $1 == "$2" ]] || fail "$3: wanted '$1', got '${2:0:2000}'"
}

expect_contains() {  # PART TEXT WHAT
  [[ $2 == *"$1"* ]] || fail "$3: wanted '$1' in it, got '${2:0:2000}'"
}

expect_match() {  # REGEX TEXT WHAT
  [[ $2 =~ $1 ]] || fail "$3: wanted a match of '$1', got '${2:0:2000}'"
}

expect_status() { expect_equal "$1" "$status" "exit status"; }

expect_ok() {  # COMMAND...
  run "$@"
  [[ $status == 0 ]] || fail "exit status $status of: $*"
}

expect_failure() {  # STATUS PART_OF_STDERR COMMAND...
  local wanted=$1 text=$2
  shift 2
  run "$@"
  [[ $status == "$wanted" ]] || fail "wanted exit status $wanted, got $status, of: ${*:0:300}"
  expect_contains "$text" "$err" "stderr"
}

eventually() {  # SECONDS COMMAND...
  local end=$(($(date +%s%N) + $1 * time_factor * 1000000000))
  shift
  until "$@" >/dev/null 2>&1; do
    (($(date +%s%N) < end)) || fail "did not come true in time: $*"
    sleep 0.05
  done
}
