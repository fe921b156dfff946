// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Groups of devices: see group.h. */
#include "group.h"

#include "names.h"

#include <cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* ---- Shapes ---- */

enum { MEMBERS_MAX = 10000 };

#define GROUP_NAME(type) \
    RPC_STRING(type, group, .doc = "the name of the group, one topic level", .length = {1, NAME_MAX_BYTES})

struct membership {
    const char *group;
    const char **devices;
    size_t count;
    bool configured;
};

static const rpc_field group_fields[] = {
    GROUP_NAME(struct membership),
    RPC_STRING_ARRAY(struct membership, devices, count, .doc = "the names of its members",
                     .length = {1, NAME_MAX_BYTES}, .items = {1, MEMBERS_MAX}),
};

const rpc_shape group_shape = RPC_OBJECT_SHAPE(struct membership, group_fields);

static const rpc_field entry_fields[] = {
    GROUP_NAME(struct membership),
    RPC_STRING_ARRAY(struct membership, devices, count, .doc = "the names of its members",
                     .length = {1, NAME_MAX_BYTES}, .items = {1, MEMBERS_MAX}),
    RPC_BOOL(struct membership, configured, .doc = "whether it is one of the option device_groups"),
};

static const rpc_shape entry_shape = RPC_OBJECT_SHAPE(struct membership, entry_fields);

struct group_list {
    const struct membership *groups;
    size_t count;
};

static const rpc_field list_fields[] = {
    RPC_OBJECT_ARRAY(struct group_list, groups, count, struct membership, .doc = "all groups",
                     .items = {0, GROUPS_MAX}, .shape = &entry_shape),
};

const rpc_shape group_list_shape = RPC_OBJECT_SHAPE(struct group_list, list_fields);

struct group_which {
    const char *group;
};

static const rpc_field which_fields[] = {GROUP_NAME(struct group_which)};

const rpc_shape group_which_shape = RPC_OBJECT_SHAPE(struct group_which, which_fields);

struct group_deleted {
    const char *group;
    bool deleted;
};

static const rpc_field deleted_fields[] = {
    GROUP_NAME(struct group_deleted),
    RPC_BOOL(struct group_deleted, deleted, .doc = "whether there was such a group"),
};

const rpc_shape group_deleted_shape = RPC_OBJECT_SHAPE(struct group_deleted, deleted_fields);

struct group_failed {
    enum store_cause cause;
};

static const rpc_field failed_fields[] = {
    RPC_CHOICE(struct group_failed, cause, .doc = "why the database could not be used",
               .choices = RPC_TABLE(store_cause_names)),
};

const rpc_shape group_failed_shape = RPC_OBJECT_SHAPE(struct group_failed, failed_fields);

/* ---- The table ---- */

static bool group_is_name(const char *text)
{
    return name_is_device(text) && strcmp(text, "*") != 0;
}

const struct group *groups_find(const struct groups *groups, const char *name)
{
    struct group *group;
    HASH_FIND_STR(groups->by_name, name, group);
    return group;
}

bool groups_exist(const struct groups *groups, const char *name)
{
    return strcmp(name, "*") == 0 || groups_find(groups, name);
}

bool groups_have(const struct groups *groups, const char *name, const char *device)
{
    if (strcmp(name, "*") == 0)
        return true;
    const struct group *group = groups_find(groups, name);
    for (size_t i = 0; group && i < group->count; i++) {
        if (strcmp(group->members[i], device) == 0)
            return true;
    }
    return false;
}

static void group_remove(struct groups *groups, struct group *group)
{
    groups->members -= group->count;
    HASH_DEL(groups->by_name, group);
    free(group->members);
    free(group);
}

static bool group_is_listed(const char *const *members, size_t count, const char *name)
{
    while (count) {
        if (strcmp(members[--count], name) == 0)
            return true;
    }
    return false;
}

/* Copies names, each once, into one piece of memory behind their pointers. NULL: no memory. */
static const char **group_copy_members(const char *const *names, size_t count, size_t *copied)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += strlen(names[i]) + 1;
    const char **members = malloc(count * sizeof *members + bytes);
    char *text = members ? (char *)(members + count) : NULL;
    *copied = 0;
    for (size_t i = 0; members && i < count; i++) {
        if (group_is_listed(members, *copied, names[i]))
            continue;
        members[(*copied)++] = strcpy(text, names[i]);
        text += strlen(names[i]) + 1;
    }
    return members;
}

/* Makes a group, or replaces the one of this name. Its members become known devices. Returns false: no
 * memory, and all is as before. */
static bool group_put(struct groups *groups, const char *name, const char *const *names, size_t count,
                      bool configured)
{
    struct group *group = calloc(1, sizeof *group + strlen(name) + 1), *former;
    if (!group)
        return false;
    strcpy(group->name, name);
    group->configured = configured;
    group->members = group_copy_members(names, count, &group->count);
    HASH_FIND_STR(groups->by_name, name, former);
    if (group->members)
        HASH_ADD_STR(groups->by_name, name, group);
    if (!group->hh.tbl) {
        free(group->members);
        free(group);
        return false;
    }
    if (former)
        group_remove(groups, former);
    groups->members += group->count;
    for (size_t i = 0; i < group->count; i++)
        presence_meet(groups->presence, group->members[i]);
    return true;
}

