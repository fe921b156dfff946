# The public CMake functions of mosquitto-rpc, in this tree and, installed, behind find_package(mosquitto_rpc):
#
#     mosquitto_rpc_add_plugin()      a plugin out of handler modules
#     mosquitto_rpc_add_worker()      a worker out of handler modules: a program that is a client of a broker
#     mosquitto_rpc_add_test()        a program that tests modules without a broker
#     mosquitto_rpc_add_reference()   a program that describes the modules of a plugin
#     mosquitto_rpc_add_modules()     the modules alone, of which the four others consist
#
# The compiler's flags are the caller's own. Added are what a plugin needs: C11 or later, code that can be loaded at
# any address, and names that stay inside the plugin.

# The modules that every plugin and every worker has: they read the engine.
set(MOSQUITTO_RPC_BUILT_IN_MODULES rpc observe dead workers)

# Sets ${out} to the modules that a file defines, as far as they stand at the beginning of a line. The build is
# configured again when the file changes.
function(mosquitto_rpc_find_modules file out)
    get_filename_component(file ${file} ABSOLUTE)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    file(READ ${file} text)
    string(REPLACE ";" "," text "${text}")
    string(REGEX MATCHALL "(^|\n)RPC_MODULE[ \t\n]*\\([ \t\n]*[A-Za-z0-9_]*" found "${text}")
    string(REGEX REPLACE "\n?RPC_MODULE[ \t\n]*\\([ \t\n]*" "" found "${found}")
    string(REPLACE ";" ", " found "${found}")
    set(${out} "${found}" PARENT_SCOPE)
endfunction()

function(mosquitto_rpc_check_module file word)
    mosquitto_rpc_find_modules(${file} found)
    if(found STREQUAL "")
        set(found "no module")
    endif()
    if(NOT found STREQUAL word)
        message(FATAL_ERROR "${file} defines ${found}. It must define the module of its name and no other, at the "
                            "beginning of a line: RPC_MODULE(${word}, .doc = ..., .methods = RPC_TABLE(...)); or it "
                            "must be named as its module is.")
    endif()
endfunction()

function(mosquitto_rpc_check_companion file word)
    mosquitto_rpc_find_modules(${file} found)
    if(NOT found STREQUAL "")
        message(FATAL_ERROR "${file} defines ${found}, but it stands in the folder of the module ${word} and is a "
                            "part of that module. A module is a file beside that folder.")
    endif()
endfunction()

# mosquitto_rpc_find_companions(<out> <file> <word>): sets ${out} to the files of the folder that the module's file
# has beside it.
function(mosquitto_rpc_find_companions out file word)
    get_filename_component(folder ${file} ABSOLUTE)
    get_filename_component(folder ${folder} DIRECTORY)
    file(GLOB found CONFIGURE_DEPENDS ${folder}/${word}/*.c)
    foreach(companion IN LISTS found)
        mosquitto_rpc_check_companion(${companion} ${word})
    endforeach()
    set(${out} ${found} PARENT_SCOPE)
endfunction()

# mosquitto_rpc_write_list(<file> <word>...): the array of modules that the engine is given (core/modules.h).
function(mosquitto_rpc_write_list list)
    set(declarations "")
    set(entries "")
    foreach(word IN LISTS ARGN)
        string(APPEND declarations "extern const rpc_module rpc_module_${word};\n")
        string(APPEND entries "    &rpc_module_${word},\n")
    endforeach()
    file(CONFIGURE OUTPUT ${list} CONTENT
"/* Written by the build. */
#include <mosquitto_rpc.h>

@declarations@
extern const rpc_module *const rpc_modules[];
const rpc_module *const rpc_modules[] = {
@entries@    NULL,
};
" @ONLY)
endfunction()

# What every target gets of which a plugin or a worker consists.
function(mosquitto_rpc_prepare target)
    target_compile_features(${target} PRIVATE c_std_11)
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden)
    target_link_libraries(${target} PRIVATE mosquitto_rpc::headers)
endfunction()

