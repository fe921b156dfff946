// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The loop's wait, as a signal handler sees it: see safepoint.h. */
#include "compat/safepoint.h"

#include <errno.h>
#include <link.h>
#include <string.h>
#include <ucontext.h>

/* The wait of brokers that never send TICK: src/mux_epoll.c of 2.0.0 to 2.0.14. */
enum { MAX_EVENTS = 1000, TIMEOUT_MS = 100 };

/* A system call that has returned, as far as it concerns epoll_wait(). */
struct call {
    const char *next; /* the instruction after it */
    const char *made; /* the bytes of the instruction that makes system calls */
    size_t size;      /* of these, which stand before next; 0: it is not known */
    int64_t result;
    uintptr_t events;
    int max_events, timeout; /* of registers twice as wide, whose upper halves mean nothing */
};

#if defined(__x86_64__) && defined(__LP64__)

static struct call safepoint_read_call(const mcontext_t *machine)
{
    const greg_t *registers = machine->gregs;
    return (struct call){
        .next = (const char *)registers[REG_RIP],
        .made = "\x0f\x05", /* syscall */
        .size = 2,
        .result = registers[REG_RAX],
        .events = (uintptr_t)registers[REG_RSI],
        .max_events = (int)registers[REG_RDX],
        .timeout = (int)registers[REG_R10],
    };
}

#elif defined(__aarch64__) && defined(__LP64__)

static struct call safepoint_read_call(const mcontext_t *machine)
{
    return (struct call){
        .next = (const char *)machine->pc,
        .made = "\x01\x00\x00\xd4", /* svc #0 */
        .size = 4,
        .result = (int64_t)machine->regs[0],
        .events = (uintptr_t)machine->regs[1],
        .max_events = (int)machine->regs[2],
        .timeout = (int)machine->regs[3],
    };
}

#elif defined(__arm__) && defined(__ARM_EABI__)

/* The C library may be of either instruction set, whichever this file is. */
static struct call safepoint_read_call(const mcontext_t *machine)
{
    const bool is_thumb = machine->arm_cpsr & 0x20;
    return (struct call){
        .next = (const char *)machine->arm_pc,
        .made = is_thumb ? "\x00\xdf" : "\x00\x00\x00\xef", /* svc 0 */
        .size = is_thumb ? 2 : 4,
        .result = (int32_t)machine->arm_r0,
        .events = machine->arm_r1,
        .max_events = (int)machine->arm_r2,
        .timeout = (int)machine->arm_r3,
    };
}

#else

#define SAFEPOINT_UNKNOWN 1

static struct call safepoint_read_call(const mcontext_t *machine)
{
    (void)machine;
    return (struct call){.result = 0};
}

#endif

/* Called for the main program, which comes first; its result ends the iteration. */
static int safepoint_look_at_program(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    struct safepoint *safepoint = context;
    for (ElfW(Half) i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        const uintptr_t begin = info->dlpi_addr + segment->p_vaddr;
        const uintptr_t end = begin + segment->p_memsz;
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_W))
            continue;
        if (!safepoint->end || begin < safepoint->begin)
            safepoint->begin = begin;
        if (end > safepoint->end)
            safepoint->end = end;
    }
    return 1;
}

void safepoint_find(struct safepoint *safepoint)
{
    memset(safepoint, 0, sizeof *safepoint);
#ifndef SAFEPOINT_UNKNOWN
    dl_iterate_phdr(safepoint_look_at_program, safepoint);
#else
    (void)safepoint_look_at_program;
#endif
}

/* The instruction is looked at last: by then next is known to follow a call, and to be readable. */
bool safepoint_reached(const struct safepoint *safepoint, const void *context)
{
    const ucontext_t *interrupted = context;
    const struct call call = safepoint_read_call(&interrupted->uc_mcontext);
    return call.result == -EINTR && call.max_events == MAX_EVENTS && call.timeout == TIMEOUT_MS &&
           call.events >= safepoint->begin && call.events < safepoint->end &&
           memcmp(call.next - call.size, call.made, call.size) == 0;
}
