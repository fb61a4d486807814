/** How an event looks in the list. Must not know which events there are. */

import { h, setText } from "./dom.js";
import { formatBytes, formatClock, formatValue } from "./format.js";
import { formatJson } from "./json.js";

/** @typedef {import("./types.js").Outline} Outline */

/** @type {WeakMap<HTMLElement, ReturnType<typeof makeParts>>} */
const partsOf = new WeakMap();

/** Make a row that shows nothing yet. */
export function makeEventRow() {
  const parts = makeParts();
  const row = h("div", { class: "event" }, ...Object.values(parts));
  partsOf.set(row, parts);
  return row;
}

/**
 * Show an event, or that it is still loading.
 *
 * @param {HTMLElement} row
 * @param {Outline | undefined} event
 * @param {boolean} isNew whether it has just come
 */
export function drawEventRow(row, event, isNew) {
  const parts = /** @type {ReturnType<typeof makeParts>} */ (partsOf.get(row));
  row.className = "event";
  if (!event) {
    row.classList.add("is-loading");
    for (const part of Object.values(parts)) setText(part, "");
    return;
  }
  row.classList.add(`is-${event.verdict}`);
  row.classList.toggle("is-new", isNew);
  setText(parts.time, formatClock(event.at));
  setText(parts.type, event.type || "no type");
  parts.type.className = `tag tag-${event.type}`;
  setText(parts.name, nameOf(event));
  parts.name.classList.toggle("is-missing", !event.event);
  setText(parts.user, event.user || "–");
  drawOutcome(parts.outcome, event);
  setText(parts.size, formatBytes(event.size));
}

/**
 * Return the name of an event, or what stands for it if it has none.
 *
 * @param {{type: string, event: string}} event
 */
export function nameOf({ type, event }) {
  if (event) return event.trim() ? event : JSON.stringify(event);
  return type === "track" ? "no name" : type === "identify" || type === "alias" ? "–" : "unnamed";
}

/**
 * @param {HTMLElement} element
 * @param {Outline} event
 */
function drawOutcome(element, event) {
  const { verdict, reason, gauge } = event;
  if (verdict !== "accepted") {
    setText(element, reason || verdict);
    element.className = "event-outcome is-problem";
  } else if (gauge) {
    element.className = "event-outcome";
    element.replaceChildren(
      h("b", {}, typeof gauge.value === "number" ? formatValue(gauge.value) : formatJson(gauge.value)),
      h("span", {}, gauge.source),
    );
  } else {
    setText(element, "");
    element.className = "event-outcome";
  }
}

function makeParts() {
  return {
    time: h("span", { class: "event-time" }),
    type: h("span", { class: "tag" }),
    name: h("span", { class: "event-name" }),
    user: h("span", { class: "event-user" }),
    outcome: h("span", { class: "event-outcome" }),
    size: h("span", { class: "event-size" }),
  };
}
