/** How gauges are shown: the parameters of their view. */

import { h } from "./dom.js";
import { currentParameters, setParameters } from "./route.js";

const RANGES = /** @type {const} */ ([
  [300, "5 min"],
  [900, "15 min"],
  [3600, "1 h"],
  [21600, "6 h"],
  [86400, "24 h"],
]);
const PERIODS = /** @type {const} */ ([
  [1, "1 s"],
  [5, "5 s"],
  [10, "10 s"],
  [60, "1 min"],
  [300, "5 min"],
  [600, "10 min"],
  [3600, "1 h"],
]);
/** The period that gives some 300 points. */
const AUTOMATIC = /** @type {const} */ ({ 300: 1, 900: 5, 3600: 10, 21600: 60, 86400: 300 });
const DEFAULT_RANGE = 900;
/** No choice: a gauge is shown as its own attributes say. */
const NONE = { seconds: "", period: "", aggregate: "", summarize: "" };

/** @typedef {import("./types.js").Display} Display */
/** @typedef {{seconds: number, period: number, aggregate: boolean, summarize: "average" | "sum"}} Options */

/**
 * Return the options for a gauge: what the URL says, else what the gauge says of itself.
 *
 * @param {Display | null} display
 * @returns {Options}
 */
export function readOptions(display) {
  const parameters = currentParameters();
  const wanted = Number(parameters.get("seconds"));
  const seconds = RANGES.find(([one]) => one === wanted)?.[0] ?? DEFAULT_RANGE;
  const period = Number(parameters.get("period"));
  const isKnown = PERIODS.some(([one]) => one === period);
  const aggregate = parameters.get("aggregate");
  const summarize = parameters.get("summarize") ?? display?.summarize;
  return {
    seconds,
    period: isKnown ? period : (display?.period ?? AUTOMATIC[seconds]),
    aggregate: aggregate === null ? (display?.aggregate ?? false) : aggregate === "1",
    summarize: summarize === "sum" ? "sum" : "average",
  };
}

/**
 * Return a period in words.
 *
 * @param {number} seconds
 */
export function nameOfPeriod(seconds) {
  return PERIODS.find(([one]) => one === seconds)?.[1] ?? `${seconds} s`;
}

/** Return the controls, and a function that shows what the URL says. */
export function makeControls() {
  const ranges = makeSegments("Range", RANGES.map(([value, text]) => [String(value), text]), (value) =>
    setParameters({ seconds: value }),
  );
  const summarize = makeSegments(
    "Summarize by",
    [["average", "Average"], ["sum", "Sum"]],
    (value) => setParameters({ summarize: value }),
  );
  const aggregate = makeSegments("Source aggregation", [["0", "Off"], ["1", "On"]], (value) =>
    setParameters({ aggregate: value }),
  );
  const period = h(
    "select",
    { id: "period", change: () => setParameters({ period: period.value }) },
    h("option", { value: "" }, "Automatic"),
    ...PERIODS.map(([value, text]) => h("option", { value }, text)),
  );
  const reset = makeReset();
  const element = h(
    "div",
    { class: "gauge-controls" },
    makeControl("Range", ranges.element),
    h("label", { class: "control" }, h("span", { class: "control-label" }, "Period"), period),
    makeControl("Source aggregation", aggregate.element),
    makeControl("Summarize by", summarize.element),
    reset,
  );
  const show = () => {
    const options = readOptions(null);
    ranges.show(String(options.seconds));
    summarize.show(options.summarize);
    aggregate.show(options.aggregate ? "1" : "0");
    period.value = currentParameters().get("period") ?? "";
    reset.hidden = !Object.keys(NONE).some((name) => currentParameters().has(name));
  };
  return { element, show };
}

function makeReset() {
  return h(
    "button",
    {
      class: "button is-quiet",
      type: "button",
      title: "Show each gauge as it was configured",
      click: () => setParameters(NONE),
    },
    "Reset",
  );
}

/**
 * @param {string} label
 * @param {HTMLElement} content
 */
function makeControl(label, content) {
  return h("div", { class: "control" }, h("span", { class: "control-label", "aria-hidden": "true" }, label), content);
}

/**
 * @param {string} label
 * @param {string[][]} choices value and text of each
 * @param {(value: string) => void} choose
 */
function makeSegments(label, choices, choose) {
  const buttons = choices.map(([value, text]) =>
    h("button", { type: "button", "data-value": value, click: () => choose(value) }, text),
  );
  const element = h("div", { class: "segments", role: "group", "aria-label": label }, ...buttons);
  /** @param {string} value */
  const show = (value) => {
    for (const button of buttons) {
      button.setAttribute("aria-pressed", String(button.dataset.value === value));
    }
  };
  return { element, show };
}
