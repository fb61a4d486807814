/**
 * What the page's API returns, as types for the checker. Owns no code.
 *
 * @typedef {"accepted" | "rejected" | "dropped" | "duplicate"} Verdict
 *
 * @typedef {object} Outline An event as a list shows it.
 * @property {number} id
 * @property {number} at seconds since the epoch
 * @property {string} type
 * @property {string} event the event, the name of a page or screen, or the groupId
 * @property {string} user
 * @property {string} source
 * @property {Verdict} verdict
 * @property {string} reason why it was not accepted, in the words of the API
 * @property {number} size bytes as compact JSON
 * @property {{name: string, value: unknown, source: string} | null} gauge
 * @property {number | null} request
 *
 * @typedef {Record<string, unknown>} Message
 *
 * @typedef {object} Detail
 * @property {Message} message
 * @property {string} explanation
 * @property {{code: string, path: string, text: string, suggestion: string | null}[]} problems
 * @property {RequestOutline | null} request
 * @property {{id: number, at: number, message: Message} | null} previous
 *
 * @typedef {Omit<Outline, "request"> & Detail} EventDetail
 *
 * @typedef {object} RequestOutline
 * @property {number} id
 * @property {number} at
 * @property {string} method
 * @property {string} path
 * @property {number | null} status null if the connection was cut
 * @property {string} rejection
 * @property {number} messages
 * @property {number} measurements
 * @property {number} bytes as sent
 * @property {number} size after decompression
 * @property {boolean} gzip
 * @property {number} retry
 * @property {number | null} duration seconds; null until the response is sent
 * @property {boolean} scripted whether the page asked for this response
 *
 * @typedef {object} Display
 * @property {number | null} [period]
 * @property {"average" | "sum" | null} [summarize]
 * @property {boolean | null} [aggregate]
 * @property {string | null} [display_name]
 *
 * @typedef {object} Gauge
 * @property {string} name
 * @property {string[]} sources
 * @property {number} count
 * @property {number} first
 * @property {number} last
 * @property {number} value
 * @property {"events" | "direct" | "both"} origin
 * @property {Display | null} display
 *
 * @typedef {{source: string, points: [number, number | null][]}} Line
 * @typedef {{name: string, period: number, aggregate: boolean, summarize: string, lines: Line[]}} Chart
 *
 * @typedef {object} LiveState What the stream says, whenever something changes.
 * @property {number} events events kept
 * @property {number} latest id of the newest event
 * @property {number} requests id of the newest request
 * @property {number} measurements
 * @property {number} clients
 * @property {number} faults
 * @property {number} finished how often a request turned out to have ended
 * @property {number} cleared
 *
 * @typedef {{kind: string, times: number}} Fault
 * @typedef {{name: string, at: number, stats: Record<string, unknown>}} ConnectedClient
 */

export {};
