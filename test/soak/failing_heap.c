// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * libfailing_heap.so: memory that a plugin cannot get. It is preloaded into a broker. While the file
 * RPC_HEAP_FILE exists, about one in so many allocations fails as the file has bytes: of the plugin's own
 * alone, since a broker ends when one of its own fails. Into an empty file RPC_HEAP_LIVE it writes how many
 * bytes are allocated, of the whole process.
 */
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

enum { LOOK_EVERY = 256 /* allocations */ };

static _Atomic uintptr_t heap_first, heap_last; /* the plugin's code */
static atomic_uint heap_count, heap_one_in;     /* 0: none fails */

static int heap_find_code(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size, (void)context;
    if (!strstr(info->dlpi_name, "mosquitto_rpc"))
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X))
            continue;
        atomic_store(&heap_last, info->dlpi_addr + part->p_vaddr + part->p_memsz);
        atomic_store(&heap_first, info->dlpi_addr + part->p_vaddr);
    }
    return 1;
}

static void heap_tell(const char *path)
{
    struct stat found;
    char text[32];
    const int file = path ? open(path, O_WRONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    if (fstat(file, &found) == 0 && found.st_size == 0) {
        const struct mallinfo2 all = mallinfo2();
        const int length = snprintf(text, sizeof text, "%zu\n", all.uordblks + all.hblkhd);
        if (write(file, text, (size_t)length) != length)
            abort();
    }
    close(file);
}

/* Allocates nothing. */
static void heap_look(void)
{
    const char *path = getenv("RPC_HEAP_FILE");
    heap_tell(getenv("RPC_HEAP_LIVE"));
    struct stat found;
    if (!path)
        return;
    atomic_store(&heap_one_in, stat(path, &found) == 0 ? (unsigned)found.st_size : 0);
    if (!atomic_load(&heap_first))
        dl_iterate_phdr(heap_find_code, NULL);
}

static bool heap_fails(const void *caller)
{
    const unsigned count = atomic_fetch_add(&heap_count, 1);
    if (count % LOOK_EVERY == 0)
        heap_look();
    const unsigned one_in = atomic_load(&heap_one_in);
    return one_in && (uintptr_t)caller >= atomic_load(&heap_first) &&
           (uintptr_t)caller < atomic_load(&heap_last) && (count * 2654435761U >> 8) % one_in == 0;
}

#define REPLACES __attribute__((visibility("default")))

REPLACES void *malloc(size_t size)
{
    return heap_fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

REPLACES void *calloc(size_t count, size_t size)
{
    return heap_fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

REPLACES void *realloc(void *memory, size_t size)
{
    return heap_fails(__builtin_return_address(0)) ? NULL : __libc_realloc(memory, size);
}
