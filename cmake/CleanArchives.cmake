# Part of the installation of the component dev, with FOLDER, ARCHIVES, NM and OBJCOPY set. The archives belong together:
#
# - Names that are not public get a prefix, so that a module may have names of its own such as arena_init.
# - What gcc's link-time optimisation has left is taken away, which only the same version of gcc could read.
set(paths ${ARCHIVES})
list(TRANSFORM paths PREPEND $ENV{DESTDIR}${FOLDER}/)
execute_process(COMMAND ${NM} --defined-only --extern-only --format=posix ${paths} OUTPUT_VARIABLE symbols
                RESULT_VARIABLE result ERROR_QUIET)
if(NOT result EQUAL 0)
    message(FATAL_ERROR "${NM} cannot read ${paths}")
endif()
string(REGEX MATCHALL "[^\n]+ [A-Z] [^\n]*" symbols "${symbols}")
list(TRANSFORM symbols REPLACE " .*" "")
list(REMOVE_DUPLICATES symbols) # the hosts have parts in common, of which nobody links both
set(map "")
foreach(symbol IN LISTS symbols)
    if(NOT symbol MATCHES "^(rpc_|mosquitto_plugin_|main$|__gnu_lto)")
        string(APPEND map "${symbol} rpc_private_${symbol}\n")
    endif()
endforeach()
set(file $ENV{DESTDIR}${FOLDER}/private_names)
file(WRITE ${file} "${map}")
foreach(path IN LISTS paths)
    execute_process(COMMAND ${OBJCOPY} --redefine-syms=${file} --remove-section=.gnu.lto_*
                            --remove-section=.gnu.debuglto_* --strip-symbol=__gnu_lto_slim
                            --strip-symbol=__gnu_lto_v1 ${path} RESULT_VARIABLE result)
    if(NOT result EQUAL 0)
        message(FATAL_ERROR "${OBJCOPY} cannot change ${path}")
    endif()
endforeach()
file(REMOVE ${file})