# mosquitto_rpc_add_modules(<target> [MODULES <file.c>...] [SHIPPED <module>... | SHIPPED_MODULES]
#                           [DEFINITIONS <name=value>...])
#
# A static library out of handler modules, and <target>_list, an object library with the array of them. A module's
# file is named as the module is: sensor.c defines RPC_MODULE(sensor, ...). Modules see mosquitto_rpc.h and nothing
# else of mosquitto-rpc, and may use cJSON. The modules of MOSQUITTO_RPC_BUILT_IN_MODULES come first.
#
# SHIPPED names modules that mosquitto-rpc brings with it, such as device and sensor; SHIPPED_MODULES takes all of
# them. MOSQUITTO_RPC_SHIPPED_MODULES lists them.
#
# A module that is more than a file has companions in a folder of its name beside it, sensor/*.c, which are
# compiled with it and are no modules. What it has to be linked with is the target rpc_needs_sensor, if there
# is one when this is called.
#
# The configuration stops if a file does not define the module of its name, and that one alone. A file that the
# build generates does not exist yet, and is not looked at.
function(mosquitto_rpc_add_modules target)
    cmake_parse_arguments(PARSE_ARGV 1 ARG "SHIPPED_MODULES" "" "MODULES;SHIPPED;DEFINITIONS")
    if(ARG_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "${target}: what is ${ARG_UNPARSED_ARGUMENTS}? The modules' files follow MODULES, "
                            "the names of shipped modules SHIPPED.")
    endif()
    if(ARG_SHIPPED_MODULES)
        set(ARG_SHIPPED ${MOSQUITTO_RPC_SHIPPED_MODULES})
    endif()
    foreach(word IN LISTS ARG_SHIPPED)
        if(NOT word IN_LIST MOSQUITTO_RPC_SHIPPED_MODULES)
            string(REPLACE ";" ", " shipped "${MOSQUITTO_RPC_SHIPPED_MODULES}")
            message(FATAL_ERROR "${target}: no module ${word} is shipped. There are: ${shipped}")
        endif()
    endforeach()
    set(words ${ARG_SHIPPED})
    list(REMOVE_DUPLICATES words)
    set(sources "")
    set(needs "")
    foreach(file IN LISTS ARG_MODULES)
        get_filename_component(word ${file} NAME_WE)
        if(NOT word MATCHES "^[a-z][a-z0-9]*$")
            message(FATAL_ERROR "${file}: a module and its file are named [a-z][a-z0-9]*")
        endif()
        if(word IN_LIST MOSQUITTO_RPC_BUILT_IN_MODULES)
            message(FATAL_ERROR "${file}: the module `${word}` is built in")
        endif()
        if(word IN_LIST words)
            message(FATAL_ERROR "${file}: ${target} has another file of the module ${word} already")
        endif()
        get_source_file_property(is_generated ${file} GENERATED)
        if(NOT is_generated)
            mosquitto_rpc_check_module(${file} ${word})
        endif()
        list(APPEND words ${word})
        mosquitto_rpc_find_companions(companions ${file} ${word})
        list(APPEND sources ${file} ${companions})
        if(TARGET rpc_needs_${word})
            list(APPEND needs rpc_needs_${word})
        endif()
    endforeach()
    get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
    if(NOT "C" IN_LIST languages)
        message(FATAL_ERROR "${target}: modules are written in C, which this project does not have: "
                            "project(... LANGUAGES C)")
    endif()
    list(SORT words)
    set(list ${CMAKE_CURRENT_BINARY_DIR}/${target}_list.c)
    mosquitto_rpc_write_list(${list} ${MOSQUITTO_RPC_BUILT_IN_MODULES} ${words})
    add_library(${target}_list OBJECT ${list})
    mosquitto_rpc_prepare(${target}_list)
    if(NOT sources)
        set(sources ${list}) # a library must have a source file; this one is never looked for in it
    endif()

    add_library(${target} STATIC ${sources})
    mosquitto_rpc_prepare(${target})
    target_compile_definitions(${target} PRIVATE ${ARG_DEFINITIONS})
    target_link_libraries(${target} PRIVATE PkgConfig::CJSON m ${needs})
    target_link_libraries(${target} INTERFACE $<LINK_ONLY:mosquitto_rpc::core>) # which comes after it
    if(ARG_SHIPPED)
        target_link_libraries(${target} PRIVATE mosquitto_rpc::modules)
    endif()
endfunction()

