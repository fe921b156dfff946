// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The documents that only the manual needs, written from the catalogue from which rpc.discover answers.
 *
 * Threads: one; both functions belong to a program that prints and ends.
 *
 * Ownership: both borrow the catalogue and the writer.
 *
 * Failure: none; a document that does not fit fills its writer, which says so.
 */
#ifndef DOCS_REFERENCE_H
#define DOCS_REFERENCE_H

#include "describe/catalogue.h"

/* Prints the reference as Markdown. */
void markdown_print(const struct catalogue *catalogue);

/* Writes an AsyncAPI 3.0.0 document. */
void asyncapi_write(const struct catalogue *catalogue, struct writer *writer);

#endif
