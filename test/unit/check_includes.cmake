# cmake -D ROOT=<source tree> -P check_includes.cmake
#
# Dependencies point one way: handlers -> include <- core <- plugin. Debian keeps the Mosquitto headers where
# every compiler looks, so the compiler does not prove it; the #include lines do. A line is accepted when it
# names a header of its own room, of include/, or one that no room of ours and no Mosquitto has.
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

function(check_room folder)
    file(GLOB files ${ROOT}/${folder}/*.h ${ROOT}/${folder}/*.c)
    foreach(file IN LISTS files)
        file(STRINGS ${file} lines REGEX "^[ \t]*#[ \t]*include")
        foreach(line IN LISTS lines)
            if(NOT line MATCHES "include[ \t]*[<\"]([^>\"]+)[>\"]")
                message(SEND_ERROR "${file}: cannot read ${line}")
            endif()
            check_line(${file} ${CMAKE_MATCH_1} "${ARGN}")
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
check_room(core ${plugin_headers})
check_room(include ${core_headers} ${plugin_headers})
check_room(handlers ${core_headers} ${plugin_headers})
