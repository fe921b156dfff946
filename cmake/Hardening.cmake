# rpc_harden(<interface library>)
#
# Flags that make faults in memory harder to use, where the compiler has them. test/unit/check_object.py looks for their
# traces in the plugin as it was built. What they take of a plain call, of 18,270 instructions at QoS 0 (gcc 12):
#
#     -fstack-protector-strong       110    a return address on the stack is guarded by a random number
#     _FORTIFY_SOURCE=2                0    the C library checks sizes that the compiler knows; 3 takes 250 to 480
#     -fstack-clash-protection         0    a large frame cannot jump over the page that guards the stack
#     -fcf-protection                 40    x86: marks where branches may go, and allows a shadow stack. A linker
#                                           marks the plugin as such only if the C library's start files are: Debian
#                                           12's are not, so that nothing enforces it there
#     -mbranch-protection=standard    -     the same for 64-bit ARM
#
# Clang's own -fsanitize=cfi is not among them. It needs every file to be optimised at link time with its own linker, and
# ends the process, here the broker, at a call through a pointer to a function that was compiled without it, such as
# those of cJSON, SQLite and the broker.
#
# RELRO, binding at load and the stack that holds no code are the linker's: see rpc_add_plugin().
include(CheckCCompilerFlag)

set(RPC_FORTIFY 2 CACHE STRING "level of _FORTIFY_SOURCE in optimised builds; 0 for none")

function(rpc_harden target)
    set(flags -fstack-protector-strong -fstack-clash-protection)
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86|x86_64|amd64|AMD64|i[3-6]86)$")
        list(APPEND flags -fcf-protection)
    elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)")
        list(APPEND flags -mbranch-protection=standard)
    endif()
    foreach(flag IN LISTS flags)
        string(MAKE_C_IDENTIFIER "RPC_HAS${flag}" has)
        check_c_compiler_flag(${flag} ${has})
        if(${has})
            target_compile_options(${target} INTERFACE ${flag})
        endif()
    endforeach()
    # It needs an optimised build, and sanitizers check less where it is.
    if(RPC_FORTIFY AND NOT RPC_SANITIZE AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
        target_compile_options(${target} INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=${RPC_FORTIFY})
    endif()
endfunction()
