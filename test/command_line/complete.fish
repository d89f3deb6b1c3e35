#!/usr/bin/fish
# SPDX-License-Identifier: Apache-2.0
# usage: complete.fish <LINES
#
# What fish proposes at the end of each line: rows of LINE, tab, WORD. The completion is found below
# $XDG_DATA_DIRS.
while read -l line
    for word in (complete -C $line)
        printf '%s\t%s\n' $line (string split \t -- $word)[1]
    end
end
