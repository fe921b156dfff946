/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Numbers, durations, times and sizes as people read them. What is not a number is `–`. */

const NONE = "–"
const MINUTE = 60,
    HOUR = 3600,
    DAY = 86400

/** @param {unknown} value @returns {value is number} */
const isNumber = value => typeof value === "number" && Number.isFinite(value)

/**
 * `digits` significant digits, without zeros at the end: 1.4, 12, 140.
 * @param {number} value
 */
const short = value => {
    const size = Math.abs(value)
    return (
        size >= 9.95 ? Math.round(value) : size >= 0.0995 ? Math.round(value * 10) / 10 : Number(value.toPrecision(1))
    ).toLocaleString("en", { maximumFractionDigits: 6 })
}

/** 12,345 @param {unknown} value */
export const count = value => (isNumber(value) ? Math.round(value).toLocaleString("en") : NONE)

/** A value of any size: 0.0123, 21.5, 12,345.7 @param {unknown} value */
export const number = value =>
    isNumber(value)
        ? Math.abs(value) >= 1e15 || (value !== 0 && Math.abs(value) < 1e-6)
            ? value.toExponential(2)
            : value.toLocaleString("en", { maximumSignificantDigits: Math.abs(value) >= 1000 ? 15 : 6 })
        : NONE

/** Calls a second: 0.3/s, 12/s @param {unknown} value */
export const rate = value => (isNumber(value) ? `${short(value)}/s` : NONE)

/** 0 … 1 as per cent: 0.4 %, 12 % @param {unknown} value */
export const percent = value => (isNumber(value) ? `${short(value * 100)} %` : NONE)

/** 900 B, 1.2 kB, 3.4 MB @param {unknown} value */
export function bytes(value) {
    if (!isNumber(value)) return NONE
    const units = ["B", "kB", "MB", "GB", "TB"]
    let size = value,
        unit = 0
    while (Math.abs(size) >= 999.5 && unit < units.length - 1) {
        size /= 1000
        unit++
    }
    return `${short(size)} ${units[unit]}`
}

/**
 * How long something took: 0.4 ms, 12 ms, 1.4 s, 3 min 20 s, 2 h 5 min, 3 d 4 h.
 * @param {unknown} seconds
 */
export function duration(seconds) {
    if (!isNumber(seconds)) return NONE
    const size = Math.abs(seconds),
        sign = seconds < 0 ? "-" : ""
    if (size === 0) return "0 s"
    if (size < 0.0000995) return `${sign}${short(size * 1e6)} µs`
    if (size < 0.9995) return `${sign}${short(size * 1000)} ms`
    if (size < 59.5) return `${sign}${short(size)} s`
    const whole = Math.round(size)
    if (whole < HOUR) return sign + two(Math.floor(whole / MINUTE), "min", whole % MINUTE, "s")
    if (whole < DAY) return sign + two(Math.floor(whole / HOUR), "h", Math.floor((whole % HOUR) / MINUTE), "min")
    return sign + two(Math.floor(whole / DAY), "d", Math.floor((whole % DAY) / HOUR), "h")
}

/** @param {number} big @param {string} bigUnit @param {number} little @param {string} littleUnit */
const two = (big, bigUnit, little, littleUnit) =>
    little ? `${big.toLocaleString("en")} ${bigUnit} ${little} ${littleUnit}` : `${big.toLocaleString("en")} ${bigUnit}`

/** @param {unknown} milliseconds */
export const milliseconds = milliseconds => (isNumber(milliseconds) ? duration(milliseconds / 1000) : NONE)

/**
 * An age in one unit, which does not jump from second to second: now, 12 s, 5 min, 3 h, 4 d.
 * @param {unknown} seconds
 */
export function age(seconds) {
    if (!isNumber(seconds)) return NONE
    if (seconds < 1) return "now"
    if (seconds < MINUTE) return `${Math.floor(seconds)} s`
    if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min`
    if (seconds < 2 * DAY) return `${Math.floor(seconds / HOUR)} h`
    return `${Math.floor(seconds / DAY).toLocaleString("en")} d`
}

/**
 * A moment relative to another, both in seconds: now, 12 s ago, in 5 min.
 * @param {unknown} at
 * @param {number} now
 */
export function relative(at, now) {
    if (!isNumber(at)) return NONE
    const text = age(Math.abs(now - at))
    return text === "now" ? text : at > now ? `in ${text}` : `${text} ago`
}

/** @param {number} value @param {number} size */
const padded = (value, size = 2) => String(value).padStart(size, "0")

/** 2026-11-27 05:36:12, in the browser's time zone @param {unknown} at seconds */
export function moment(at) {
    if (!isNumber(at) || Math.abs(at) > 8e12) return NONE
    const date = new Date(at * 1000)
    return `${date.getFullYear()}-${padded(date.getMonth() + 1)}-${padded(date.getDate())} ${clock(at)}`
}

/** 05:36:12, or 05:36:12.345 @param {unknown} at seconds @param {boolean} [hasMilliseconds] */
export function clock(at, hasMilliseconds = false) {
    if (!isNumber(at) || Math.abs(at) > 8e12) return NONE
    const date = new Date(at * 1000)
    const text = `${padded(date.getHours())}:${padded(date.getMinutes())}:${padded(date.getSeconds())}`
    return hasMilliseconds ? `${text}.${padded(date.getMilliseconds(), 3)}` : text
}
