# rpc_npm_packages(<folder> <fixture>)
#
# What tests need of npm: <folder> has a package.json and a package-lock.json, which pins every package by its
# checksum. Nothing is installed before a test asks for it: the installation is a test itself, named <fixture>,
# and the fixture <fixture> of those that need it:
#
#     rpc_npm_packages(${CMAKE_CURRENT_SOURCE_DIR} documents_packages)
#     if(documents_packages_FOLDER)
#         add_test(NAME documents ...)
#         set_tests_properties(documents PROPERTIES FIXTURES_REQUIRED documents_packages)
#     endif()
#
# The packages then lie in ${<fixture>_FOLDER}/node_modules, a folder of the build. Where there is no npm, the
# variable is empty, and the build says which tests are left out for that.
#
# As a script, with FROM, TO and NPM: the installation. It does nothing when the packages of this lock file are
# there, so that tests run again need no network.
if(CMAKE_SCRIPT_MODE_FILE)
    set(stamp ${TO}/installed.json)
    file(READ ${FROM}/package-lock.json wanted)
    if(EXISTS ${stamp})
        file(READ ${stamp} installed)
        if(installed STREQUAL wanted)
            return()
        endif()
    endif()
    file(REMOVE ${stamp})
    file(COPY ${FROM}/package.json ${FROM}/package-lock.json DESTINATION ${TO})
    execute_process(COMMAND ${NPM} ci --ignore-scripts --no-audit --no-fund WORKING_DIRECTORY ${TO}
                    RESULT_VARIABLE result)
    if(NOT result EQUAL 0)
        message(FATAL_ERROR "npm could not install the packages of ${FROM}")
    endif()
    file(WRITE ${stamp} "${wanted}")
    return()
endif()

find_program(RPC_NPM npm)
find_program(RPC_NODE node)

# rpc_leave_out(<what>): says that tests are left out, or stops where none may be.
function(rpc_leave_out what)
    if(RPC_ALL_TESTS)
        message(FATAL_ERROR "${what} cannot run")
    endif()
    message(STATUS "${what} are left out")
endfunction()
set(RPC_NPM_SCRIPT ${CMAKE_CURRENT_LIST_FILE})

function(rpc_npm_packages folder fixture)
    if(NOT RPC_NPM)
        rpc_leave_out("There is no npm: tests that need the packages of ${folder}")
        set(${fixture}_FOLDER "" PARENT_SCOPE)
        return()
    endif()
    set(to ${CMAKE_BINARY_DIR}/npm/${fixture})
    add_test(NAME ${fixture} COMMAND ${CMAKE_COMMAND} -DFROM=${folder} -DTO=${to} -DNPM=${RPC_NPM}
                                     -P ${RPC_NPM_SCRIPT})
    set_tests_properties(${fixture} PROPERTIES FIXTURES_SETUP ${fixture} LABELS packages TIMEOUT 600)
    set(${fixture}_FOLDER ${to} PARENT_SCOPE)
endfunction()
