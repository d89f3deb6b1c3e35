# Where the shim and the keeper go below the prefix. husk finds its parts relative to its own program
# (lib/runtime/host/install_paths.cpp), so these are not for the packager to move apart.
install(TARGETS husk-shim husk-keeper RUNTIME DESTINATION libexec/husk)
