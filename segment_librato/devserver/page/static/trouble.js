/** Trouble for the next requests, so that a person can watch a client cope. */

import { ask, get, post } from "./api.js";
import { fill, h, icon } from "./dom.js";
import { countOf } from "./format.js";
import { makePanel } from "./panel.js";
import { toastProblem } from "./toast.js";

/** @typedef {import("./types.js").Fault} Fault */

const KINDS = /** @type {const} */ ([
  ["429", "429", "Too many requests, with Retry-After"],
  ["500", "500", "Internal server error"],
  ["slow", "Slow", "Accepted, but the response is delayed"],
  ["hang", "Hang", "No response until you end the trouble"],
  ["reset", "Reset", "The connection is cut without a response"],
]);
const NAMES = new Map(KINDS.map(([kind, name]) => [kind, name]));

export class TroublePanel {
  constructor() {
    this.times = makeNumber("times", "Next requests", 3, 1, 1000);
    this.wait = makeNumber("wait", "Retry-After or delay (s)", 2, 0, 600);
    this.current = h("div", { class: "trouble-current", role: "status" });
    this.element = makePanel(
      "Make trouble",
      h("div", { class: "trouble-fields" }, this.times.element, this.wait.element),
      h(
        "div",
        { class: "trouble-buttons" },
        ...KINDS.map(([kind, name, text]) =>
          h(
            "button",
            { class: "button", type: "button", title: text, "data-kind": kind, click: () => this.make(kind) },
            h("b", {}, name),
            h("span", {}, text),
          ),
        ),
      ),
      this.current,
    );
    this.show({ faults: [], holding: false });
  }

  async load() {
    try {
      this.show(await get("/faults"));
    } catch {
      // The connection is lost, which the top bar says.
    }
  }

  /** @param {string} kind */
  async make(kind) {
    const wait = this.wait.value();
    try {
      await post("/faults", { kind, times: this.times.value(), retry_after: wait, delay: wait });
      await this.load();
    } catch (problem) {
      toastProblem(problem);
    }
  }

  async end() {
    try {
      await ask("DELETE", "/faults");
      await this.load();
    } catch (problem) {
      toastProblem(problem);
    }
  }

  /** @param {{faults: Fault[], holding: boolean}} state */
  show({ faults, holding }) {
    const isQuiet = !faults.length && !holding;
    this.current.classList.toggle("is-quiet", isQuiet);
    if (isQuiet) {
      fill(this.current, h("p", { class: "muted" }, "No trouble ahead: requests are answered as usual."));
      return;
    }
    fill(
      this.current,
      h(
        "ul",
        {},
        ...faults.map(({ kind, times }) =>
          h("li", {}, h("b", {}, NAMES.get(/** @type {any} */ (kind)) ?? kind), ` for ${countOf(times, "more request")}`),
        ),
        holding && h("li", {}, h("b", {}, "Hanging"), ": requests are waiting for a response"),
      ),
      h("button", { class: "button is-main", type: "button", id: "end-trouble", click: () => this.end() }, icon("check"), "End all trouble"),
    );
  }
}

/**
 * @param {string} id
 * @param {string} text
 * @param {number} initial
 * @param {number} least
 * @param {number} most
 */
function makeNumber(id, text, initial, least, most) {
  const input = h("input", { type: "number", id, value: initial, min: least, max: most, step: 1 });
  const value = () => {
    const number = Math.round(input.valueAsNumber);
    return Number.isNaN(number) ? initial : Math.min(Math.max(number, least), most);
  };
  return { element: h("label", { class: "field" }, h("span", {}, text), input), value };
}
