/** Which events are shown: the parameters of the events view. Must not know how they are edited. */

import { currentParameters, setParameters } from "./route.js";

export const TYPES = ["track", "identify", "page", "screen", "group", "alias"];
export const VERDICTS = ["accepted", "rejected", "dropped", "duplicate"];
const TEXTS = /** @type {const} */ (["event", "user", "source", "text"]);

/** @typedef {{type: string[], verdict: string[], event: string, user: string, source: string, text: string}} Filters */

/**
 * Return the filters of the URL.
 *
 * @returns {Filters}
 */
export function readFilters() {
  const parameters = currentParameters();
  /** @param {string} name */
  const text = (name) => parameters.get(name) ?? "";
  return {
    type: parameters.getAll("type"),
    verdict: parameters.getAll("verdict").filter((one) => VERDICTS.includes(one)),
    event: text("event"),
    user: text("user"),
    source: text("source"),
    text: text("text"),
  };
}

export function clearFilters() {
  setParameters({ type: [], verdict: [], event: "", user: "", source: "", text: "" });
}

/**
 * Return what is filtered by, as pairs of name and value.
 *
 * @param {Filters} filters
 * @returns {{name: keyof Filters, value: string}[]}
 */
export function listFilters(filters) {
  const names = /** @type {(keyof Filters)[]} */ (["type", "verdict", ...TEXTS]);
  return names.flatMap((name) =>
    [filters[name]].flat().filter(Boolean).map((value) => ({ name, value })),
  );
}

/**
 * Return the filters without one of them.
 *
 * @param {Filters} filters
 * @param {keyof Filters} name
 * @param {string} value
 */
export function removeFilter(filters, name, value) {
  const current = filters[name];
  setParameters({ [name]: Array.isArray(current) ? current.filter((one) => one !== value) : "" });
}

/**
 * Switch one value of a filter that may have several.
 *
 * @param {"type" | "verdict"} name
 * @param {string} value
 */
export function toggleFilter(name, value) {
  const current = readFilters()[name];
  const others = current.filter((one) => one !== value);
  setParameters({ [name]: others.length < current.length ? others : [...current, value] });
}
