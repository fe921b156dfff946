// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * bench_memory.so: memory whose functions take the same number of instructions each time.
 *
 * The C library's take more or fewer according to what was allocated and freed before, and more once there is
 * a second thread: up to 3 % of a call, which would drown what many devices cost. instructions.py preloads
 * this library into the brokers whose calls it compares. Freed memory is kept for the next request of its
 * class; nothing is ever given back.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define EXPORTED __attribute__((visibility("default")))

enum {
    UNIT = 16,         /* what all sizes and addresses are multiples of */
    SMALL = 1024,      /* up to this, a class for each multiple */
    CLASSES = 64 + 64, /* above, one for each power of two */
    CHUNK = 4 << 20    /* what is asked of the kernel at once */
};

/* Stands before each piece. */
struct piece {
    size_t size; /* bytes behind it */
    union {
        unsigned class;
        struct piece *next; /* of a free one, whose class is its list's */
    };
};

_Static_assert(sizeof(struct piece) == UNIT, "what is behind a piece's head is aligned");

static atomic_flag lock = ATOMIC_FLAG_INIT;
static struct piece *spare[CLASSES];
static char *chunk;
static size_t left;

EXPORTED size_t malloc_usable_size(void *memory);
EXPORTED void *memalign(size_t alignment, size_t size);

static unsigned class_of(size_t size)
{
    const size_t units = size ? (size + UNIT - 1) / UNIT : 1;
    return size <= SMALL ? (unsigned)units - 1 : 64 + 63 - (unsigned)__builtin_clzl(size - 1);
}

static size_t size_of(unsigned class)
{
    return class < 64 ? (class + 1) * (size_t)UNIT : (size_t)2 << (class - 64);
}

/* The lock is held. */
static struct piece *cut(size_t size)
{
    if (size > left) {
        const size_t most = size > CHUNK ? size : CHUNK;
        char *more = mmap(NULL, most, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (more == MAP_FAILED)
            return NULL;
        chunk = more;
        left = most;
    }
    struct piece *piece = (void *)chunk;
    chunk += size;
    left -= size;
    return piece;
}

EXPORTED void *malloc(size_t size)
{
    if (size > PTRDIFF_MAX / 2) {
        errno = ENOMEM;
        return NULL;
    }
    const unsigned class = class_of(size);
    while (atomic_flag_test_and_set_explicit(&lock, memory_order_acquire))
        ;
    struct piece *piece = spare[class];
    if (piece)
        spare[class] = piece->next;
    else
        piece = cut(sizeof *piece + size_of(class));
    atomic_flag_clear_explicit(&lock, memory_order_release);
    if (!piece)
        return NULL;
    piece->size = size_of(class);
    piece->class = class;
    return piece + 1;
}

EXPORTED void free(void *memory)
{
    struct piece *piece = (struct piece *)memory - 1;
    if (!memory || piece->class == CLASSES)
        return;
    const unsigned class = piece->class;
    while (atomic_flag_test_and_set_explicit(&lock, memory_order_acquire))
        ;
    piece->next = spare[class];
    spare[class] = piece;
    atomic_flag_clear_explicit(&lock, memory_order_release);
}

EXPORTED void *calloc(size_t count, size_t size)
{
    size_t whole;
    void *memory = __builtin_mul_overflow(count, size, &whole) ? NULL : malloc(whole);
    return memory ? memset(memory, 0, whole) : NULL;
}

EXPORTED void *realloc(void *memory, size_t size)
{
    if (!memory)
        return malloc(size);
    const size_t had = malloc_usable_size(memory);
    void *moved = malloc(size);
    if (!moved)
        return NULL;
    memcpy(moved, memory, had < size ? had : size);
    free(memory);
    return moved;
}

EXPORTED size_t malloc_usable_size(void *memory)
{
    return memory ? ((struct piece *)memory - 1)->size : 0;
}

/* Such memory is never used again. */
EXPORTED void *memalign(size_t alignment, size_t size)
{
    char *memory = alignment <= UNIT ? malloc(size) : malloc(size + alignment);
    if (!memory || alignment <= UNIT)
        return memory;
    struct piece *piece = (void *)(((uintptr_t)memory + alignment) / alignment * alignment);
    piece[-1].size = size;
    piece[-1].class = CLASSES;
    return piece;
}

EXPORTED void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

EXPORTED int posix_memalign(void **memory, size_t alignment, size_t size)
{
    *memory = memalign(alignment, size);
    return *memory ? 0 : ENOMEM;
}
