// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* How a call fails. */

export class RpcError extends Error {
    constructor(data, options) {
        super(data.msg ? `${data.err}: ${data.msg}` : String(data.err), options)
        this.err = data.err
        this.msg = data.msg ?? ""
        this.method = data.method ?? ""
        this.data = data
    }
}

/* On the prototype, so that it is no member of every error that is printed. */
Object.defineProperty(RpcError.prototype, "name", { value: "RpcError", configurable: true, writable: true })

/* An error of the client's own. */
export const localError = (err, msg, method = "", options = undefined) => new RpcError({ method, err, msg }, options)