/* ---- Groups of the configuration and of a former run ---- */

/* Cuts a word at its commas. Returns the number of names; 0: one of them is no device's. */
static size_t group_cut(char *list, const char **names, size_t max)
{
    size_t count = 0;
    char *rest = NULL;
    for (char *name = strtok_r(list, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        if (count == max || !name_is_device(name))
            return 0;
        names[count++] = name;
    }
    return count;
}

static bool group_configure_word(struct groups *groups, char *word)
{
    char *members = strchr(word, '=');
    const char **names = members ? malloc(strlen(members) * sizeof *names) : NULL;
    if (!names)
        return false;
    *members++ = '\0';
    const struct group *former = groups_find(groups, word);
    const bool is_new = group_is_name(word) && !(former && former->configured);
    const size_t count = is_new ? group_cut(members, names, strlen(members)) : 0;
    const bool is_put =
        count && HASH_COUNT(groups->by_name) < GROUPS_MAX && group_put(groups, word, names, count, true);
    free(names);
    return is_put;
}

bool groups_configure(struct groups *groups)
{
    char *words = groups->options->groups ? strdup(groups->options->groups) : NULL, *rest = NULL;
    bool is_fine = !groups->options->groups || words;
    for (char *word = words ? strtok_r(words, " ", &rest) : NULL; word && is_fine;
         word = strtok_r(NULL, " ", &rest)) {
        is_fine = group_configure_word(groups, word);
        if (!is_fine)
            rpc_log(groups->instance, RPC_LOG_ERROR,
                    "device_groups: '%.100s': it takes name=device,device words, separated by spaces, each "
                    "with another name",
                    word);
    }
    free(words);
    return is_fine;
}

/* A group of the configuration hides one of the database. */
void groups_load(struct groups *groups, const char *name, const char *devices)
{
    cJSON *list = cJSON_Parse(devices);
    const size_t count = cJSON_IsArray(list) ? (size_t)cJSON_GetArraySize(list) : 0;
    const char **names = count ? malloc(count * sizeof *names) : NULL;
    const cJSON *item;
    size_t used = 0;
    if (names && group_is_name(name) && !groups_find(groups, name) &&
        HASH_COUNT(groups->by_name) < GROUPS_MAX) {
        cJSON_ArrayForEach(item, list)
        {
            if (cJSON_IsString(item) && name_is_device(item->valuestring))
                names[used++] = item->valuestring;
        }
    }
    if (used && !group_put(groups, name, names, used, false))
        rpc_log(groups->instance, RPC_LOG_ERROR, "no memory to load the group %s", name);
    free(names);
    cJSON_Delete(list);
}

/* ---- Changes ---- */

/* A change on its way to the database. It outlives its call, if that ends before. */
struct change {
    struct change *prev, *next;
    struct groups *groups;
    rpc_call *call; /* NULL: it has ended */
    bool deletes, existed, is_over;
    struct store_failure failure;   /* no reason: it is on the disk */
    const struct membership *given; /* memory of the call; NULL: it deletes */
    char *name;
    const char **members;
    size_t count;
};

static void group_free_change(struct change *change)
{
    DL_DELETE(change->groups->changes, change);
    free(change->name);
    free(change->members);
    free(change);
}

/* The change is on the disk, or is not made. */
static void group_apply(void *context, const struct store_failure *failure)
{
    struct change *change = context;
    struct groups *groups = change->groups;
    struct group *group;
    change->is_over = true;
    HASH_FIND_STR(groups->by_name, change->name, group);
    if (failure)
        change->failure = *failure;
    else if (!change->deletes)
        group_put(groups, change->name, change->members, change->count, false);
    else if (group)
        group_remove(groups, group);
    if (change->call)
        rpc_resume(change->call);
    else
        group_free_change(change);
}

static rpc_status group_raise_configured(rpc_call *call, const char *name)
{
    return rpc_raise(call, "invalid_params",
                     "group: %.100s is a group of the option device_groups, which no "
                     "call changes",
                     name);
}

static rpc_status group_raise_failure(rpc_call *call, const struct store_failure *failure)
{
    const struct group_failed failed = {failure->cause};
    return rpc_raise_with(call, "storage_failed", &failed, "the change was not stored (device_db): %s",
                          failure->why);
}

static bool group_write(struct disk *disk, const char *name, const char **members, size_t count,
                        disk_done done, void *context)
{
    cJSON *list = cJSON_CreateStringArray(members, (int)count);
    char *text = list ? cJSON_PrintUnformatted(list) : NULL;
    const bool is_written = text && disk_put_group(disk, name, text, done, context);
    cJSON_free(text);
    cJSON_Delete(list);
    return is_written;
}

/* Gives a change to the database. Returns false: no memory, or too much waits to be written. */
static bool group_write_change(struct change *change)
{
    struct disk *disk = change->groups->disk;
    return change->deletes
               ? disk_drop_group(disk, change->name, group_apply, change)
               : group_write(disk, change->name, change->members, change->count, group_apply, change);
}

void groups_renew(struct groups *groups)
{
    for (struct group *group = groups->by_name; group; group = group->hh.next) {
        if (!group->configured)
            group_write(groups->disk, group->name, group->members, group->count, NULL, NULL);
    }
}

/* Nobody is told of a change that is not on the disk when the module stops. */
void groups_fini(struct groups *groups)
{
    while (groups->changes)
        group_free_change(groups->changes);
    while (groups->by_name)
        group_remove(groups, groups->by_name);
}

/* Begins a change, which the call waits for. NULL: no memory. */
static struct change *group_make_change(struct groups *groups, const char *name, bool deletes)
{
    struct change *change = calloc(1, sizeof *change);
    if (!change)
        return NULL;
    change->groups = groups;
    change->deletes = deletes;
    change->name = strdup(name);
    if (!change->name) {
        free(change);
        return NULL;
    }
    DL_APPEND(groups->changes, change);
    return change;
}

static rpc_status group_begin_change(rpc_call *call, struct change *change)
{
    if (!group_write_change(change)) {
        const struct store_failure failure = change->groups->disk->failure;
        group_free_change(change);
        return group_raise_failure(call, &failure);
    }
    const rpc_status status = rpc_defer(call, change);
    change->call = status == RPC_PENDING ? call : NULL;
    return status;
}

/* The caller of a change that goes on gets no more than the engine's own error. */
rpc_status group_end_change(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct change *change = data;
    (void)state;
    change->call = NULL;
    if (!change->is_over)
        return outcome;
    rpc_status status = RPC_OK;
    if (change->failure.why[0]) {
        status = group_raise_failure(call, &change->failure);
    } else if (change->deletes) {
        *(struct group_deleted *)result =
            (struct group_deleted){rpc_printf(call, "%s", change->name), change->existed};
    } else {
        *(struct membership *)result = *change->given;
    }
    group_free_change(change);
    return status;
}

/* ---- Methods ---- */

/* Whether a group may be made of these names; else the error is raised. */
static rpc_status group_check(const struct groups *groups, rpc_call *call, const struct membership *given)
{
    const struct group *former = groups_find(groups, given->group);
    if (!group_is_name(given->group))
        return rpc_raise(call, "invalid_params",
                         "group: a group's name is one topic level without wildcards "
                         "and control characters, and not *");
    if (former && former->configured)
        return group_raise_configured(call, given->group);
    for (size_t i = 0; i < given->count; i++) {
        if (!name_is_device(given->devices[i]))
            return rpc_raise(call, "not_a_member",
                             "devices[%zu]: it is no device's name: one topic level "
                             "without wildcards and control characters",
                             i);
    }
    if (!former && HASH_COUNT(groups->by_name) >= GROUPS_MAX)
        return rpc_raise(call, "overloaded", "there are %d groups; device.group.delete makes room",
                         GROUPS_MAX);
    if (groups->members - (former ? former->count : 0) + given->count > GROUPS_MEMBERS_MAX)
        return rpc_raise(call, "overloaded", "all groups together have at most %d members",
                         GROUPS_MEMBERS_MAX);
    return RPC_OK;
}

rpc_status group_set(rpc_call *call, struct groups *groups, const void *params)
{
    const struct membership *given = params;
    const rpc_status status = group_check(groups, call, given);
    if (status != RPC_OK)
        return status;
    struct change *change = group_make_change(groups, given->group, false);
    if (!change)
        return RPC_INTERNAL_ERROR;
    change->given = given;
    change->members = group_copy_members(given->devices, given->count, &change->count);
    if (change->members)
        return group_begin_change(call, change);
    group_free_change(change);
    return RPC_INTERNAL_ERROR;
}

rpc_status group_list(rpc_call *call, const struct groups *groups, void *result)
{
    struct group_list *list = result;
    struct membership *entries = rpc_alloc(call, HASH_COUNT(groups->by_name) * sizeof *entries);
    if (!entries)
        return RPC_INTERNAL_ERROR;
    for (const struct group *group = groups->by_name; group; group = group->hh.next)
        entries[list->count++] =
            (struct membership){group->name, group->members, group->count, group->configured};
    list->groups = entries;
    return RPC_OK;
}

rpc_status group_delete(rpc_call *call, struct groups *groups, const void *params)
{
    const struct group_which *given = params;
    const struct group *group = groups_find(groups, given->group);
    if (group && group->configured)
        return group_raise_configured(call, given->group);
    struct change *change = group_make_change(groups, given->group, true);
    if (!change)
        return RPC_INTERNAL_ERROR;
    change->existed = group;
    return group_begin_change(call, change);
}
