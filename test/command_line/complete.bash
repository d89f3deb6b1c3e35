#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# usage: complete.bash DATA_DIRECTORY <LINES
#
# What bash proposes at the end of each line: rows of LINE, tab, WORD. The completion is found below
# DATA_DIRECTORY by bash-completion.
set -u
export XDG_DATA_DIRS=$1 XDG_DATA_HOME=/nonexistent
# shellcheck source=/dev/null
source /usr/share/bash-completion/bash_completion
_completion_loader husk
[[ $(complete -p husk) == *" -F _husk "* ]] || { echo "bash-completion does not find husk's" >&2; exit 1; }

# Readline itself lists files then.
compopt() {  # -o WHAT
  case $2 in
    dirnames) mapfile -t COMPREPLY < <(compgen -d -- "${COMP_WORDS[COMP_CWORD]}") ;;
    default) mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}") ;;
  esac
}

# Sets COMP_WORDS as readline does: "=" is a word of its own, quotes stay.
split() {  # LINE
  local rest=$1
  COMP_WORDS=()
  while [[ $rest =~ ^[[:space:]]*(\"[^\"]*\"|=|[^[:space:]=\"]+)(.*)$ ]]; do
    COMP_WORDS+=("${BASH_REMATCH[1]}")
    rest=${BASH_REMATCH[2]}
  done
  [[ -z $rest ]] || COMP_WORDS+=("")
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$1 COMP_POINT=${#1}
}

while IFS= read -r line; do
  split "$line"
  _husk "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
  for word in "${COMPREPLY[@]}"; do
    printf '%s\t%s\n' "$line" "$word"
  done
done
