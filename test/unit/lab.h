// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A module for tests of the engine. Its methods return what they receive, or do what the test says.
 *
 *   act         runs the function that the test gives; declares the errors "plain" and "trouble" (with data),
 *               and the event actFailed for them
 *   act.common  likewise, without an event of its own and without errors
 *   act.told    likewise; its result is always announced, as acted
 *   act.alone   likewise, announced if its caller asks for no reply
 *   count       counts its runs: {"n":1}, always announced as counted
 *   look        counts its runs, too, but is declared read-only
 *   get         returns the count; announced as got if its caller asks for no reply
 *   nothing     has neither parameters nor result
 *   id          returns its optional parameter request_id
 *   subtract    minuend and subtrahend, in this order; the difference and nothing around it
 *   value       a number of 0 to 9 and nothing around it
 *   bytes       the size of its payload, which is any bytes: {"n":3}
 */
#ifndef LAB_H
#define LAB_H

#include "rig.h"

/* The result of act, and the data of the events noted and kept. */
struct lab_text {
    const char *text; /* 0 to 100000 characters; NULL: left out */
};

/* The data of the error trouble. */
struct lab_trouble {
    const char *what; /* 0 to 8 characters */
    int32_t size;
};

/* The module's options, without a table of them. */
struct lab_options {
    rpc_handler act;
};

extern const rpc_module lab;

/* A handler for act: takes 3 ms, and raises plain with the message "because". */
rpc_status lab_fail_slowly(rpc_call *call, void *state, const void *params, void *result);

/* Calls rig_start() and adds the module, whose method act runs this handler. */
void lab_start(struct rig *rig, struct lab_options *options, rpc_handler act);

#endif
