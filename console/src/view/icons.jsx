/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Icons of one style: 24 units wide, strokes of 1.5 px, the colour of the text around them. */

/** Paths. @type {Record<string, string>} */
const PATHS = {
    methods: "M8 5 3 12l5 7M16 5l5 7-5 7M13.5 6l-3 12",
    live: "M2.5 12H7l3-8 4 16 3-8h4.5",
    load: "M3.5 20.5h17M6 17v-5M10 17V6M14 17v-8M18 17V3.5",
    devices:
        "M5 4.5h14a1 1 0 0 1 1 1v13a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1v-13a1 1 0 0 1 1-1Z" +
        "M9 9h6v6H9zM9 4.5V2M15 4.5V2M9 22v-2.5M15 22v-2.5",
    workers: "M12 3 3 7.5l9 4.5 9-4.5ZM3 12l9 4.5 9-4.5M3 16.5 12 21l9-4.5",
    trouble: "M12 3.5 2.5 20h19ZM12 10v4.5M12 17.2v.1",
    search: "M20.5 20.5 16 16M10.5 18a7.5 7.5 0 1 0 0-15 7.5 7.5 0 0 0 0 15Z",
    sun:
        "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM12 2v2.5M12 19.5V22" +
        "M2 12h2.5M19.5 12H22M5 5l1.8 1.8M17.2 17.2 19 19M5 19l1.8-1.8M17.2 6.8 19 5",
    moon: "M20.5 14.5A8.5 8.5 0 0 1 9.5 3.5a8.5 8.5 0 1 0 11 11Z",
    system: "M3.5 4.5h17v12h-17zM9 20.5h6M12 16.5v4",
    copy: "M9 9h11v11H9zM15 9V4H4v11h5",
    check: "m4.5 12.5 5 5 10-11",
    close: "M5.5 5.5l13 13M18.5 5.5l-13 13",
    right: "m9 5 7 7-7 7",
    down: "m5 9 7 7 7-7",
    up: "m5 15 7-7 7 7",
    back: "M20 12H4.5M11 5l-7 7 7 7",
    play: "M7 4.5v15l12-7.5Z",
    pause: "M8 5v14M16 5v14",
    refresh: "M20 11a8 8 0 0 0-14.3-4L3.5 9M3.5 4v5h5M4 13a8 8 0 0 0 14.3 4l2.2-2M20.5 20v-5h-5",
    signout: "M14 4H5v16h9M10 12h11M17 8l4 4-4 4",
    signin: "M10 4h9v16h-9M3 12h11M10 8l4 4-4 4",
    user: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM4.5 20.5a7.5 7.5 0 0 1 15 0",
    alert: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM12 7.5v5.5M12 16.2v.1",
    info: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM12 11v5.5M12 7.7v.1",
    good: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM8 12.3l2.8 2.8L16 9.5",
    lock: "M5 11h14v9.5H5zM8 11V7.5a4 4 0 0 1 8 0V11",
    send: "M3.5 11.5 20.5 4l-5 16.5-4-7ZM11.5 13.5 20.5 4",
    clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM12 7v5l3.5 2",
    trash: "M4 6.5h16M9 6.5V4h6v2.5M6 6.5l1 14h10l1-14M10 10.5v6M14 10.5v6",
    plus: "M12 5v14M5 12h14",
    minus: "M5 12h14",
    filter: "M3.5 5h17l-6.5 8v6l-4-2v-4Z",
    unlink: "M8 8 4.5 11.5a4 4 0 0 0 5.7 5.7L12 15.5M16 16l3.5-3.5a4 4 0 0 0-5.7-5.7L12 8.5M4 4l16 16",
    more: "M5 11.3v1.4M12 11.3v1.4M19 11.3v1.4M4.3 12h1.4M11.3 12h1.4M18.3 12h1.4",
    empty: "M3.5 13.5 6 5h12l2.5 8.5v6h-17zM3.5 13.5H9a3 3 0 0 0 6 0h5.5"
}

/**
 * @param {{name: string, size?: number, class?: string}} props
 */
export const Icon = ({ name, size = 20, class: className = "" }) => (
    <svg class={`icon ${className}`} width={size} height={size} viewBox="0 0 24 24" aria-hidden="true">
        <path d={PATHS[name] ?? PATHS.info} />
    </svg>
)
