/** A JSON value as a tree that folds. Everything in it is text. Must not know what it stands for. */

import { h } from "./dom.js";
import { ExactNumber, formatJson, isContainer } from "./json.js";

/** What is larger, or nested deeper, is shown as plain text: as elements it would be slow. */
const MAX_NODES = 3000;
const MAX_DEPTH = 40;

/**
 * Return an element that shows a value.
 *
 * @param {unknown} value
 * @returns {HTMLElement}
 */
export function showPayload(value) {
  const { nodes, depth } = measure(value);
  if (nodes > MAX_NODES || depth > MAX_DEPTH) {
    return h("pre", { class: "payload is-plain", tabindex: 0 }, formatJson(value, "  "));
  }
  return h("div", { class: "payload" }, showValue(null, value));
}

/**
 * Return an element that shows a value in one line.
 *
 * @param {unknown} value
 */
export function showInline(value) {
  return h("code", { class: `json-${kindOf(value)}` }, formatJson(value));
}

/**
 * @param {string | null} key null in a list, and for the whole
 * @param {unknown} value
 * @returns {HTMLElement}
 */
function showValue(key, value) {
  const label = key === null ? null : h("span", { class: "json-key" }, key);
  if (!isContainer(value)) {
    return h("div", { class: "json-line" }, label, label && ": ", showInline(value));
  }
  const entries = Object.entries(value);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  if (!entries.length) return h("div", { class: "json-line" }, label, label && ": ", open + close);
  const isList = Array.isArray(value);
  return h(
    "details",
    { open: true, class: "json-node" },
    h(
      "summary",
      {},
      label,
      label && ": ",
      open,
      h("span", { class: "json-folded" }, ` ${entries.length} ${close}`),
    ),
    h(
      "div",
      { class: "json-children" },
      ...entries.map(([name, item]) => showValue(isList ? null : name, item)),
    ),
    h("div", { class: "json-close" }, close),
  );
}

/** @param {unknown} value */
function kindOf(value) {
  if (value instanceof ExactNumber) return "number";
  return value === null ? "null" : typeof value;
}

/**
 * Count values and levels without recursion, as a payload may be nested very deep.
 *
 * @param {unknown} value
 */
function measure(value) {
  let nodes = 0;
  let depth = 0;
  /** @type {[unknown, number][]} */
  const waiting = [[value, 0]];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const [one, level] = next;
    nodes += 1;
    depth = Math.max(depth, level);
    if (nodes > MAX_NODES || depth > MAX_DEPTH) break;
    if (isContainer(one)) for (const item of Object.values(one)) waiting.push([item, level + 1]);
  }
  return { nodes, depth };
}
