// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// Memory for one ArduinoJson document at a time, which is not the heap. Blocks lie one behind the other;
// clear() frees all of them. Only the last block can grow where it is. When it is full, ArduinoJson reports
// NoMemory.
#ifndef SCRATCH_H
#define SCRATCH_H

#include <ArduinoJson.h>

template <size_t SIZE> class Scratch : public ArduinoJson::Allocator
{
  public:
    void clear()
    {
        used = 0;
    }

    void *allocate(size_t size) override
    {
        size_t units = units_of(size);
        if (size > SIZE || units >= COUNT - used)
            return nullptr;
        Unit *block = memory + used;
        block->units = units;
        used += 1 + units;
        return block + 1;
    }

    void deallocate(void *) override
    {
    }

    void *reallocate(void *old, size_t size) override
    {
        if (!old)
            return allocate(size);
        size_t units = static_cast<Unit *>(old)[-1].units, end = used;
        bool last = static_cast<Unit *>(old) + units == memory + used;
        if (!last && units_of(size) <= units)
            return old;
        if (last)
            used -= 1 + units;
        void *block = allocate(size);
        if (!block)
            used = end;
        else if (block != old)
            memcpy(block, old, units * sizeof(Unit));
        return block;
    }

  private:
    // What memory is counted in, and what stands before each block: its size.
    union Unit {
        size_t units;
        double aligned;
    };
    static const size_t COUNT = SIZE / sizeof(Unit);

    static size_t units_of(size_t size)
    {
        return size / sizeof(Unit) + (size % sizeof(Unit) != 0);
    }

    Unit memory[COUNT];
    size_t used = 0;
};

#endif
