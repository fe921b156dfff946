/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The page as the browser shows it. */

/** Whether the page is hidden: its tab is behind another, or its window is minimized. */
export const isHidden = () => globalThis.document?.visibilityState === "hidden"
