/** Where the events of the list come from, and how many there are. */

import { get, queryOf } from "./api.js";
import { countOf, formatCount } from "./format.js";

/** @typedef {import("./types.js").LiveState} LiveState */
/** @typedef {import("./types.js").Outline} Outline */

/**
 * Ask for events.
 *
 * @param {() => import("./filters.js").Filters} filters
 * @param {{before?: number, after?: number, offset?: number, limit: number}} query
 * @returns {Promise<{rows: Outline[], matching: number}>}
 */
export async function fetchEvents(filters, query) {
  const { events, matching } = await get(`/events${queryOf({ ...filters(), ...query })}`);
  return { rows: events, matching };
}

/**
 * Say how many events the list has.
 *
 * @param {number} total
 * @param {LiveState | null} state
 * @param {boolean} isFiltered
 * @param {number | null} pausedAt the id of the newest event when the list was paused
 */
export function describeCount(total, state, isFiltered, pausedAt) {
  const all = countOf(isFiltered ? (state?.events ?? 0) : total, "event");
  const count = isFiltered ? `${formatCount(total)} of ${all}` : all;
  if (pausedAt === null) return count;
  return `${count}, paused; ${formatCount((state?.latest ?? 0) - pausedAt)} newer`;
}
