/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What may stand in topics, and what a filter matches. A broker ends the connection that anything else comes over.
 */
const BYTES_MAX = 4000,
    LEVELS_MAX = 100 // Mosquitto takes 200 levels

// eslint-disable-next-line no-control-regex
const FORBIDDEN =
    /[\u0000-\u001f\u007f-\u009f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/

/** @param {string} text @returns {string} what is wrong, or nothing */
function faultOf(text) {
    if (text === "") return "It is empty."
    if (FORBIDDEN.test(text)) return "It has a character that topics cannot have."
    if (text.length > BYTES_MAX / 4 || text.split("/").length > LEVELS_MAX) return "It is too long."
    return ""
}

/** What is wrong with a topic to publish to, as a sentence; nothing if it is right. @param {string} topic */
export const topicFault = topic => faultOf(topic) || (/[+#]/.test(topic) ? "A topic cannot have + or #." : "")

/** Likewise of a filter. @param {string} filter */
export function filterFault(filter) {
    const levels = filter.split("/")
    if (levels.some((level, at) => level.includes("#") && (level !== "#" || at !== levels.length - 1)))
        return "# stands alone in the last level."
    if (levels.some(level => level.includes("+") && level !== "+")) return "+ stands for a whole level."
    return faultOf(filter)
}

/** @param {string} filter @param {string} topic */
export function matches(filter, topic) {
    if (topic.startsWith("$") && /^[+#]/.test(filter)) return false
    const wanted = filter.split("/"),
        levels = topic.split("/")
    for (const [at, level] of wanted.entries()) {
        if (level === "#") return true
        if (at >= levels.length || (level !== "+" && level !== levels[at])) return false
    }
    return wanted.length === levels.length
}
