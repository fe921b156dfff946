// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Random bytes in Node.js, whose version 18 has no global `crypto`. */
import { webcrypto } from "node:crypto"

export const fillRandom = bytes => webcrypto.getRandomValues(bytes)
