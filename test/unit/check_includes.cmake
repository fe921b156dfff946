# cmake -D ROOT=<source tree> -P check_includes.cmake
#
# Dependencies point one way: handlers -> include <- core <- plugin. Debian keeps the Mosquitto headers where
# every compiler looks, so the compiler does not prove it; the #include lines do. A line is accepted when it
# names a header of its own room, of include/, or one that no room of ours and no Mosquitto has.
#
# A module in handlers/ is a room of its own: in quotes it includes headers of the folder of its name, and these
# those beside them. Nobody else does, and SQLite is for such folders alone.
cmake_minimum_required(VERSION 3.18)

set(faults 0)
set(seen 0)

function(names_of folder out)
    file(GLOB headers ${ROOT}/${folder}/*.h)
    set(names "")
    foreach(header IN LISTS headers)
        get_filename_component(name ${header} NAME)
        list(APPEND names ${name})
    endforeach()
    set(${out} "${names}" PARENT_SCOPE)
endfunction()

function(check_line file name forbidden)
    get_filename_component(base ${name} NAME)
    set(is_mosquitto FALSE)
    if(name MATCHES "mosquitto" AND NOT base STREQUAL "mosquitto_rpc.h")
        set(is_mosquitto TRUE)
    endif()
    if(is_mosquitto OR base IN_LIST forbidden OR name MATCHES "(^|/)(core|plugin|handlers)/" OR name MATCHES "mqtt")
        message(SEND_ERROR "${file} includes ${name}")
    endif()
endfunction()

# A module's quotes name headers of its own folder: `own` is that folder as the file writes it, "sensor/" in
# sensor.c, and nothing within the folder.
function(check_quotes file line own)
    if(NOT line MATCHES "\"(.+)\"")
        return()
    endif()
    set(name ${CMAKE_MATCH_1})
    get_filename_component(base ${name} NAME)
    get_filename_component(folder ${file} DIRECTORY)
    if(NOT name STREQUAL "${own}${base}" OR NOT EXISTS ${folder}/${name})
        message(SEND_ERROR "${file} includes ${name}, which is not its module's")
    endif()
endfunction()

function(check_room folder)
    file(GLOB files ${ROOT}/${folder}/*.h ${ROOT}/${folder}/*.c)
    foreach(file IN LISTS files)
        file(STRINGS ${file} lines REGEX "^[ \t]*#[ \t]*include")
        foreach(line IN LISTS lines)
            if(NOT line MATCHES "include[ \t]*[<\"]([^>\"]+)[>\"]")
                message(SEND_ERROR "${file}: cannot read ${line}")
            endif()
            check_line(${file} ${CMAKE_MATCH_1} "${ARGN}")
            if(folder STREQUAL "handlers")
                get_filename_component(word ${file} NAME_WE)
                check_quotes(${file} ${line} "${word}/")
            elseif(folder MATCHES "^handlers/")
                check_quotes(${file} ${line} "")
            endif()
            math(EXPR seen "${seen} + 1")
        endforeach()
    endforeach()
    if(seen EQUAL 0)
        message(SEND_ERROR "${folder} has no #include lines: is ROOT right?")
    endif()
    message(STATUS "${folder}: ${seen} lines")
endfunction()

names_of(core core_headers)
names_of(plugin plugin_headers)
check_room(core ${plugin_headers} sqlite3.h)
check_room(include ${core_headers} ${plugin_headers} sqlite3.h)
check_room(handlers ${core_headers} ${plugin_headers} sqlite3.h)
file(GLOB entries LIST_DIRECTORIES TRUE RELATIVE ${ROOT} ${ROOT}/handlers/*)
foreach(entry IN LISTS entries)
    if(IS_DIRECTORY ${ROOT}/${entry})
        check_room(${entry} ${core_headers} ${plugin_headers})
    endif()
endforeach()
