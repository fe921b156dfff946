// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What may stand in topics and properties, and what a filter matches. A broker ends the connection that anything else
 * comes over, so that the call would be sent again and again.
 */
const LENGTH_MAX = 1000, LEVELS_MAX = 100 // Mosquitto takes 200 levels

// eslint-disable-next-line no-control-regex
const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/

function check(text, isRight, what, rule) {
    if (typeof text !== "string" || FORBIDDEN.test(text) || text.length > LENGTH_MAX || !isRight(text))
        throw new TypeError(`${what} ${String(JSON.stringify(text)).slice(0, 100)}: it must be ${rule}`)
    return text
}

const isSmall = text => text !== "" && text.split("/").length <= LEVELS_MAX

/* A topic without wildcards, such as a method's name or a prefix. */
export const checkTopic = (text, what) =>
    check(text, () => isSmall(text) && !/[+#]/.test(text) && !text.endsWith("/"), what,
          "a topic: not empty, without + # and control characters, and without / at its end")

/* One level of a topic, such as a device or a client id. */
export const checkLevel = (text, what) =>
    check(text, () => isSmall(text) && !/[+#/]/.test(text), what,
          "one level of a topic: not empty, without / + # and control characters")

export const checkFilter = (text, what) =>
    check(text, () => isSmall(text) && text.split("/").every((level, at, all) =>
              !/[+#]/.test(level) || level === "+" || (level === "#" && at === all.length - 1)), what,
          "a topic filter: + stands for one level, # at the end for all further ones")

/* The value of a user property. */
export const checkProperty = (text, what) =>
    check(text, () => /^[ -~]*$/.test(text), what, "printable ASCII")

export function matches(filter, topic) {
    const wanted = filter.split("/"), levels = topic.split("/")
    for (const [at, level] of wanted.entries()) {
        if (level === "#")
            return true
        if (at >= levels.length || (level !== "+" && level !== levels[at]))
            return false
    }
    return wanted.length === levels.length
}
