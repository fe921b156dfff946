# What `cmake --install` installs, in components:
#
#     plugin    mosquitto_rpc.so, and the console, console.html, if it was built
#     worker    the program mosquitto_rpc_worker, with its man page
#     dev       what plugins, workers and programs outside this tree are made of: headers, static libraries, the CMake package
#               mosquitto_rpc, files for pkg-config
#     tool      programs for people, with their man pages
#     doc       the manual, examples, clients that are no libraries in C, and configurations to begin with
#
# The libraries are those that the build itself uses. Nothing in the installed files names the prefix, so that it may
# be moved.
include(CMakePackageConfigHelpers)

# Debian's brokers find a plugin by its name alone in lib/{architecture} of the prefix /usr. GNUInstallDirs chooses
# that folder only if the prefix is /usr when the build is configured; here it may be named when it is installed.
if(CMAKE_LIBRARY_ARCHITECTURE AND NOT DEFINED CMAKE_INSTALL_LIBDIR)
    set(CMAKE_INSTALL_LIBDIR lib/${CMAKE_LIBRARY_ARCHITECTURE})
endif()
include(GNUInstallDirs)
set(RPC_INSTALL_CMAKE ${CMAKE_INSTALL_LIBDIR}/cmake/mosquitto_rpc)

# rpc_export(<target> <name>): the target is mosquitto_rpc::<name> in this tree and where the dev component is
# installed: a static library libmosquitto_rpc_<name>.a, or an interface library.
function(rpc_export target name)
    add_library(mosquitto_rpc::${name} ALIAS ${target})
    set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
    get_target_property(type ${target} TYPE)
    if(type STREQUAL "STATIC_LIBRARY")
        set_target_properties(${target} PROPERTIES OUTPUT_NAME mosquitto_rpc_${name})
    endif()
    if(RPC_INSTALLS_DEV)
        if(type STREQUAL "STATIC_LIBRARY")
            set_property(GLOBAL APPEND PROPERTY RPC_ARCHIVES ${name})
        endif()
        install(TARGETS ${target} EXPORT mosquitto_rpc ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev)
    endif()
endfunction()

# Archives of clang's link-time optimisation have no code, but what one version of clang reads.
set(RPC_INSTALLS_DEV ON)
if(CMAKE_INTERPROCEDURAL_OPTIMIZATION AND NOT CMAKE_C_COMPILER_ID STREQUAL "GNU")
    set(RPC_INSTALLS_DEV OFF)
    message(STATUS "The component dev is not installed: for that, build with gcc, or with -DRPC_LTO=OFF")
endif()

# rpc_install_pc(<name> <description> LIBS <library>... [REQUIRES <package>...] [FLAGS <flag>...]): a file for
# pkg-config. It finds the prefix from its own place.
function(rpc_install_pc name description)
    cmake_parse_arguments(PARSE_ARGV 2 PC "" "" "LIBS;REQUIRES;FLAGS")
    file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
    string(REGEX REPLACE "/$" "" PC_UP "${up}")
    list(TRANSFORM PC_LIBS PREPEND -lmosquitto_rpc_)
    string(JOIN " " PC_LIBS ${PC_FLAGS} -L\${libdir} ${PC_LIBS})
    string(JOIN " " PC_REQUIRES ${PC_REQUIRES})
    set(PC_NAME ${name})
    set(PC_DESCRIPTION ${description})
    configure_file(${PROJECT_SOURCE_DIR}/cmake/mosquitto_rpc.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)
endfunction()

