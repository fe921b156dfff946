/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Unpacks the console's style and script, which the page has compressed. Their hashes are in the page's policy.
 *
 * Failure: the page says what is wrong: an old browser, a page that did not arrive as it was sent, or a script that does
 * not run.
 */

/** @param {"style" | "script"} name of the template, and of the element that gets what is in it */
async function unpack(name) {
    const packed = /** @type {HTMLTemplateElement} */ (document.getElementById(name)).content.textContent ?? ""
    const bytes = Uint8Array.from(atob(packed), character => character.charCodeAt(0))
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))
    const element = document.createElement(name)
    element.textContent = await new Response(stream).text()
    document.head.append(element)
}

async function start() {
    if (typeof DecompressionStream === "undefined")
        throw "This browser is too old for the console. It needs Chromium 100, Firefox 113, Safari 16.4, or later."
    await unpack("style")
        .then(() => unpack("script"))
        .catch(error => {
            throw (
                `The page has not arrived whole: ${error}. Load it again; if that does not help, look at what is between the ` +
                "broker and this browser, and at the file that the broker serves."
            )
        })
    if (!document.getElementById("app")?.hasChildNodes())
        throw "The console's script does not run here. The browser's own console, which F12 opens, says why."
}

start().catch(text => {
    document.body.textContent = text
})
