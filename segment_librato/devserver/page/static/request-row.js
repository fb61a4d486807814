/** How a request looks in the list. Must not know which requests there are. */

import { h, setText } from "./dom.js";
import { countOf, formatBytes, formatClock, formatDuration } from "./format.js";

/** @typedef {import("./types.js").RequestOutline} RequestOutline */

/** @type {WeakMap<HTMLElement, ReturnType<typeof makeParts>>} */
const partsOf = new WeakMap();

/** Make a row that shows nothing yet. */
export function makeRequestRow() {
  const parts = makeParts();
  const row = h("div", { class: "request" }, ...Object.values(parts));
  partsOf.set(row, parts);
  return row;
}

/**
 * Show a request, or that it is still loading.
 *
 * @param {HTMLElement} row
 * @param {RequestOutline | undefined} request
 */
export function drawRequestRow(row, request) {
  const parts = /** @type {ReturnType<typeof makeParts>} */ (partsOf.get(row));
  row.className = "request";
  if (!request) {
    row.classList.add("is-loading");
    for (const part of Object.values(parts)) setText(part, "");
    return;
  }
  setText(parts.time, formatClock(request.at));
  setText(parts.status, statusOf(request));
  parts.status.className = `status is-${classOf(request)}`;
  setText(parts.path, `${request.method} ${request.path}`);
  setText(parts.content, contentOf(request));
  setText(parts.retry, request.retry ? `retry ${request.retry}` : "");
  setText(parts.bytes, bytesOf(request));
  setText(parts.duration, request.duration === null ? "waiting" : formatDuration(request.duration));
  setText(parts.note, request.rejection || (request.scripted ? "injected fault" : ""));
  parts.note.classList.toggle("is-problem", Boolean(request.rejection));
  row.classList.toggle("has-note", Boolean(parts.note.textContent));
}

/**
 * Return a request in one line.
 *
 * @param {RequestOutline} request
 */
export function describeRequest(request) {
  const retry = request.retry ? `, retry ${request.retry}` : "";
  return `${request.method} ${request.path}, ${statusOf(request)}, ${contentOf(request)}${retry}`;
}

/** @param {RequestOutline} request */
function statusOf({ status, duration }) {
  if (status !== null) return String(status);
  return duration === null ? "…" : "cut off";
}

/** @param {RequestOutline} request */
function classOf({ status }) {
  if (status === null) return "cut";
  return status < 300 ? "good" : status < 500 ? "bad" : "broken";
}

/** @param {RequestOutline} request */
function contentOf({ messages, measurements }) {
  return measurements ? countOf(measurements, "measurement") : countOf(messages, "message");
}

/** @param {RequestOutline} request */
function bytesOf({ bytes, size, gzip }) {
  return gzip ? `${formatBytes(bytes)} gzip of ${formatBytes(size)}` : formatBytes(bytes);
}

function makeParts() {
  return {
    time: h("span", { class: "request-time" }),
    status: h("span", { class: "status" }),
    path: h("span", { class: "request-path" }),
    content: h("span", { class: "request-content" }),
    retry: h("span", { class: "request-retry" }),
    bytes: h("span", { class: "request-bytes" }),
    duration: h("span", { class: "request-duration" }),
    note: h("span", { class: "request-note" }),
  };
}