# mosquitto_rpc_add_plugin(<target> ...)
#
# A loadable plugin <target>.so out of handler modules. The arguments are those of mosquitto_rpc_add_modules(); the
# library of the modules is <target>_modules, which may be linked with what the modules need.
function(mosquitto_rpc_add_plugin target)
    mosquitto_rpc_add_modules(${target}_modules ${ARGN})
    add_library(${target} MODULE $<TARGET_OBJECTS:${target}_modules_list>)
    mosquitto_rpc_prepare(${target})
    set_target_properties(${target} PROPERTIES PREFIX "" SUFFIX ".so" LINKER_LANGUAGE C)
    # Nothing calls the plugin's entry points, so that the linker would leave them out of the archive. -z defs would
    # refuse the broker's own functions, which libmosquitto does not have; -Bsymbolic keeps our names ours in brokers
    # that export hundreds.
    target_link_options(${target} PRIVATE LINKER:--undefined=mosquitto_plugin_version LINKER:-Bsymbolic
                        LINKER:-z,now LINKER:-z,relro LINKER:-z,noexecstack)
    target_link_libraries(${target} PRIVATE ${target}_modules mosquitto_rpc::plugin mosquitto_rpc::core
                          PkgConfig::MOSQUITTO PkgConfig::CJSON m ${CMAKE_DL_LIBS})
endfunction()

# mosquitto_rpc_add_worker(<target> PLUGIN <plugin>)
# mosquitto_rpc_add_worker(<target> ...)
#
# A worker: the program <target> out of handler modules, which connects to a broker and carries out calls there. Its
# modules are those of <plugin>, which mosquitto_rpc_add_plugin() made, and which are compiled once for both; or they
# are named as the arguments of mosquitto_rpc_add_modules() do, and their library is <target>_modules.
function(mosquitto_rpc_add_worker target)
    cmake_parse_arguments(PARSE_ARGV 1 ARG "" "PLUGIN" "")
    set(modules ${target}_modules)
    if(NOT DEFINED ARG_PLUGIN)
        mosquitto_rpc_add_modules(${modules} ${ARGN})
    elseif(TARGET "${ARG_PLUGIN}_modules" AND NOT ARG_UNPARSED_ARGUMENTS)
        set(modules ${ARG_PLUGIN}_modules)
    else()
        message(FATAL_ERROR "mosquitto_rpc_add_worker(${target} PLUGIN <plugin>): the plugin is one of "
                            "mosquitto_rpc_add_plugin(), whose modules are the worker's. Without PLUGIN, modules are "
                            "named as for a plugin.")
    endif()
    add_executable(${target} $<TARGET_OBJECTS:${modules}_list>)
    mosquitto_rpc_prepare(${target})
    set_target_properties(${target} PROPERTIES LINKER_LANGUAGE C)
    target_link_options(${target} PRIVATE LINKER:-z,now LINKER:-z,relro LINKER:-z,noexecstack)
    target_link_libraries(${target} PRIVATE ${modules} mosquitto_rpc::worker mosquitto_rpc::core
                          PkgConfig::MOSQUITTO PkgConfig::CJSON m)
endfunction()

# mosquitto_rpc_add_test(<target> PLUGIN <plugin> SOURCES <file>...)
#
# A program that tests the modules of <plugin>, which mosquitto_rpc_add_plugin() made, without a broker, and a test of
# its name for ctest. The files include mosquitto_rpc_testing.h. <plugin> may be a worker that names its modules itself.
function(mosquitto_rpc_add_test target)
    cmake_parse_arguments(PARSE_ARGV 1 ARG "" "PLUGIN" "SOURCES")
    if(NOT TARGET "${ARG_PLUGIN}_modules" OR NOT ARG_SOURCES)
        message(FATAL_ERROR "mosquitto_rpc_add_test(${target} PLUGIN <plugin> SOURCES <file>...): the plugin is one "
                            "of mosquitto_rpc_add_plugin(), or a worker that names its modules itself")
    endif()
    add_executable(${target} ${ARG_SOURCES} $<TARGET_OBJECTS:${ARG_PLUGIN}_modules_list>)
    target_compile_features(${target} PRIVATE c_std_11)
    target_link_libraries(${target} PRIVATE ${ARG_PLUGIN}_modules mosquitto_rpc::testing mosquitto_rpc::core)
    add_test(NAME ${target} COMMAND ${target})
endfunction()

# mosquitto_rpc_add_reference(<target> <plugin>)
#
# A program that describes the modules of <plugin>, of which mosquitto_rpc_add_test() says what it is:
#
#     <target> markdown | openrpc | asyncapi [PREFIX]
function(mosquitto_rpc_add_reference target plugin)
    add_executable(${target} $<TARGET_OBJECTS:${plugin}_modules_list>)
    set_target_properties(${target} PROPERTIES LINKER_LANGUAGE C)
    target_link_libraries(${target} PRIVATE ${plugin}_modules mosquitto_rpc::reference mosquitto_rpc::plugin
                          mosquitto_rpc::core)
endfunction()
