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
                     .length = {1, NAME_MAX_BYTES}, .items = {1, GROUP_MEMBERS_MAX}),
};

const rpc_shape group_shape = RPC_OBJECT_SHAPE(struct membership, group_fields);

static const rpc_field entry_fields[] = {
    GROUP_NAME(struct membership),
    RPC_STRING_ARRAY(struct membership, devices, count, .doc = "the names of its members",
                     .length = {1, NAME_MAX_BYTES}, .items = {1, GROUP_MEMBERS_MAX}),
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

/* NULL: the table has none of this name. */
static struct group *group_find_in(const struct group_table *table, const char *name)
{
    struct group *group;
    HASH_FIND_STR(table->by_name, name, group);
    return group;
}

const struct group *groups_find(const struct groups *groups, const char *name)
{
    const struct group *group = group_find_in(&groups->configured, name);
    return group ? group : group_find_in(&groups->stored, name);
}

/* The groups of both tables: also those of the database that nobody sees. */
static size_t groups_count(const struct groups *groups)
{
    return HASH_COUNT(groups->configured.by_name) + HASH_COUNT(groups->stored.by_name);
}

static size_t groups_count_members(const struct groups *groups)
{
    return groups->configured.members + groups->stored.members;
}

static int group_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool groups_have(const struct groups *groups, const char *name, const char *device)
{
    if (strcmp(name, "*") == 0)
        return true;
    const struct group *group = groups_find(groups, name);
    return group && bsearch(&device, group->members, group->count, sizeof device, group_compare);
}

static void group_remove(struct group_table *table, struct group *group)
{
    table->members -= group->count;
    HASH_DEL(table->by_name, group);
    free(group->members);
    free(group);
}

static void group_clear(struct group_table *table)
{
    while (table->by_name)
        group_remove(table, table->by_name);
}

/* Copies names in their order, each once, into one piece of memory behind their pointers. NULL: no memory. */
static const char **group_copy_members(const char *const *names, size_t count, size_t *copied)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += strlen(names[i]) + 1;
    const char **members = malloc(count * sizeof *members + bytes);
    if (!members)
        return NULL;
    memcpy(members, names, count * sizeof *members);
    qsort(members, count, sizeof *members, group_compare);
    char *text = (char *)(members + count);
    *copied = 0;
    for (size_t i = 0; i < count; i++) {
        if (*copied && strcmp(members[*copied - 1], members[i]) == 0)
            continue;
        const size_t size = strlen(members[i]) + 1;
        members[(*copied)++] = memcpy(text, members[i], size);
        text += size;
    }
    return members;
}

static struct group *group_create(struct group_table *table, const char *name)
{
    struct group *group = calloc(1, sizeof *group + strlen(name) + 1);
    if (!group)
        return NULL;
    strcpy(group->name, name);
    HASH_ADD_STR(table->by_name, name, group);
    if (group->hh.tbl)
        return group;
    free(group);
    return NULL;
}

/* Makes a group of these members, which it takes, or gives them to the one of this name. Returns NULL: no
 * memory, and all is as before. */
static struct group *group_put(struct group_table *table, const char *name, const char **members,
                               size_t count)
{
    struct group *group = group_find_in(table, name);
    if (!group && !(group = group_create(table, name)))
        return NULL;
    table->members += count - group->count;
    free(group->members);
    group->members = members;
    group->count = count;
    return group;
}

/* The same with copies of the names. */
static struct group *group_put_copies(struct group_table *table, const char *name, const char *const *names,
                                      size_t count)
{
    size_t copied;
    const char **members = group_copy_members(names, count, &copied);
    struct group *group = members ? group_put(table, name, members, copied) : NULL;
    if (!group)
        free(members);
    return group;
}

/* Its members become known devices. No other device is forgotten for one that was only named. */
static void group_meet(const struct groups *groups, const struct group *group)
{
    const struct devices *table = groups->presence->table;
    for (size_t i = 0; i < group->count && !devices_are_full(table); i++)
        presence_meet(groups->presence, group->members[i]);
}

/* What nobody sees names no devices. */
static void group_meet_stored(const struct groups *groups, const struct group *stored)
{
    if (!group_find_in(&groups->configured, stored->name))
        group_meet(groups, stored);
}

