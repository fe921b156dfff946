/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* A ring: the newest things that fit, by their number and by their bytes. What does not fit any more is forgotten,
 * the oldest first. */

/** @template T */
export class Ring {
    #most
    #mostBytes
    #slots = /** @type {{thing: T, bytes: number}[]} */ ([])
    #first = 0 // where the oldest is
    #bytes = 0

    /**
     * @param {number} most how many things fit
     * @param {number} [mostBytes] how many bytes fit; a thing that is larger than that is kept alone
     */
    constructor(most, mostBytes = Infinity) {
        this.#most = most
        this.#mostBytes = mostBytes
    }

    /** @param {T} thing @param {number} [size] its bytes */
    push(thing, size = 0) {
        this.#slots.push({ thing, bytes: size })
        this.#bytes += size
        while (this.size > this.#most || (this.#bytes > this.#mostBytes && this.size > 1)) this.#forgetOldest()
        if (this.#first > this.#most) {
            this.#slots = this.#slots.slice(this.#first)
            this.#first = 0
        }
    }

    #forgetOldest() {
        this.#bytes -= this.#slots[this.#first].bytes
        this.#slots[this.#first] = /** @type {any} */ (undefined)
        this.#first++
    }

    clear() {
        this.#slots = []
        this.#first = 0
        this.#bytes = 0
    }

    /** All that is in the ring, the oldest first. */
    list() {
        return this.#slots.slice(this.#first).map(slot => slot.thing)
    }

    /** @returns {T | undefined} */
    newest() {
        return this.size ? this.#slots[this.#slots.length - 1].thing : undefined
    }

    get size() {
        return this.#slots.length - this.#first
    }

    get bytes() {
        return this.#bytes
    }
}
