# SPDX-License-Identifier: Apache-2.0
# fish completion for husk. test/command_line/run checks that it has what husk has.
#
# Each command is one block at the end, and nothing else has to be changed for a new one.

set -g __husk_valued # "COMMAND OPTION" for each option that takes a value
set -g __husk_prefixes # commands whose own words end with the container id
set -g __husk_signals HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP \
    TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS RTMIN RTMAX

# Prints the command that is on the line ("-" before there is one), how many words follow it, and --root.
function __husk_line
    set -l command -
    set -l count 0
    set -l root
    set -l option
    for word in (commandline -opc)[2..]
        if test -n "$option"
            test "$command $option" = '- --root'; and set root $word
            set option
        else if string match -q -- '-*=*' $word
            string match -q -- '- --root=*' "$command $word"; and set root (string replace -- --root= '' $word)
        else if string match -q -- '-*' $word
            contains -- "$command $word" $__husk_valued; and set option $word
        else if test $command = -
            set command $word
        else
            set count (math $count + 1)
        end
    end
    printf '%s\n' $command $count $root
end

# Whether options of the command may stand here.
function __husk_in -a command
    set -l line (__husk_line)
    test "$line[1]" = $command; and not begin
        contains -- $command $__husk_prefixes; and test $line[2] != 0
    end
end

# Whether the word after COUNT others stands here.
function __husk_at -a command count
    set -l line (__husk_line)
    test "$line[1] $line[2]" = "$command $count"
end

function __husk_ids
    set -l program (commandline -opc)[1]
    set -l root (__husk_line)[3]
    set root (string replace -r '^~/' "$HOME/" -- $root)
    if test -n "$root"
        $program --root $root list --quiet 2>/dev/null
    else
        $program list --quiet 2>/dev/null
    end
end

function __husk_signal_names
    string join \n $__husk_signals
    # Both forms, but not twice the list when nothing was typed.
    test -n (commandline -ct); and printf 'SIG%s\n' $__husk_signals
end

# KIND of each word that follows the command: id, signal, any (nothing can be proposed), or rest: husk's own words
# end there. -h and --help are added.
function __husk_command -a name description # KIND...
    complete -c husk -n '__husk_at - 0' -a $name -d $description
    __husk_option $name '-h --help' none 'print help'
    set -l count 0
    for kind in $argv[3..]
        switch $kind
            case id
                complete -c husk -n "__husk_at $name $count" -a '(__husk_ids)' -d container
            case signal
                complete -c husk -n "__husk_at $name $count" -a '(__husk_signal_names)' -d signal
            case rest
                set -ga __husk_prefixes $name
        end
        set count (math $count + 1)
    end
end

# KIND of the option's value: none if it takes none, directory, file, any, or the words to choose from. The command
# "-" is for what stands before the command.
function __husk_option -a command names kind description
    set -l flags
    for name in (string split ' ' -- $names)
        if string match -q -- '--*' $name
            set -a flags -l (string sub -s 3 -- $name)
        else
            set -a flags -s (string sub -s 2 -- $name)
        end
        test $kind = none; or set -ga __husk_valued "$command $name"
    end
    switch $kind
        case none
        case directory
            set -a flags -xa '(__fish_complete_directories)'
        case file
            set -a flags -rF
        case any
            set -a flags -x
        case '*'
            set -a flags -xa $kind
    end
    complete -c husk -n "__husk_in $command" $flags -d $description
end

function __husk_bundle_options -a command
    __husk_option $command '-b --bundle' directory 'bundle directory'
    __husk_option $command --pid-file file 'write the process ID to FILE'
    __husk_option $command --no-pivot none 'ignored (for compatibility with runc)'
    __husk_option $command --no-new-keyring none 'ignored (for compatibility with runc)'
    __husk_socket_options $command
    __husk_trace_option $command
end

function __husk_socket_options -a command
    __husk_option $command --console-socket file "Unix socket that receives the terminal's master"
    __husk_option $command --pidfd-socket file 'Unix socket that receives a pidfd of the process'
    __husk_option $command --preserve-fds any 'number of additional file descriptors to pass; only 0 is supported'
end

function __husk_trace_option -a command
    __husk_option $command --trace file 'write a timing trace to FILE'
end

complete -c husk -e
complete -c husk -f

__husk_option - '-h --help' none 'print help'
__husk_option - '-v --version' none 'print the version'
__husk_option - --root directory 'root directory for the state of containers'
__husk_option - --config file 'configuration file'
__husk_option - --log file 'append errors and warnings to FILE'
__husk_option - --log-format 'text json' 'format of the log'
__husk_option - --debug none 'write debug messages to the log'
__husk_option - --systemd-cgroup none 'create cgroups through systemd; cgroupsPath has the form slice:prefix:name'
__husk_option - --rootless any 'ignored (for compatibility with runc)'
__husk_option - --criu file 'ignored (for compatibility with runc)'

