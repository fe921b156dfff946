// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Random bytes in browsers, on pages that came over plain HTTP, too. */
export const fillRandom = bytes => globalThis.crypto.getRandomValues(bytes)
