// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Finding out about the broker: see broker.h. A symbol that only 2.1 has tells 2.1. Between 2.0.11 and 2.0.12
 * no symbol differs, nor a function that every build exports; only the version text in the program does.
 */
#include "compat/broker.h"

#include "compat/mosquitto_headers.h"

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>

/* Strings of a program stand between NULs. The program's own memory, whole segments of it, is no array that
   a sanitizer knows. */
__attribute__((no_sanitize("address"))) static bool broker_holds_version(const char *memory, size_t size)
{
    static const char version[] = "\0002.0.11";
    for (size_t at = 0; at + sizeof version <= size; at++) {
        size_t same = 0;
        while (same < sizeof version && memory[at + same] == version[same])
            same++;
        if (same == sizeof version)
            return true;
    }
    return false;
}

/* Called for the main program, which comes first; its result ends the iteration. */
static int broker_look_at_program(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    bool *found = context;
    for (ElfW(Half) i = 0; i < info->dlpi_phnum && !*found; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        const char *memory = (const char *)(info->dlpi_addr + segment->p_vaddr);
        const bool is_constant =
            segment->p_type == PT_LOAD && (segment->p_flags & PF_R) && !(segment->p_flags & PF_W);
        *found = is_constant && broker_holds_version(memory, segment->p_memsz);
    }
    return 1;
}

struct broker broker_detect(void)
{
    bool is_2_0_11 = false;
    struct broker broker;
    broker.is_2_1 = dlsym(RTLD_DEFAULT, "mosquitto_plugin_set_info") != NULL;
    if (!broker.is_2_1)
        dl_iterate_phdr(broker_look_at_program, &is_2_0_11);
    broker.cuts_mount_point = !is_2_0_11;
    broker.free_read = broker.is_2_1 ? mosquitto_free : free;
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
