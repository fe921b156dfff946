// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The modules that are linked into a plugin or a program. The build writes the array, from the names of the
 * modules' files: see cmake/RpcPlugin.cmake.
 *
 * Threads: any; the array is constant.
 *
 * Ownership: static.
 *
 * Failure: none.
 */
#ifndef CORE_MODULES_H
#define CORE_MODULES_H

#include <mosquitto_rpc.h>

/* The built-in modules first, then the others in alphabetical order, ending with NULL. */
extern const rpc_module *const rpc_modules[];

#endif