# rpc_clean_archives(): see CleanArchives.cmake; to be called when all libraries have been exported.
function(rpc_clean_archives)
    get_property(names GLOBAL PROPERTY RPC_ARCHIVES)
    list(TRANSFORM names REPLACE "(.+)" "libmosquitto_rpc_\\1.a")
    install(CODE "set(FOLDER \${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR})
set(ARCHIVES ${names})
set(NM ${CMAKE_NM})
set(OBJCOPY ${CMAKE_OBJCOPY})
include(${PROJECT_SOURCE_DIR}/cmake/CleanArchives.cmake)" COMPONENT dev)
endfunction()

# rpc_install_dev(): what the component dev has beside the libraries.
function(rpc_install_dev)
    rpc_clean_archives()
    install(FILES ${PROJECT_SOURCE_DIR}/include/mosquitto_rpc.h ${PROJECT_SOURCE_DIR}/include/mosquitto_rpc_testing.h
                  ${PROJECT_SOURCE_DIR}/clients/c/mosquitto_rpc_client.h
                  ${PROJECT_SOURCE_DIR}/clients/c/mosquitto_rpc_typed.h
            DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)
    install(EXPORT mosquitto_rpc NAMESPACE mosquitto_rpc:: FILE mosquitto_rpcTargets.cmake
            DESTINATION ${RPC_INSTALL_CMAKE} COMPONENT dev)
    string(JOIN " " RPC_SHIPPED_WORDS ${MOSQUITTO_RPC_SHIPPED_MODULES})
    configure_package_config_file(cmake/mosquitto_rpcConfig.cmake.in mosquitto_rpcConfig.cmake
                                  INSTALL_DESTINATION ${RPC_INSTALL_CMAKE} NO_SET_AND_CHECK_MACRO
                                  NO_CHECK_REQUIRED_COMPONENTS_MACRO)
    write_basic_package_version_file(mosquitto_rpcConfigVersion.cmake COMPATIBILITY SameMinorVersion)
    install(FILES ${PROJECT_BINARY_DIR}/mosquitto_rpcConfig.cmake
                  ${PROJECT_BINARY_DIR}/mosquitto_rpcConfigVersion.cmake ${PROJECT_SOURCE_DIR}/cmake/RpcPlugin.cmake
            DESTINATION ${RPC_INSTALL_CMAKE} COMPONENT dev)
    set(undefined "-Wl,--undefined=mosquitto_plugin_version")
    rpc_install_pc(mosquitto_rpc "plugins of handler modules for Mosquitto" LIBS plugin core
                   REQUIRES libmosquitto libcjson FLAGS ${undefined} -Wl,-Bsymbolic -Wl,-z,now)
    rpc_install_pc(mosquitto_rpc_worker "workers of handler modules, which are clients of MQTT brokers" LIBS worker core
                   REQUIRES libmosquitto libcjson FLAGS -Wl,-z,now)
    rpc_install_pc(mosquitto_rpc_modules "the modules that mosquitto-rpc brings with it" LIBS modules store
                   REQUIRES mosquitto_rpc sqlite3)
    rpc_install_pc(mosquitto_rpc_testing "tests of handler modules without a broker" LIBS testing core
                   REQUIRES libcjson)
    rpc_install_pc(mosquitto_rpc_client "programs that call the methods of mosquitto-rpc" LIBS client
                   REQUIRES libmosquitto libcjson)
endfunction()

# rpc_install_doc(): the manual with the files to which its pages link, at the places that they have in this tree.
function(rpc_install_doc)
    foreach(file README.md LICENSE CONTRIBUTING.md SECURITY.md mosquitto.conf.example acl.example)
        install(FILES ${PROJECT_SOURCE_DIR}/${file} DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT doc)
    endforeach()
    file(GLOB pages ${PROJECT_SOURCE_DIR}/docs/*.md ${PROJECT_SOURCE_DIR}/docs/*.json)
    install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs COMPONENT doc)
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs/pictures DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs COMPONENT doc
            FILES_MATCHING PATTERN "*.svg" PATTERN "*.png")
    foreach(folder clients examples include)
        install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder} DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT doc
                PATTERN __pycache__ EXCLUDE PATTERN .gitignore EXCLUDE PATTERN node_modules EXCLUDE
                PATTERN "*.egg-info" EXCLUDE PATTERN "*.tgz" EXCLUDE)
    endforeach()
endfunction()

# rpc_install_rest(): what is installed beside the targets of rpc_export(); to be called at the end.
function(rpc_install_rest)
    install(TARGETS mosquitto_rpc LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT plugin)
    install(TARGETS mosquitto_rpc_worker RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT worker)
    # The manual page is kept in docs/, where the target `reference` writes it.
    install(FILES ${PROJECT_SOURCE_DIR}/docs/mosquitto_rpc_worker.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1
            COMPONENT worker)
    if(RPC_INSTALLS_DEV)
        rpc_install_dev()
    endif()
    rpc_install_doc()
endfunction()
