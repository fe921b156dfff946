// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What holds between two steps of the module device: see sound_devices.h. */
#include "sound_devices.h"

#include "device/module.h"

#include <check.h>
#include <string.h>
#include <utlist.h>

static size_t sound_text(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static size_t sound_list(const struct command *first, enum command_place place, size_t *bytes)
{
    size_t count = 0;
    const struct command *command;
    DL_FOREACH(first, command)
    {
        count++;
        ck_assert_int_eq(command->place, place);
        if (place == PLACE_ENDED) {
            ck_assert_ptr_null(command->live);
            continue;
        }
        ck_assert_int_lt(command->state, COMMAND_SUCCEEDED);
        ck_assert(command->live->ticket || command->live->timer.id);
        const struct live *own = command->live;
        *bytes += own->body_size + own->correlation_size + sound_text(own->caller.id) +
                  sound_text(own->caller.user) + sound_text(own->caller.address);
    }
    return count;
}

void sound_devices(const struct device_module *module)
{
    const struct commands *commands = &module->commands;
    size_t live = 0, history = 0, bytes = 0;
    for (const struct device *device = module->table.all; device; device = device->hh.next) {
        ck_assert_uint_eq(sound_list(device->waiting, PLACE_WAITING, &bytes), device->waiting_count);
        ck_assert_uint_eq(sound_list(device->flying, PLACE_FLYING, &bytes), device->flying_count);
        ck_assert_uint_eq(sound_list(device->ended, PLACE_ENDED, &bytes), device->ended_count);
        ck_assert_uint_le(device->ended_count, LIFE_HISTORY);
        live += device->waiting_count + device->flying_count;
        history += device->ended_count;
    }
    ck_assert_uint_eq(live, commands->live);
    ck_assert_uint_eq(history, commands->history);
    ck_assert_uint_eq(bytes, commands->bytes);
}
