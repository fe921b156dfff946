// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* An allocator that fails on request: see failing_malloc.h. */
#include "failing_malloc.h"

#include <cjson/cJSON.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);

enum { PLACES = 1 << 14 }; /* more than twice as many as pieces are ever alive */

/* Workers free what the armed thread has allocated. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
    bool armed, failed;
    pthread_t thread; /* the one that armed it */
    enum failing_mode mode;
    size_t left; /* allocations that still succeed */
    size_t live;
    void *pieces[PLACES]; /* a hash table with linear probing; NULL: free */
} state;

static size_t place_of(const void *piece)
{
    return (uintptr_t)piece / 16 * 0x9E3779B1U % PLACES;
}

static bool is_armed(void)
{
    return state.armed && pthread_equal(state.thread, pthread_self());
}

static void *remember(void *piece)
{
    if (!piece || !is_armed())
        return piece;
    pthread_mutex_lock(&lock);
    size_t place = place_of(piece);
    while (state.pieces[place])
        place = (place + 1) % PLACES;
    state.pieces[place] = piece;
    if (++state.live > PLACES / 2)
        abort();
    pthread_mutex_unlock(&lock);
    return piece;
}

/* Frees a place, into which those behind it move that would not be found any more otherwise. */
static void clear_place(size_t hole)
{
    for (size_t place = (hole + 1) % PLACES; state.pieces[place]; place = (place + 1) % PLACES) {
        const size_t home = place_of(state.pieces[place]);
        if ((place - home) % PLACES < (place - hole) % PLACES)
            continue;
        state.pieces[hole] = state.pieces[place];
        hole = place;
    }
    state.pieces[hole] = NULL;
}

static void forget(const void *piece)
{
    pthread_mutex_lock(&lock);
    size_t place = place_of(piece);
    while (state.pieces[place] && state.pieces[place] != piece)
        place = (place + 1) % PLACES;
    if (piece && state.pieces[place]) {
        clear_place(place);
        state.live--;
    }
    pthread_mutex_unlock(&lock);
}

/* Whether the allocation that is asked for now is to fail. */
static bool fails(void)
{
    if (!is_armed())
        return false;
    if (state.left) {
        state.left--;
        return false;
    }
    if (state.failed && state.mode == FAILING_ONCE)
        return false;
    state.failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : remember(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : remember(__real_calloc(count, size));
}

void *__wrap_realloc(void *memory, size_t size)
{
    if (fails())
        return NULL;
    forget(memory);
    return remember(__real_realloc(memory, size));
}

void __wrap_free(void *memory)
{
    forget(memory);
    __real_free(memory);
}

void failing_install(void)
{
    cJSON_Hooks hooks = {__wrap_malloc, __wrap_free};
    cJSON_InitHooks(&hooks);
}

void failing_arm(enum failing_mode mode, size_t n)
{
    state.thread = pthread_self();
    state.armed = true;
    state.failed = false;
    state.mode = mode;
    state.left = n;
}

bool failing_disarm(void)
{
    state.armed = false;
    return state.failed;
}

size_t failing_live(void)
{
    return state.live;
}
