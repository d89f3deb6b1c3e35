# Where the shim, the keeper and husk-ch go below the prefix. husk finds its parts relative to its own program
# (lib/runtime/host/install_paths.cpp), so these are not for the packager to move apart.
install(TARGETS husk-shim husk-keeper husk-ch RUNTIME DESTINATION libexec/husk)
