/** What became of an event: its verdict, its gauge, its problems, its size and its request. */

import { h, icon } from "./dom.js";
import { formatBytes } from "./format.js";
import { formatJson } from "./json.js";
import { describeRequest } from "./request-row.js";
import { linkTo } from "./route.js";

/** @typedef {import("./types.js").EventDetail} EventDetail */

const MAX_BYTES = 32 * 1024;
const VERDICTS = {
  accepted: "Accepted",
  rejected: "Rejected",
  dropped: "Dropped",
  duplicate: "Duplicate",
};

/**
 * Return what the API made of an event, in its words.
 *
 * @param {EventDetail} event
 */
export function makeVerdict({ verdict, reason }) {
  return h(
    "div",
    { class: `verdict is-${verdict}` },
    icon(verdict === "accepted" ? "check" : "close"),
    h("strong", {}, VERDICTS[verdict]),
    reason && h("span", {}, reason),
  );
}

/**
 * Return its gauge, or why there is none, what Segment's spec has against it, its size and its request.
 *
 * @param {EventDetail} event
 */
export function makeFacts(event) {
  const { gauge, explanation, problems, size, request, verdict } = event;
  const value = gauge && (typeof gauge.value === "object" ? formatJson(gauge.value) : gauge.value);
  return h(
    "dl",
    { class: "facts" },
    h("dt", {}, "Gauge"),
    h(
      "dd",
      {},
      gauge && h("div", { class: "fact-gauge" }, h("b", {}, String(value)), ` ${gauge.name} `),
      verdict !== "accepted" && h("div", {}, "None, because the event was not accepted. Otherwise:"),
      h("div", { class: "muted" }, explanation),
    ),
    ...(problems.length ? [h("dt", {}, "Spec"), h("dd", {}, makeProblems(problems))] : []),
    h("dt", {}, "Size"),
    h("dd", {}, makeMeter(size)),
    h("dt", {}, "Request"),
    h(
      "dd",
      {},
      request
        ? h(
            "a",
            { href: linkTo("requests", new URLSearchParams({ open: String(request.id) })) },
            describeRequest(request),
          )
        : h("span", { class: "muted" }, "None: the event was imported, or its request is no longer kept."),
    ),
  );
}

/** @param {EventDetail["problems"]} problems */
function makeProblems(problems) {
  return h("ul", { class: "fact-problems" }, ...problems.map(({ text }) => h("li", {}, text)));
}

/** @param {number} size */
function makeMeter(size) {
  const share = size / MAX_BYTES;
  const meter = h("div", { class: `meter${share > 1 ? " is-over" : ""}`, "aria-hidden": "true" }, h("i"));
  meter.style.setProperty("--share", `${Math.min(share, 1) * 100}%`);
  const percent = share < 0.01 ? "< 1" : Math.round(share * 100);
  return h("div", { class: "fact-size" }, meter, `${formatBytes(size)} of 32 KB, ${percent} %`);
}
