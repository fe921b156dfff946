// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The module device on a fake host, with an application that calls and devices that answer. The lamp is
 * there, too, so that some commands are declared. Time passes when a test says so.
 *
 * Threads: the test's thread only.
 *
 * Ownership: the plant is one static object; texts that functions return are valid until the next message.
 *
 * Failure: every function fails the test if something is wrong.
 */
#ifndef PLANT_H
#define PLANT_H

#include "rig.h"

enum { PLANT_OPTIONS = 7, PLANT_PROPERTIES = 4, PLANT_ID = 160 };

extern struct rig plant;

/* Sets an option of the next plant_open(); plant_close() forgets all. */
void plant_set(const char *name, const char *value);

void plant_open(void);
void plant_close(void);

/* plant_close() and plant_open() with an option. */
void plant_open_with(const char *name, const char *value);

/* Forgets all messages. */
void plant_forget(void);

/* Starts another engine on the files as they are when nothing is being written, as after kill -9: what the
 * first one writes when it ends is undone. */
void plant_reopen(void);

/* Stops the engine as the broker does, and starts another one on its files. */
void plant_restart(void);

/* User properties of the next message of the application. */
void plant_property(const char *name, const char *value);

/* The connection of a device, by the hash of its name. */
const void *plant_connection(const char *device);

/* A device publishes, over a connection of its own. */
enum engine_verdict plant_say(const char *device, const char *what, const char *payload);
void plant_hello(const char *device, const char *payload);

/* Its connection ends; likewise, and device_grace passes. */
void plant_drop(const char *device);
void plant_leave(const char *device);

/* The application calls {prefix}/call/{method}, with this Correlation Data. */
enum engine_verdict plant_call(const char *method, const char *payload, const char *correlation);
/* Likewise to any topic; response may be NULL. */
enum engine_verdict plant_publish(const char *topic, const char *payload, const char *response,
                                  const char *correlation);
/* Likewise, without waiting for what is written to the database. */
enum engine_verdict plant_begin(const char *topic, const char *payload, const char *response,
                                const char *correlation);
/* The connection of the application ends. */
void plant_hang_up(void);

/* The number of commands that were published, and the last one. */
size_t plant_requests(void);
const struct fake_message *plant_request(void);

/* The id of the last command. */
const char *plant_id(void);

/* The device answers the last command: `{"id":"…",` and this rest. */
void plant_answer(const char *device, const char *rest);

/* Waits until what is being written to the database is written. */
void plant_settle(void);

/* Time passes. */
void plant_pass(unsigned milliseconds);

/* The states of all events since the last time, with spaces between them: "queued sent succeeded". */
void plant_expect_states(const char *states);

/* There is one reply since the last time: its status, and a text that it contains. */
void plant_expect_reply(const char *status, const char *text);
void plant_expect_no_reply(void);

/* The newest event contains this text. */
void plant_expect_event(const char *text);

/* The path of a database in a new folder, which plant_close() removes. */
const char *plant_database(void);

#endif
