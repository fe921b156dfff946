/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What a room is: types alone. app.jsx has the list of rooms. */

/**
 * @typedef {import("../service/service.js").Service} Service
 * @typedef {{service: Service, route: import("./hooks.js").Route, state: any}} RoomProps
 *          state: what the room's createState(service) has made at its first opening, kept while somebody is signed in
 * @typedef {{id: string, title: string, icon: string, Room: import("preact").ComponentType<RoomProps>,
 *         createState?: (service: Service) => any}} Room
 */

export {}
