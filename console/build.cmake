# Builds the console, a file for browsers:
#
#     cmake -DTO=FOLDER -DOUT=FILE [-DNPM=PROGRAM] [-DNODE=PROGRAM] -P console/build.cmake
#
# npm installs in FOLDER what package-lock.json pins, unless that is there already. The sources are copied beside it, so
# that nothing is written into the tree; what was removed from the tree is removed there, too.
set(from ${CMAKE_CURRENT_LIST_DIR})
find_program(NPM npm)
find_program(NODE node)
if(NOT NPM OR NOT NODE)
    message(FATAL_ERROR "The console is built by node and npm (Debian's nodejs and npm), and there is none")
endif()

function(run)
    execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${TO} RESULT_VARIABLE result)
    if(NOT result EQUAL 0)
        message(FATAL_ERROR "The console cannot be built")
    endif()
endfunction()

file(MAKE_DIRECTORY ${TO})
run(${CMAKE_COMMAND} -DFROM=${from} -DTO=${TO} -DNPM=${NPM} -P ${from}/../cmake/NpmPackages.cmake)
file(REMOVE_RECURSE ${TO}/src ${TO}/test)
foreach(name src test build.js package.json tsconfig.json)
    if(EXISTS ${from}/${name})
        file(COPY ${from}/${name} DESTINATION ${TO})
    endif()
endforeach()
run(${NODE} build.js ${OUT})