__husk_command create 'create a container' any
__husk_bundle_options create

__husk_command delete 'delete a container and its resources' id
__husk_option delete '-f --force' none 'kill a running container first'
__husk_trace_option delete

__husk_command exec 'run an additional process in a container' id rest
__husk_option exec '-p --process' file 'JSON file with the process, as in config.json'
__husk_option exec --cwd any 'working directory in the container'
__husk_option exec '-e --env' any 'environment variable NAME=VALUE'
__husk_option exec '-u --user' any 'user to run the process as, in the form UID[:GID]'
__husk_option exec '-g --additional-gids' any 'additional group ID'
__husk_option exec '-c --cap' any 'capability to add'
__husk_option exec --no-new-privs none 'set no_new_privs for the process'
__husk_option exec '-t --tty' none 'allocate a terminal for the process'
__husk_option exec '-d --detach' none 'run the process in the background'
__husk_option exec --pid-file file 'write the process ID to FILE'
__husk_option exec --cgroup any "existing cgroup below the container's cgroup in the VM"
__husk_option exec --ignore-paused none 'allow exec in a paused container'
__husk_option exec --process-label any 'ignored (for compatibility with runc)'
__husk_option exec --apparmor any 'ignored (for compatibility with runc)'
__husk_socket_options exec

__husk_command events 'show resource usage and out-of-memory kills' id
__husk_option events --interval any 'interval between statistics'
__husk_option events --stats none 'print statistics once and exit'

__husk_command check 'check whether this host can run containers in VMs'
__husk_option check --json none 'print the findings as JSON'

__husk_command setup 'make an engine know husk' docker
__husk_option setup --file file 'file to change'
__husk_option setup --remove none 'take husk out again'
__husk_option setup '-y --yes' none 'do not ask'

__husk_command pool 'manage the VMs that have booted before a container needs them' any
__husk_option pool --json none 'print the status as JSON'
__husk_option pool --no-wait none 'return at once where another command fills the pool'

__husk_command env 'print the configuration that holds'

__husk_command features 'print the OCI features of husk and its guest as JSON'

__husk_command kill "send a signal to a container's init process" id signal
__husk_option kill '-a --all' none 'send the signal to all processes in the container'

__husk_command list 'list containers'
__husk_option list '-f --format' 'table json' 'output format'
__husk_option list '-q --quiet' none 'print container IDs only'

__husk_command pause 'suspend all processes in a container' id

__husk_command ps 'list the processes in a container' id rest
__husk_option ps '-f --format' 'table json' 'output format'

__husk_command resume 'resume all processes in a paused container' id

__husk_command run 'create and start a container' any
__husk_bundle_options run
__husk_option run '-d --detach' none 'run the container in the background'
__husk_option run --keep none 'do not delete the container after it has exited'
__husk_option run --no-subreaper none 'ignored (for compatibility with runc)'

__husk_command spec 'write an example config.json'
__husk_option spec '-b --bundle' directory 'bundle directory to write config.json to'
__husk_option spec --rootless none "add a user namespace with the caller's UID and GID"

__husk_command start 'start a created container' id
__husk_trace_option start

__husk_command state 'print the state of a container' id

__husk_command update 'change the resource limits of a container' id
__husk_option update '-r --resources' file 'JSON file with the limits, as in config.json'
__husk_option update --memory any 'memory limit in bytes'
__husk_option update --memory-reservation any 'soft memory limit in bytes'
__husk_option update --memory-swap any 'limit of memory plus swap in bytes'
__husk_option update --cpu-period any 'length of the quota period in microseconds'
__husk_option update --cpu-quota any 'CPU time per period in microseconds'
__husk_option update --cpu-burst any 'unused quota that may accumulate, in microseconds'
__husk_option update --cpu-share any 'CPU weight relative to other containers in the VM'
__husk_option update --cpu-idle any '1: run only when the CPU is idle; 0: as usual'
__husk_option update --pids-limit any 'maximum number of processes and threads'
__husk_option update --cpuset-cpus any 'CPUs of the host that the VM may run on'
__husk_option update --cpuset-mems any 'memory nodes of the host for the VM'
for name in blkio-weight cpu-rt-period cpu-rt-runtime kernel-memory kernel-memory-tcp
    __husk_option update --$name any 'ignored (for compatibility with runc)'
end
__husk_option update --l3-cache-schema any 'not supported (Intel RDT of the host)'
__husk_option update --mem-bw-schema any 'not supported (Intel RDT of the host)'
