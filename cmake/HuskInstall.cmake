# Where things go below the prefix. husk finds its parts relative to its own program
# (lib/runtime/install_paths.cpp), so these are not for the packager to move apart.
foreach(program husk husk-shim)
  if(NOT TARGET ${program})
    message(WARNING "no target ${program}: it is not installed")
  endif()
endforeach()
if(TARGET husk)
  install(TARGETS husk RUNTIME DESTINATION bin)
endif()
if(TARGET husk-shim)
  install(TARGETS husk-shim RUNTIME DESTINATION libexec/husk)
endif()
