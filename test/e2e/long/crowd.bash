# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Many containers at once, from as many shells, again and again: nothing that they say is lost, none waits for ever,
# nothing is left. $CROWD of them (20), $ROUNDS times (10).

# shellcheck source=test/e2e/by_hand.bash
source "$here/by_hand.bash"

crowd=${CROWD:-20} rounds=${ROUNDS:-10}

# Each step's time limit is a deadlock's end, not a speed.
bounded() { timeout $((180 * time_factor)) "$HUSK" --root "$work/root" "$@"; }

is_about_now() { [[ $1 =~ ^[1-9][0-9]{9}$ ]] && (($1 - $(date +%s) > -60 && $1 - $(date +%s) < 60)); }

whole_life() {  # NUMBER: says what went wrong, or "ok"
  local id=one-$1 out status now
  bounded create --bundle "$work/bundle.$1" "$id" >"$work/$id.out" 2>"$work/$id.err" </dev/null || { echo "create: status $?: $(cat "$work/$id.err")"; return; }
  out=$(bounded start "$id" 2>&1) || { echo "start: status $?: $out"; return; }
  out=$(bounded exec "$id" sh -c "cat; echo exec-$1; date +%s; exit $(($1 + 1))" <<<"input-$1" 2>&1)
  status=$? now=${out##*$'\n'} out=${out%$'\n'*}
  [[ $status == $(($1 + 1)) && $out == "input-$1"$'\n'"exec-$1" ]] || { echo "exec: status $status, said '$out' $now"; return; }
  # Measured by a guest on a busy host, a clock has been found to be thirty times too fast.
  is_about_now "$now" || { echo "its clock is wrong: $now, the host's $(date +%s)"; return; }
  # Whoever reads it waits for its end; nothing is lost before it.
  for ((i = 0; i < 600; i++)); do
    [[ $(cat "$work/$id.out") != *"up-$1" ]] || break
    sleep 0.1
  done
  [[ $(cat "$work/$id.out") == "up-$1" ]] || { echo "its output: '$(cat "$work/$id.out")'"; return; }
  out=$(bounded kill "$id" KILL 2>&1) || { echo "kill: status $?: $out"; return; }
  for ((i = 0; i < 600; i++)); do
    [[ $(bounded state "$id" 2>/dev/null | jq -r .status) != stopped ]] || break
    sleep 0.1
  done
  out=$(bounded delete "$id" 2>&1) || { echo "delete: status $?: $out"; return; }
  [[ ! -e $work/root/$id ]] || { echo "its state is left"; return; }
  echo ok
}

one_round() {  # ROUND
  local n pids=()
  for ((n = 0; n < crowd; n++)); do
    whole_life "$n" >"$work/said.$n" 2>&1 &
    pids+=($!)
  done
  wait "${pids[@]}"
  for ((n = 0; n < crowd; n++)); do
    [[ $(cat "$work/said.$n") == ok ]] || echo "round $1, container $n: $(cat "$work/said.$n")"
  done
}

many_rounds() {
  local n round wrong before=$SECONDS
  for ((n = 0; n < crowd; n++)); do
    make_bundle "$work/bundle.$n" sh -c "echo up-$n; exec sleep 1000"
  done
  for ((round = 1; round <= rounds; round++)); do
    wrong=$(one_round "$round")
    [[ -z $wrong ]] || fail "$wrong"
    eventually 10 eval "[[ \$(running_vms) == 0 ]]"
  done
  echo "$rounds rounds of $crowd in $((SECONDS - before)) s"
}

! is_husk || start_libvirt
at_end delete_all
it "$crowd at once, $rounds rounds" many_rounds $((rounds * 300))
