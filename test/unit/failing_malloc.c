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

enum { CELLS = 1 << 14 }; /* more than twice the largest number of live blocks */

/* Worker threads free memory, too. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Protected by the lock. */
static struct {
    bool armed, failed;
    pthread_t thread; /* the one that armed it */
    enum failing_mode mode;
    size_t left; /* allocations that still succeed */
    size_t live;
    void *pieces[CELLS]; /* a hash table with linear probing; NULL: free */
} state;

static size_t cell_of(const void *piece)
{
    return (uintptr_t)piece / 16 * 0x9E3779B1U % CELLS;
}

static bool is_armed(void)
{
    return state.armed && pthread_equal(state.thread, pthread_self());
}

static void enter(void *piece)
{
    size_t cell = cell_of(piece);
    while (state.pieces[cell])
        cell = (cell + 1) % CELLS;
    state.pieces[cell] = piece;
    if (++state.live > CELLS / 2)
        abort();
}

static void *remember(void *piece)
{
    pthread_mutex_lock(&lock);
    if (piece && is_armed())
        enter(piece);
    pthread_mutex_unlock(&lock);
    return piece;
}

/* Frees a cell, and moves later entries of the probe sequence into it that could not be found otherwise. */
static void clear_cell(size_t hole)
{
    for (size_t cell = (hole + 1) % CELLS; state.pieces[cell]; cell = (cell + 1) % CELLS) {
        const size_t home = cell_of(state.pieces[cell]);
        if ((cell - home) % CELLS < (cell - hole) % CELLS)
            continue;
        state.pieces[hole] = state.pieces[cell];
        hole = cell;
    }
    state.pieces[hole] = NULL;
}

static void leave(const void *piece)
{
    size_t cell = cell_of(piece);
    while (state.pieces[cell] && state.pieces[cell] != piece)
        cell = (cell + 1) % CELLS;
    if (!state.pieces[cell])
        return;
    clear_cell(cell);
    state.live--;
}

static void forget(const void *piece)
{
    pthread_mutex_lock(&lock);
    if (piece)
        leave(piece);
    pthread_mutex_unlock(&lock);
}

static bool is_turn_to_fail(void)
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

/* Whether the allocation that is asked for now is to fail. */
static bool fails(void)
{
    pthread_mutex_lock(&lock);
    const bool failing = is_turn_to_fail();
    pthread_mutex_unlock(&lock);
    return failing;
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
    pthread_mutex_lock(&lock);
    state.thread = pthread_self();
    state.armed = true;
    state.failed = false;
    state.mode = mode;
    state.left = n;
    pthread_mutex_unlock(&lock);
}

bool failing_disarm(void)
{
    pthread_mutex_lock(&lock);
    state.armed = false;
    const bool failed = state.failed;
    pthread_mutex_unlock(&lock);
    return failed;
}

size_t failing_live(void)
{
    pthread_mutex_lock(&lock);
    const size_t live = state.live;
    pthread_mutex_unlock(&lock);
    return live;
}
