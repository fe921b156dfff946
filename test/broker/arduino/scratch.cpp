// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// Scratch under a long row of random requests: no block overlaps another one or
// loses its content, growing a block that cannot grow leaves it alone, and shrinking never fails.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <MosquittoRpc.h>

static const size_t BLOCKS = 12;

struct Block {
    unsigned char *bytes;
    size_t size;
};

static void expect(bool whether, const char *what)
{
    if (!whether) {
        fprintf(stderr, "not true: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

static bool holds(const Block &block, size_t size, unsigned char mark)
{
    for (size_t i = 0; i < size; i++)
        if (block.bytes[i] != mark)
            return false;
    return true;
}

// One document: blocks that are allocated and resized at random. Counts the requests that memory was too
// small for.
static unsigned run(Scratch<512> &memory)
{
    Block blocks[BLOCKS] = {};
    unsigned refused = 0;
    memory.clear();
    for (int step = 0; step < 40; step++) {
        size_t which = (size_t)rand() % BLOCKS, size = 1 + (size_t)rand() % 100;
        Block &block = blocks[which];
        void *fresh = block.bytes ? memory.reallocate(block.bytes, size) : memory.allocate(size);
        expect(fresh || size > block.size, "a block can always shrink");
        expect((uintptr_t)fresh % alignof(double) == 0, "a block is aligned");
        refused += !fresh;
        if (!fresh)
            continue;
        block.bytes = static_cast<unsigned char *>(fresh);
        expect(holds(block, size < block.size ? size : block.size, (unsigned char)which),
               "a block keeps its content");
        block.size = size;
        memset(block.bytes, (int)which, size);
        for (size_t i = 0; i < BLOCKS; i++)
            expect(holds(blocks[i], blocks[i].size, (unsigned char)i), "no block overlaps another one");
    }
    return refused;
}

int main()
{
    static Scratch<512> memory;
    unsigned refused = 0;
    srand(1);
    for (int i = 0; i < 10000; i++)
        refused += run(memory);
    expect(refused > 1000, "memory was too small now and then");
    memory.clear();
    expect(!memory.allocate(513) && !memory.allocate(SIZE_MAX) && !memory.reallocate(nullptr, SIZE_MAX),
           "too large");
    void *first = memory.allocate(1), *last = memory.allocate(100);
    expect(!memory.reallocate(first, SIZE_MAX), "a block that is not the last cannot grow without end");
    expect(!memory.reallocate(last, SIZE_MAX - 4) && memory.reallocate(last, 200) == last,
           "the last block grows");
    return EXIT_SUCCESS;
}
