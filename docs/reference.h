// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The documents that only the manual needs. They describe the same catalogue as rpc.discover. */
#ifndef DOCS_REFERENCE_H
#define DOCS_REFERENCE_H

#include "describe/catalogue.h"

/* Prints the reference as Markdown. */
void markdown_print(const struct catalogue *catalogue);

/* Prints a table of options, with the prefix of rpc_host and the owner before their names; owner "": none. */
void markdown_print_options(const char *owner, const rpc_shape *shape);

/* Writes an AsyncAPI 3.0.0 document. */
void asyncapi_write(const struct catalogue *catalogue, struct writer *writer);

#endif
