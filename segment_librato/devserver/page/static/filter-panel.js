/** The filters beside the list, and how many events there are of each name. */

import { get, queryOf } from "./api.js";
import { byId, fill, h } from "./dom.js";
import { nameOf } from "./event-row.js";
import { TYPES, VERDICTS, readFilters, toggleFilter } from "./filters.js";
import { formatShort } from "./format.js";
import { throttle } from "./pace.js";
import { setParameters } from "./route.js";
import { makeTextFilter } from "./text-filter.js";

/** @typedef {import("./filters.js").Filters} Filters */
/** @typedef {{type: string, event: string, count: number, last: number}} Name */

const FIELDS = /** @type {const} */ ([
  ["event", "Event"],
  ["user", "User"],
  ["source", "Source"],
]);
const MAX_SHOWN = 100;

export class FilterPanel {
  /** @param {HTMLElement} element */
  constructor(element) {
    /** @type {Map<string, HTMLButtonElement>} */
    this.choices = new Map();
    /** @type {import("./text-filter.js").TextFilter[]} */
    this.fields = [];
    this.names = h("ul", { class: "names" });
    this.namesBlock = h("div", { hidden: true }, h("h3", {}, "Events"), this.names);
    this.filters = readFilters();
    /** Loads the counts, at most once a second. */
    this.namesChanged = throttle(() => this.loadNames(), 1000);
    this.element = element;
    fill(
      element,
      h("button", { class: "button filters-close", type: "button", click: () => this.setOpen(false) }, "Done"),
      this.makeChoices("Type", "type", TYPES),
      this.makeChoices("Verdict", "verdict", VERDICTS),
      h("div", { class: "fields" }, ...FIELDS.map(([name, text]) => this.makeField(name, text))),
      this.namesBlock,
    );
  }

  /** Whether it lies over the list, where there is no room for it beside. */
  get isOpen() {
    return this.element.classList.contains("is-open");
  }

  /** @param {boolean} isOpen */
  setOpen(isOpen) {
    this.element.classList.toggle("is-open", isOpen);
    const toggle = byId("filters-toggle");
    toggle.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) this.element.querySelector("button")?.focus();
    else toggle.focus();
  }

  /** @param {Filters} filters */
  show(filters) {
    this.filters = filters;
    for (const [key, button] of this.choices) {
      const [name, value] = key.split(" ");
      const isOn = filters[/** @type {"type" | "verdict"} */ (name)].includes(value);
      button.setAttribute("aria-pressed", String(isOn));
    }
    for (const field of this.fields) field.show();
    this.markNames();
  }

  async loadNames() {
    try {
      /** @type {Name[]} */
      const names = await get(`/names${queryOf({ ...this.filters, event: "" })}`);
      this.drawNames(names);
    } catch {
      // The connection is lost, which the top bar says.
    }
  }

  /** @param {Name[]} names */
  drawNames(names) {
    const focused = this.names.contains(document.activeElement) && document.activeElement;
    const key = focused instanceof HTMLElement ? focused.dataset.key : undefined;
    const most = names[0]?.count ?? 1;
    this.namesBlock.hidden = !names.length;
    fill(this.names, ...names.slice(0, MAX_SHOWN).map((name) => this.makeName(name, most)));
    this.markNames();
    for (const button of this.names.querySelectorAll("button")) {
      if (key !== undefined && button.dataset.key === key) button.focus();
    }
  }

  /**
   * @param {Name} name
   * @param {number} most
   */
  makeName({ type, event, count }, most) {
    const bar = h("i", { class: "name-bar", "aria-hidden": "true" });
    const button = h(
      "button",
      {
        type: "button",
        class: "name",
        title: event,
        "data-event": event,
        "data-key": `${type} ${event}`,
        click: () => setParameters({ event: readFilters().event === event ? "" : event }),
      },
      h("span", { class: `dot tag-${type}`, "aria-hidden": "true" }),
      h("span", { class: `name-text${event ? "" : " is-missing"}` }, event ? nameOf({ type, event }) : nameOfNameless(type)),
      bar,
      h("span", { class: "name-count" }, formatShort(count)),
    );
    bar.style.setProperty("--share", `${(count / most) * 100}%`);
    return h("li", {}, button);
  }

  markNames() {
    for (const button of this.names.querySelectorAll("button")) {
      const isOn = this.filters.event !== "" && button.dataset.event === this.filters.event;
      button.setAttribute("aria-pressed", String(isOn));
    }
  }

  /**
   * @param {string} title
   * @param {"type" | "verdict"} name
   * @param {string[]} values
   */
  makeChoices(title, name, values) {
    const buttons = values.map((value) => {
      const click = () => toggleFilter(name, value);
      const kind = name === "type" ? `tag-${value}` : `is-${value}`;
      const button = h(
        "button",
        { type: "button", class: "choice", "aria-pressed": "false", click },
        h("span", { class: `dot ${kind}`, "aria-hidden": "true" }),
        value,
      );
      this.choices.set(`${name} ${value}`, button);
      return button;
    });
    return h(
      "fieldset",
      { class: "choices" },
      h("legend", {}, title),
      h("div", { class: "choice-list" }, ...buttons),
    );
  }

  /**
   * @param {"event" | "user" | "source"} name
   * @param {string} text
   */
  makeField(name, text) {
    const field = makeTextFilter(name, { id: `filter-${name}`, placeholder: "contains …" });
    this.fields.push(field);
    return h("label", { class: "field" }, h("span", {}, text), field.input);
  }
}

/**
 * Return what the events of a type that have no name are called.
 *
 * @param {string} type
 */
function nameOfNameless(type) {
  return type === "track" ? "track, no name" : type || "no type";
}