void groups_meet(struct groups *groups)
{
    const struct group *group;
    for (group = groups->configured.by_name; group; group = group->hh.next)
        group_meet(groups, group);
    for (group = groups->stored.by_name; group; group = group->hh.next)
        group_meet_stored(groups, group);
}

/* ---- Groups of the configuration and of a former run ---- */

/* Cuts a word at its commas. Returns the number of names; 0: one of them is no device's, or there is none. */
static size_t group_cut(char *list, const char **names)
{
    size_t count = 0;
    char *rest = NULL;
    for (char *name = strtok_r(list, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        if (!name_is_device(name))
            return 0;
        names[count++] = name;
    }
    return count;
}

/* Makes a group of a word `name=device,device`, in the table of those that are prepared. Returns what is
 * wrong; NULL: nothing. */
static const char *group_prepare_names(struct groups *groups, const char *name, char *list,
                                       const char **names)
{
    struct group_table *table = &groups->prepared;
    const size_t count = group_cut(list, names);
    if (!group_is_name(name))
        return "its name is no topic level, or *";
    if (group_find_in(table, name))
        return "another group has the same name";
    if (!count)
        return "it takes name=device,device words, separated by spaces";
    if (count > GROUP_MEMBERS_MAX ||
        table->members + groups->stored.members + groups->coming_members + count > GROUPS_MEMBERS_MAX)
        return "a group has at most 10000 members, and all groups together 100000";
    if (HASH_COUNT(table->by_name) + HASH_COUNT(groups->stored.by_name) + groups->coming >= GROUPS_MAX)
        return "there are at most 1000 groups";
    return group_put_copies(table, name, names, count) ? NULL : "out of memory";
}

static const char *group_prepare_word(struct groups *groups, char *word)
{
    char *list = strchr(word, '=');
    if (!list)
        return "it takes name=device,device words, separated by spaces";
    *list++ = '\0';
    const char **names = malloc((strlen(list) / 2 + 1) * sizeof *names); /* a name and its comma */
    const char *why = names ? group_prepare_names(groups, word, list, names) : "out of memory";
    free(names);
    return why;
}

bool groups_prepare(struct groups *groups, const char *text, char why[RPC_WHY_BYTES])
{
    char *words = text ? strdup(text) : NULL, *rest = NULL;
    const char *wrong = text && !words ? "out of memory" : NULL, *at = "";
    group_clear(&groups->prepared);
    for (char *word = words ? strtok_r(words, " ", &rest) : NULL; word && !wrong;
         word = strtok_r(NULL, " ", &rest)) {
        at = word;
        wrong = group_prepare_word(groups, word);
    }
    if (wrong)
        snprintf(why, RPC_WHY_BYTES, "'%.100s': %s", at, wrong);
    free(words);
    return !wrong;
}

static struct group_table group_take_prepared(struct groups *groups)
{
    struct group_table former = groups->configured;
    groups->configured = groups->prepared;
    groups->prepared = (struct group_table){0};
    return former;
}

bool groups_configure(struct groups *groups)
{
    char why[RPC_WHY_BYTES];
    if (!groups_prepare(groups, groups->options->groups, why)) {
        rpc_log(groups->instance, RPC_LOG_ERROR, "device_groups: %s", why);
        return false;
    }
    group_take_prepared(groups);
    return true;
}

/* Members of stored groups that were seen before are not met again: they may have been forgotten meanwhile.
 */
void groups_reload(struct groups *groups)
{
    struct group_table former = group_take_prepared(groups);
    const struct group *group;
    for (group = groups->configured.by_name; group; group = group->hh.next)
        group_meet(groups, group);
    for (group = groups->stored.by_name; group; group = group->hh.next) {
        if (group_find_in(&former, group->name))
            group_meet_stored(groups, group);
    }
    group_clear(&former);
}

/* The names of a JSON array, which keeps their texts. Other values are left out. NULL: there are none, or no
 * memory. */
static const char **group_read(const cJSON *list, size_t *count)
{
    const cJSON *item;
    const int all = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    const char **names = all ? malloc((size_t)all * sizeof *names) : NULL;
    *count = 0;
    if (!names)
        return NULL;
    cJSON_ArrayForEach(item, list)
    {
        if (cJSON_IsString(item) && name_is_device(item->valuestring) && *count < GROUP_MEMBERS_MAX)
            names[(*count)++] = item->valuestring;
    }
    return names;
}

void groups_load(struct groups *groups, const char *name, const char *devices)
{
    if (!group_is_name(name) || group_find_in(&groups->stored, name))
        return;
    size_t count;
    cJSON *list = cJSON_Parse(devices);
    const char **names = group_read(list, &count);
    const bool has_room =
        groups_count(groups) < GROUPS_MAX && groups_count_members(groups) + count <= GROUPS_MEMBERS_MAX;
    if (!names || !count || !has_room || !group_put_copies(&groups->stored, name, names, count))
        rpc_log(groups->instance, RPC_LOG_ERROR, "the group %s of the database is left out: %s", name,
                !has_room        ? "there are too many groups or members"
                : list && !count ? "it has no members"
                                 : "out of memory");
    free(names);
    cJSON_Delete(list);
}

/* ---- Changes ---- */

/* A change on its way to the database. It outlives its call, if that ends before. */
struct change {
    struct change *prev, *next;
    struct groups *groups;
    rpc_call *call; /* NULL: it has ended */
    bool deletes, is_over;
    bool fails;                   /* it is not made: `failure` says why */
    struct store_failure failure; /* its path is not looked at */
    const struct group *made;     /* while the call is resumed */
    bool existed;                 /* likewise, of one that deletes */
    const char **members;
    size_t count;
    char name[];
};

static void group_free_change(struct change *change)
{
    struct groups *groups = change->groups;
    DL_DELETE(groups->changes, change);
    groups->coming -= !change->deletes;
    groups->coming_members -= change->count;
    free(change->members);
    free(change);
}

/* Makes a change that is on the disk. Without memory for a new group, what is there goes, too. */
static void group_make(struct groups *groups, struct change *change)
{
    struct group *group = group_find_in(&groups->stored, change->name);
    change->existed = group;
    if (change->deletes) {
        if (group)
            group_remove(&groups->stored, group);
        return;
    }
    change->made = group_put(&groups->stored, change->name, change->members, change->count);
    if (change->made) {
        change->members = NULL;
        group_meet(groups, change->made);
        return;
    }
    change->fails = true;
    change->failure = (struct store_failure){.cause = STORE_NO_MEMORY, .why = "out of memory"};
    disk_drop_group(groups->disk, change->name, NULL, NULL);
}

/* The change is on the disk, or is not made. */
static void group_apply(void *context, const struct store_failure *failure)
{
    struct change *change = context;
    change->is_over = true;
    change->fails = failure;
    if (failure)
        change->failure = *failure;
    else
        group_make(change->groups, change);
    if (change->call)
        rpc_resume(change->call);
    else
        group_free_change(change);
}

static rpc_status group_raise_configured(rpc_call *call, const char *name)
{
    return rpc_raise(call, "group_configured",
                     "group: %.100s is a group of the option device_groups, which no "
                     "call changes",
                     name);
}

rpc_status group_raise_failure(rpc_call *call, const struct store_failure *failure)
{
    const struct group_failed failed = {failure->cause};
    return rpc_raise_with(call, "storage_failed", &failed, "the change was not stored (device_db): %s",
                          failure->why);
}

/* NULL: no memory; free with cJSON_free(). */
static char *group_print(const char *const *members, size_t count)
{
    cJSON *list = cJSON_CreateStringArray(members, (int)count);
    char *text = list ? cJSON_PrintUnformatted(list) : NULL;
    cJSON_Delete(list);
    return text;
}

void groups_renew(struct groups *groups)
{
    for (const struct group *group = groups->stored.by_name; group; group = group->hh.next) {
        char *text = group_print(group->members, group->count);
        if (text)
            disk_put_group(groups->disk, group->name, text, NULL, NULL);
        cJSON_free(text);
    }
}

/* A change that is not on the disk when the module stops gets no reply. */
void groups_fini(struct groups *groups)
{
    while (groups->changes)
        group_free_change(groups->changes);
    group_clear(&groups->configured);
    group_clear(&groups->stored);
    group_clear(&groups->prepared);
}

/* Begins a change; members: the names of the new ones. NULL: no memory. */
static struct change *group_begin_change(struct groups *groups, const char *name, const char *const *members,
                                         size_t count)
{
    struct change *change = calloc(1, sizeof *change + strlen(name) + 1);
    if (!change)
        return NULL;
    strcpy(change->name, name);
    change->groups = groups;
    change->deletes = !members;
    change->members = members ? group_copy_members(members, count, &change->count) : NULL;
    if (members && !change->members) {
        free(change);
        return NULL;
    }
    DL_APPEND(groups->changes, change);
    groups->coming += !change->deletes;
    groups->coming_members += change->count;
    return change;
}

/* Gives a change to the database, and makes its call wait for that. */
static rpc_status group_write_change(rpc_call *call, struct change *change)
{
    struct disk *disk = change->groups->disk;
    char *text = change->deletes ? NULL : group_print(change->members, change->count);
    if (!text && !change->deletes) {
        group_free_change(change);
        return RPC_INTERNAL_ERROR;
    }
    const bool is_taken = change->deletes ? disk_drop_group(disk, change->name, group_apply, change)
                                          : disk_put_group(disk, change->name, text, group_apply, change);
    cJSON_free(text);
    if (!is_taken) {
        group_free_change(change);
        return group_raise_failure(call, &disk->failure);
    }
    const rpc_status status = rpc_defer(call, change);
    change->call = status == RPC_PENDING ? call : NULL;
    return status;
}

static void group_tell(rpc_call *call, const struct change *change, void *result)
{
    const struct group *made = change->made;
    if (made)
        *(struct membership *)result = (struct membership){made->name, made->members, made->count, false};
    else
        *(struct group_deleted *)result =
            (struct group_deleted){rpc_printf(call, "%s", change->name), change->existed};
}

/* The caller of a change that goes on gets no more than the engine's own error. */
rpc_status group_end_change(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct change *change = data;
    (void)state;
    change->call = NULL;
    if (!change->is_over)
        return outcome;
    const rpc_status status = change->fails ? group_raise_failure(call, &change->failure) : RPC_OK;
    if (status == RPC_OK)
        group_tell(call, change, result);
    group_free_change(change);
    return status;
}

/* ---- Methods ---- */

/* Whether a group may be made of these names; else the error is raised. */
static rpc_status group_check(const struct groups *groups, rpc_call *call, const struct membership *given)
{
    const struct group *former = group_find_in(&groups->stored, given->group);
    if (!group_is_name(given->group))
        return rpc_raise(call, "not_a_member",
                         "group: a group's name is one topic level without wildcards "
                         "and control characters, and not *");
    if (group_find_in(&groups->configured, given->group))
        return group_raise_configured(call, given->group);
    for (size_t i = 0; i < given->count; i++) {
        if (!name_is_device(given->devices[i]))
            return rpc_raise(call, "not_a_member",
                             "devices[%zu]: it is no device's name: one topic level "
                             "without wildcards and control characters",
                             i);
    }
    if (!former && groups_count(groups) + groups->coming >= GROUPS_MAX)
        return rpc_raise(call, "overloaded", "there are %d groups; device.group.delete makes room",
                         GROUPS_MAX);
    if (groups_count_members(groups) - (former ? former->count : 0) + groups->coming_members + given->count >
        GROUPS_MEMBERS_MAX)
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
    struct change *change = group_begin_change(groups, given->group, given->devices, given->count);
    return change ? group_write_change(call, change) : RPC_INTERNAL_ERROR;
}

rpc_status group_list(rpc_call *call, const struct groups *groups, void *result)
{
    struct group_list *list = result;
    struct membership *entries = rpc_alloc(call, groups_count(groups) * sizeof *entries);
    if (!entries)
        return RPC_INTERNAL_ERROR;
    const struct group *group;
    for (group = groups->configured.by_name; group; group = group->hh.next)
        entries[list->count++] = (struct membership){group->name, group->members, group->count, true};
    for (group = groups->stored.by_name; group; group = group->hh.next) {
        if (!group_find_in(&groups->configured, group->name))
            entries[list->count++] = (struct membership){group->name, group->members, group->count, false};
    }
    list->groups = entries;
    return RPC_OK;
}

rpc_status group_delete(rpc_call *call, struct groups *groups, const void *params)
{
    const struct group_which *given = params;
    if (group_find_in(&groups->configured, given->group))
        return group_raise_configured(call, given->group);
    struct change *change = group_begin_change(groups, given->group, NULL, 0);
    return change ? group_write_change(call, change) : RPC_INTERNAL_ERROR;
}
