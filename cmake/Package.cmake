# Debian packages, which scripts/package makes with CPack in a build with -DRPC_DEBIAN=ON: mosquitto-rpc out of the components
# plugin, tool and doc, mosquitto-rpc-dev out of dev, and mosquitto-rpc-worker out of worker. This file adds what only
# packages have: configurations without effect in /etc, a unit of systemd, copyright and changelogs.
option(RPC_DEBIAN "install what Debian packages have, for cpack -G DEB" OFF)
set(RPC_DEBIAN_REVISION 1 CACHE STRING "revision of the Debian packages")
if(NOT RPC_DEBIAN)
    return()
endif()
if(NOT RPC_CONSOLE)
    message(FATAL_ERROR "The package mosquitto-rpc has the console: -DRPC_DEBIAN=ON takes -DRPC_CONSOLE=ON")
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VENDOR "the authors of mosquitto-rpc")
set(CPACK_PACKAGE_CONTACT "the authors of mosquitto-rpc <maintainers@mosquitto-rpc.example>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE ${RPC_DEBIAN_REVISION})
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)

set(CPACK_DEBIAN_MAIN_PACKAGE_NAME mosquitto-rpc)
set(CPACK_DEBIAN_MAIN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_MAIN_PACKAGE_DEPENDS "mosquitto (>= 2.0.11)")
set(CPACK_DEBIAN_MAIN_PACKAGE_SUGGESTS "mosquitto-clients, mosquitto-rpc-dev")
set(CPACK_DEBIAN_MAIN_DESCRIPTION
    "answers remote procedure calls inside the Mosquitto MQTT broker
A plugin for Mosquitto that answers calls inside the broker: a client
publishes to rpc/call/{method}, a function in the plugin runs, and the
caller alone gets the result. The package also has the command-line tool
mosquitto_rpc, the console, which is a page for browsers that the broker
serves, and the manual.

The plugin does nothing until /etc/mosquitto/conf.d/mosquitto-rpc.conf
loads it.")
set(CPACK_DEBIAN_MAIN_PACKAGE_CONTROL_EXTRA
    "${PROJECT_SOURCE_DIR}/packaging/postinst;${PROJECT_SOURCE_DIR}/packaging/postrm;${PROJECT_BINARY_DIR}/packaging/conffiles")

set(CPACK_DEBIAN_DEV_PACKAGE_NAME mosquitto-rpc-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS
    "mosquitto-rpc (= ${PROJECT_VERSION}-${RPC_DEBIAN_REVISION}), libcjson-dev, libmosquitto-dev, libsqlite3-dev, mosquitto-dev")
set(CPACK_DEBIAN_DEV_PACKAGE_SUGGESTS "cmake, pkg-config")
set(CPACK_DEBIAN_DEV_DESCRIPTION
    "libraries for modules of remote procedure calls inside Mosquitto
Headers, static libraries, a CMake package and files for pkg-config, with
which plugins for the MQTT broker Mosquitto are made out of handler modules
in C, a kit that tests such modules without a broker, and a client library.")

set(CPACK_DEBIAN_WORKER_PACKAGE_NAME mosquitto-rpc-worker)
set(CPACK_DEBIAN_WORKER_PACKAGE_SECTION net)
set(CPACK_DEBIAN_WORKER_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_WORKER_PACKAGE_SUGGESTS "mosquitto, mosquitto-rpc")
set(CPACK_DEBIAN_WORKER_DESCRIPTION
    "answers remote procedure calls as a client of an MQTT broker
A process that carries out calls for the plugin mosquitto-rpc of a Mosquitto
broker, on the same machine or on another one, so that more machines serve
one service. It also serves calls by itself, on MQTT 5 brokers and clusters
that do not have the plugin.

No worker is started until it has a configuration in /etc/mosquitto-rpc and
its unit mosquitto-rpc-worker@NAME is enabled.")
set(CPACK_DEBIAN_WORKER_PACKAGE_CONTROL_EXTRA "")
foreach(script postinst prerm postrm)
    list(APPEND CPACK_DEBIAN_WORKER_PACKAGE_CONTROL_EXTRA ${PROJECT_SOURCE_DIR}/packaging/worker/${script})
endforeach()
list(APPEND CPACK_DEBIAN_WORKER_PACKAGE_CONTROL_EXTRA ${PROJECT_BINARY_DIR}/packaging/worker/conffiles)

# The files that a user may change.
file(WRITE ${PROJECT_BINARY_DIR}/packaging/conffiles "/etc/mosquitto/conf.d/mosquitto-rpc.conf\n")
file(WRITE ${PROJECT_BINARY_DIR}/packaging/worker/conffiles "/etc/mosquitto-rpc/worker-example.conf\n")
install(FILES packaging/mosquitto-rpc.conf DESTINATION /etc/mosquitto/conf.d COMPONENT plugin)
install(FILES packaging/mosquitto-rpc.lintian-overrides DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides
        RENAME mosquitto-rpc COMPONENT plugin)
install(FILES packaging/worker/worker-example.conf DESTINATION /etc/mosquitto-rpc COMPONENT worker)
install(FILES packaging/worker/mosquitto-rpc-worker@.service DESTINATION lib/systemd/system COMPONENT worker)
# The rest of the manual is in the package mosquitto-rpc, which needs a broker.
install(FILES docs/workers.md docs/clusters.md DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/mosquitto-rpc-worker COMPONENT worker)
foreach(pair tool:mosquitto_rpc worker:mosquitto_rpc_worker)
    string(REPLACE ":" ";" pair ${pair})
    list(GET pair 0 component)
    list(GET pair 1 program)
    install(CODE "execute_process(COMMAND gzip -9 --no-name --force
        \$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/share/man/man1/${program}.1)" COMPONENT ${component})
endforeach()

# copyright: the texts of the licences, as a field of a control file has them.
function(rpc_debian_licence file out)
    file(READ ${file} text)
    string(STRIP "${text}" text)
    string(REGEX REPLACE "\n([ \t]*)\n" "\n.\n" text "${text}")
    string(REGEX REPLACE "\n[ \t]*" "\n " text "${text}")
    set(${out} " ${text}" PARENT_SCOPE)
endfunction()
rpc_debian_licence(${PROJECT_SOURCE_DIR}/LICENSES/EPL-2.0.txt epl)
rpc_debian_licence(${PROJECT_SOURCE_DIR}/LICENSES/BSD-3-Clause.txt bsd)
# In the package mosquitto-rpc also the libraries that are in the console.
file(READ packaging/copyright.console console)
set(own
"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: mosquitto-rpc

Files: *
Copyright: 2026 the authors of mosquitto-rpc
License: EPL-2.0 or BSD-3-clause

License: EPL-2.0
${epl}

License: BSD-3-clause
${bsd}
")
foreach(package mosquitto-rpc-dev mosquitto-rpc-worker)
    file(WRITE ${PROJECT_BINARY_DIR}/packaging/${package}/copyright "${own}")
endforeach()
file(WRITE ${PROJECT_BINARY_DIR}/packaging/mosquitto-rpc/copyright "${own}\n${console}")

# The changelogs: CHANGELOG.md, and the one in Debian's own form, which has the version and its date from it.
file(READ CHANGELOG.md changelog)
string(REGEX MATCH "\n## \\[([0-9.]+)\\] - ([0-9-]+)\n" found "${changelog}")
set(version ${CMAKE_MATCH_1})
if(NOT version STREQUAL PROJECT_VERSION)
    message(FATAL_ERROR "This is version ${PROJECT_VERSION}, and the newest one in CHANGELOG.md is ${version}")
endif()
execute_process(COMMAND date --utc --rfc-email --date ${CMAKE_MATCH_2} OUTPUT_VARIABLE date
                OUTPUT_STRIP_TRAILING_WHITESPACE)
file(WRITE ${PROJECT_BINARY_DIR}/packaging/changelog.Debian
"mosquitto-rpc (${version}-${RPC_DEBIAN_REVISION}) unstable; urgency=medium

  * Version ${version}: see changelog.gz.

 -- ${CPACK_PACKAGE_CONTACT}  ${date}
")
configure_file(CHANGELOG.md packaging/changelog COPYONLY)
foreach(name changelog changelog.Debian)
    execute_process(COMMAND gzip -9 --no-name --force ${name} WORKING_DIRECTORY ${PROJECT_BINARY_DIR}/packaging)
endforeach()
foreach(pair doc:mosquitto-rpc dev:mosquitto-rpc-dev worker:mosquitto-rpc-worker)
    string(REPLACE ":" ";" pair ${pair})
    list(GET pair 0 component)
    list(GET pair 1 package)
    install(FILES ${PROJECT_BINARY_DIR}/packaging/${package}/copyright ${PROJECT_BINARY_DIR}/packaging/changelog.gz
                  ${PROJECT_BINARY_DIR}/packaging/changelog.Debian.gz
            DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package} COMPONENT ${component})
endforeach()

include(CPack)
cpack_add_component_group(main)
cpack_add_component_group(dev)
cpack_add_component_group(worker)
foreach(component plugin tool doc)
    cpack_add_component(${component} GROUP main)
endforeach()
cpack_add_component(dev GROUP dev)
cpack_add_component(worker GROUP worker)
