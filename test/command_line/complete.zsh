#!/bin/zsh -f
# SPDX-License-Identifier: Apache-2.0
# usage: complete.zsh DATA_DIRECTORY SCRATCH_DIRECTORY <LINES
#
# What zsh proposes at the end of each line: rows of LINE, tab, WORD. The completion is that below DATA_DIRECTORY.
# The lines are typed into an interactive zsh, with a tab at the end; its compadd writes down what it is given.
zmodload zsh/zpty
functions_directory=$1/zsh/vendor-completions scratch=$2
rows=$scratch/rows

cat >$scratch/setup <<END
PROMPT= RPROMPT=
setopt no_auto_list no_auto_menu no_beep
unsetopt prompt_sp
fpath=(${(q)functions_directory} \$fpath)
autoload -Uz compinit
compinit -u -d ${(q)scratch}/dump
bindkey -e
bindkey '^I' complete-word
bindkey '^U' kill-whole-line
compadd() {
  # Calls that only fill arrays are the completion system's own.
  if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
    builtin compadd "\$@"
    return
  fi
  local -a hits
  builtin compadd -A hits "\$@"
  local hit
  for hit in \$hits; do
    print -r -- "\$BUFFER"\$'\t'"\$hit" >>${(q)rows}
  done
  builtin compadd "\$@"
}
answered() {
  print -n '<answered>'
  comppostfuncs=(answered)  # each completion empties it
}
comppostfuncs=(answered)
print '<'ready'>'
END

: >$rows
zpty shell zsh -f -i
zpty -w shell "source ${(q)scratch}/setup"
zpty -r shell output '*<ready>*' || { print -u2 "zsh does not start: $output"; exit 1 }
while IFS= read -r line; do
  zpty -w -n shell $line$'\t'
  zpty -r shell output '*<answered>*' || { print -u2 "zsh has ended at: $line"; exit 1 }
  # What a completion prints itself would be in the way of the line.
  [[ $output != *complain* ]] || print -u2 -r -- "$output"
  zpty -w -n shell $'\x15'
done
zpty -d shell
cat $rows
