# What this tree builds of modules: the public functions (RpcPlugin.cmake) with the tree's own flags.

# rpc_leave_lto(): what is made in this folder, and below it, is not optimised as one program, which takes seconds for each
# program. For what is neither shipped nor measured. Archives of clang have no other code.
macro(rpc_leave_lto)
    if(CMAKE_INTERPROCEDURAL_OPTIMIZATION AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
        set(CMAKE_INTERPROCEDURAL_OPTIMIZATION OFF)
        add_link_options(-fno-lto)
    endif()
endmacro()

# rpc_add_modules(<target> ...): see mosquitto_rpc_add_modules().
function(rpc_add_modules target)
    mosquitto_rpc_add_modules(${target} ${ARGN})
    target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:rpc_flags>)
    target_link_libraries(${target}_list PRIVATE rpc_flags)
endfunction()

# rpc_add_plugin(<target> ...): see mosquitto_rpc_add_plugin().
function(rpc_add_plugin target)
    mosquitto_rpc_add_plugin(${target} ${ARGN})
    target_link_libraries(${target}_modules PRIVATE $<BUILD_INTERFACE:rpc_flags>)
    target_link_libraries(${target}_modules_list PRIVATE rpc_flags)
    target_link_libraries(${target} PRIVATE rpc_flags)
endfunction()

# rpc_add_worker(<target> ...): see mosquitto_rpc_add_worker().
function(rpc_add_worker target)
    mosquitto_rpc_add_worker(${target} ${ARGN})
    if(TARGET ${target}_modules)
        target_link_libraries(${target}_modules PRIVATE $<BUILD_INTERFACE:rpc_flags>)
        target_link_libraries(${target}_modules_list PRIVATE rpc_flags)
    endif()
    target_link_libraries(${target} PRIVATE rpc_flags)
endfunction()

# rpc_add_reference(<target> <plugin>): see mosquitto_rpc_add_reference().
function(rpc_add_reference target plugin)
    mosquitto_rpc_add_reference(${target} ${plugin})
    target_link_libraries(${target} PRIVATE rpc_flags)
endfunction()
