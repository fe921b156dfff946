# The modules that every plugin has: they read the engine.
set(RPC_BUILT_IN_MODULES rpc observe)

# Sets ${out} to the modules that a file defines, as far as they stand at the beginning of a line. The build is
# configured again when the file changes.
function(rpc_find_modules file out)
    get_filename_component(file ${file} ABSOLUTE)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    file(READ ${file} text)
    string(REPLACE ";" "," text "${text}")
    string(REGEX MATCHALL "(^|\n)RPC_MODULE[ \t\n]*\\([ \t\n]*[A-Za-z0-9_]*" found "${text}")
    string(REGEX REPLACE "\n?RPC_MODULE[ \t\n]*\\([ \t\n]*" "" found "${found}")
    string(REPLACE ";" ", " found "${found}")
    set(${out} "${found}" PARENT_SCOPE)
endfunction()

function(rpc_check_module file word)
    rpc_find_modules(${file} found)
    if(found STREQUAL "")
        set(found "no module")
    endif()
    if(NOT found STREQUAL word)
        message(FATAL_ERROR "${file} defines ${found}. It must define the module of its name and no other, at the "
                            "beginning of a line: RPC_MODULE(${word}, .doc = ..., .methods = RPC_TABLE(...)); or it "
                            "must be named as its module is.")
    endif()
endfunction()

function(rpc_check_companion file word)
    rpc_find_modules(${file} found)
    if(NOT found STREQUAL "")
        message(FATAL_ERROR "${file} defines ${found}, but it stands in the folder of the module ${word} and is a "
                            "part of that module. A module is a file beside that folder.")
    endif()
endfunction()

# rpc_add_modules(<target> MODULES <file.c>... [DEFINITIONS <name=value>...])
#
# A static library out of handler modules, with the array of them (core/modules.h). A module's file is
# named as the module is: sensor.c defines RPC_MODULE(sensor, ...). Modules see include/ and nothing else
# of this tree. The modules of RPC_BUILT_IN_MODULES are in core/ and come first.
#
# A module that is more than a file has companions in a folder of its name beside it, sensor/*.c, which are
# compiled with it and are no modules. What it has to be linked with is the target rpc_needs_sensor, if there
# is one when this is called.
#
# The configuration stops if a file does not define the module of its name, and that one alone. A file that the
# build generates does not exist yet, and is not looked at.
function(rpc_add_modules target)
    cmake_parse_arguments(ARG "" "" "MODULES;DEFINITIONS" ${ARGN})
    set(declarations "")
    set(entries "")
    set(words "")
    set(companions "")
    set(needs "")
    foreach(file IN LISTS ARG_MODULES)
        get_filename_component(word ${file} NAME_WE)
        if(NOT word MATCHES "^[a-z][a-z0-9]*$")
            message(FATAL_ERROR "${file}: a module and its file are named [a-z][a-z0-9]*")
        endif()
        if(word IN_LIST RPC_BUILT_IN_MODULES)
            message(FATAL_ERROR "${file}: the module `${word}` is built in")
        endif()
        if(word IN_LIST words)
            message(FATAL_ERROR "${file}: ${target} has another file of the module ${word} already")
        endif()
        get_source_file_property(is_generated ${file} GENERATED)
        if(NOT is_generated)
            rpc_check_module(${file} ${word})
        endif()
        list(APPEND words ${word})
        get_filename_component(folder ${file} ABSOLUTE)
        get_filename_component(folder ${folder} DIRECTORY)
        file(GLOB found CONFIGURE_DEPENDS ${folder}/${word}/*.c)
        foreach(companion IN LISTS found)
            rpc_check_companion(${companion} ${word})
        endforeach()
        list(APPEND companions ${found})
        if(TARGET rpc_needs_${word})
            list(APPEND needs rpc_needs_${word})
        endif()
    endforeach()
    list(SORT words)
    list(PREPEND words ${RPC_BUILT_IN_MODULES})
    foreach(word IN LISTS words)
        string(APPEND declarations "extern const rpc_module rpc_module_${word};\n")
        string(APPEND entries "    &rpc_module_${word},\n")
    endforeach()
    set(list ${CMAKE_CURRENT_BINARY_DIR}/${target}_list.c)
    file(CONFIGURE OUTPUT ${list} CONTENT
"/* Written by the build. */
#include \"modules.h\"

@declarations@
const rpc_module *const rpc_modules[] = {
@entries@    NULL,
};
" @ONLY)

    add_library(${target} STATIC ${ARG_MODULES} ${companions})
    target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR}/include)
    target_compile_definitions(${target} PRIVATE ${ARG_DEFINITIONS})
    target_link_libraries(${target} PRIVATE rpc_flags PkgConfig::CJSON m ${needs})
    add_library(${target}_list OBJECT ${list})
    target_include_directories(${target}_list PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/core)
    target_link_libraries(${target}_list PRIVATE rpc_flags)
endfunction()

# rpc_add_plugin(<target> MODULES <file.c>... [DEFINITIONS <name=value>...])
#
# A loadable plugin <target>.so out of handler modules.
function(rpc_add_plugin target)
    rpc_add_modules(${target}_modules ${ARGN})
    add_library(${target} MODULE $<TARGET_OBJECTS:rpc_plugin> $<TARGET_OBJECTS:rpc_plugin_options>
                $<TARGET_OBJECTS:${target}_modules_list>)
    set_target_properties(${target} PROPERTIES PREFIX "" LINKER_LANGUAGE C)
    # -z defs would refuse the broker's own functions, which libmosquitto does not have; -Bsymbolic keeps
    # our names ours in brokers that export hundreds.
    target_link_options(${target} PRIVATE -Wl,-Bsymbolic -Wl,-z,now -Wl,-z,relro)
    target_link_libraries(${target} PRIVATE rpc_flags ${target}_modules rpc_core PkgConfig::MOSQUITTO
                          PkgConfig::CJSON m ${CMAKE_DL_LIBS})
endfunction()

# rpc_add_reference(<target> <plugin>)
#
# A program that describes the modules of the plugin <plugin>, which rpc_add_plugin() made:
#
#     <target> markdown | openrpc | asyncapi [PREFIX]
function(rpc_add_reference target plugin)
    add_executable(${target} $<TARGET_OBJECTS:rpc_reference_parts> $<TARGET_OBJECTS:rpc_plugin_options>
                   $<TARGET_OBJECTS:${plugin}_modules_list>)
    target_link_libraries(${target} PRIVATE rpc_flags ${plugin}_modules rpc_core)
endfunction()
