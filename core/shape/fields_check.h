// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Checks field tables once, when a module is added, and prepares them for decoding. A table that is wrong is
 * found when the broker starts, so that those who read it later need not look for what cannot be.
 *
 * Threads: any. These functions touch nothing but their arguments.
 *
 * Ownership: what fields_init() makes belongs to `fields`; the shape has static storage.
 *
 * Failure: a wrong table is explained in one line.
 */
#ifndef CORE_SHAPE_FIELDS_CHECK_H
#define CORE_SHAPE_FIELDS_CHECK_H

#include "shape/fields.h"

/*
 * Checks a shape and parses its defaults; shape may be NULL. Returns RPC_OK; RPC_INVALID_PARAMS: the
 * table is wrong, why says how; RPC_INTERNAL_ERROR: no memory. Unless RPC_OK, fields is all zero.
 */
rpc_status fields_init(struct fields *fields, const rpc_shape *shape, char why[FIELDS_WHY]);

/* Frees what fields_init() made; accepts all zero, and leaves that. */
void fields_fini(struct fields *fields);

#endif
