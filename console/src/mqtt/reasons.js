/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The broker's reason codes as sentences. A final one is not worth another attempt. */

/**
 * @typedef {{text: string, isFinal: boolean}} Verdict
 * @typedef {import("./packets.js").Properties} Properties
 */

const NO_MQTT5 = "This broker speaks MQTT 3.1.1 only. The console needs MQTT 5, which Mosquitto speaks since 1.6."
const ANONYMOUS = "The broker lets nobody in without a user name and a password."

/** @param {string} text @returns {Verdict} */
const final = text => ({ text, isFinal: true })

/** @param {string} text @returns {Verdict} */
const passing = text => ({ text, isFinal: false })

/**
 * Why a broker has refused a connection. 1 to 5 are the codes of MQTT 3.1.1.
 * @param {number} code @param {Properties} props @param {{user?: string, clientId: string}} who
 * @returns {Verdict}
 */
export function refusalOf(code, props, { user = "", clientId }) {
    switch (code) {
        case 0x01:
        case 0x84:
            return final(NO_MQTT5)
        case 0x04:
        case 0x86:
            return final(user ? "The user name or the password is wrong." : ANONYMOUS)
        case 0x05:
        case 0x87:
            return final(
                user
                    ? `The broker does not let the user ${user} in: the user name or the password ` +
                          "is wrong, or this user is not allowed."
                    : ANONYMOUS
            )
        case 0x02:
        case 0x85:
            return final(`The broker does not accept the client id ${clientId}.`)
        case 0x8a:
            return final("The broker has banned this client.")
        case 0x95:
            return final("The broker finds the console's first packet too large.")
        case 0x9c:
        case 0x9d:
            return final("The broker asks to use another server" + (props.server ? `: ${props.server}.` : "."))
        case 0x03:
        case 0x88:
        case 0x89:
            return passing("The broker is busy, or not available yet.")
        case 0x97:
        case 0x9f:
            return passing("The broker takes no more connections now.")
        default:
            return passing(withReason(`The broker has refused the connection (reason code ${hex(code)})`, props))
    }
}

/**
 * Why a broker has ended a connection.
 * @param {number} code @param {Properties} props
 * @returns {Verdict}
 */
export function closingOf(code, props) {
    switch (code) {
        case 0x8e:
            return final("Another connection has taken over the client id of this one.")
        case 0x98:
            return final(withReason("An administrator has ended this connection", props))
        case 0x8b:
            return passing("The broker is shutting down.")
        case 0x8d:
            return passing("The broker has not heard from this page for too long.")
        case 0x95:
            return passing("The broker found a packet of the console too large.")
        case 0x81:
        case 0x82:
            return passing(withReason("The broker did not understand what the console sent", props))
        default:
            return passing(withReason(`The broker has ended the connection (reason code ${hex(code)})`, props))
    }
}

/** @param {number} code */
export const hex = code => `0x${code.toString(16).padStart(2, "0")}`

/** @param {string} text @param {Properties} props */
const withReason = (text, props) => (props.reason ? `${text}: ${props.reason}.` : `${text}.`)
