// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Finding out about the broker: see broker.h. A symbol that only 2.1 has tells 2.1. Between 2.0.11 and 2.0.12
 * no symbol differs, nor a function that every build exports; only the version text in the program does.
 */
#include "compat/broker.h"

#include "compat/mosquitto_headers.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the constants of the program say of its version. */
struct broker_scan {
    char version[BROKER_VERSION]; /* "": nothing */
    bool is_2_0_11;
    bool is_unclear; /* they have several versions */
};

/* The length of a text like 2.0.11 with a NUL behind it; 0: it is none. */
__attribute__((no_sanitize("address"))) static size_t broker_version_length(const char *text, size_t size)
{
    size_t length = 0, dots = 0;
    for (; length < size && length < BROKER_VERSION && text[length]; length++) {
        const bool is_dot = text[length] == '.';
        if (!is_dot && (text[length] < '0' || text[length] > '9'))
            return 0;
        dots += is_dot;
    }
    return dots == 2 && length < size && length < BROKER_VERSION ? length : 0;
}

/* Strings of a program stand between NULs. The program's own memory, whole segments of it, is no array that
   a sanitizer knows. */
__attribute__((no_sanitize("address"))) static void broker_scan_memory(struct broker_scan *scan,
                                                                       const char *memory, size_t size)
{
    for (size_t at = 1; at + 2 < size; at++) {
        if (memory[at - 1] || memory[at] != '2' || memory[at + 1] != '.')
            continue;
        char version[BROKER_VERSION] = "";
        const size_t length = broker_version_length(memory + at, size - at);
        for (size_t i = 0; i < length; i++)
            version[i] = memory[at + i];
        if (!length)
            continue;
        scan->is_2_0_11 = scan->is_2_0_11 || strcmp(version, "2.0.11") == 0;
        scan->is_unclear = scan->is_unclear || (*scan->version && strcmp(version, scan->version) != 0);
        strcpy(scan->version, version);
    }
}

/* Called for the main program, which comes first; its result ends the iteration. */
static int broker_look_at_program(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    for (ElfW(Half) i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        const char *memory = (const char *)(info->dlpi_addr + segment->p_vaddr);
        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_R) && !(segment->p_flags & PF_W))
            broker_scan_memory(context, memory, segment->p_memsz);
    }
    return 1;
}

struct broker broker_detect(void)
{
    struct broker_scan scan = {.version = ""};
    struct broker broker;
    dl_iterate_phdr(broker_look_at_program, &scan);
    broker.is_2_1 = dlsym(RTLD_DEFAULT, "mosquitto_plugin_set_info") != NULL;
    broker.cuts_mount_point = broker.is_2_1 || !scan.is_2_0_11;
    broker.free_read = broker.is_2_1 ? mosquitto_free : free;
    const bool is_shown = *scan.version && !scan.is_unclear;
    snprintf(broker.name, sizeof broker.name, "mosquitto %s",
             is_shown        ? scan.version
             : broker.is_2_1 ? "2.1 or later"
                             : "2.0");
    return broker;
}

/*
 * 2.1 exits when a plugin answers anything but success. 2.0 takes success for "all is done", and neither
 * tells the plugins behind this one nor loads the password and ACL files again.
 */
int broker_reload_result(const struct broker *broker)
{
    return broker->is_2_1 ? MOSQ_ERR_SUCCESS : MOSQ_ERR_PLUGIN_DEFER;
}
