/** What stands above the list of events: search, pause, clear, export and import. */

import { fill, h, icon } from "./dom.js";
import { listFilters, removeFilter } from "./filters.js";
import { makeTextFilter } from "./text-filter.js";
import { makeImport } from "./transfer.js";

/** @typedef {import("./filters.js").Filters} Filters */

/**
 * @param {{filters: () => void, pause: () => void, clear: () => void, exportUrl: () => string}} actions
 */
export function makeToolbar(actions) {
  const search = makeTextFilter("text", {
    id: "search",
    placeholder: "Search payloads",
    "aria-label": "Search payloads",
  });
  const pause = h("button", { class: "button", type: "button", id: "pause", click: actions.pause });
  const toggle = makeToggle(actions.filters);
  const download = h("a", { class: "button is-icon", download: "events.jsonl" }, icon("download"));
  label(download, "Export as JSON lines");
  const chips = h("div", { class: "chips", id: "chips" });
  const element = h(
    "div",
    { class: "toolbar" },
    h("label", { class: "search" }, icon("search"), search.input, h("kbd", { "aria-hidden": "true" }, "/")),
    toggle,
    pause,
    h("div", { class: "button-group" }, download, makeImport(), makeClear(actions.clear)),
    chips,
  );
  return {
    element,
    /** @param {boolean} isPaused */
    setPaused(isPaused) {
      if (pause.getAttribute("aria-pressed") === String(isPaused)) return;
      pause.setAttribute("aria-pressed", String(isPaused));
      fill(pause, icon(isPaused ? "play" : "pause"), h("span", {}, isPaused ? "Resume" : "Pause"));
    },
    /** @param {Filters} filters */
    show(filters) {
      search.show();
      download.href = actions.exportUrl();
      fill(chips, ...listFilters(filters).map(({ name, value }) => makeChip(filters, name, value)));
    },
  };
}

/**
 * @param {Filters} filters
 * @param {keyof Filters} name
 * @param {string} value
 */
function makeChip(filters, name, value) {
  return h(
    "button",
    {
      class: "chip",
      type: "button",
      "aria-label": `Remove the filter ${name}: ${value}`,
      click: () => removeFilter(filters, name, value),
    },
    h("span", { class: "chip-name" }, name),
    h("span", { class: "chip-value" }, value),
    icon("close"),
  );
}

/** @param {() => void} click */
function makeToggle(click) {
  return h(
    "button",
    {
      class: "button",
      type: "button",
      id: "filters-toggle",
      "aria-expanded": "false",
      "aria-controls": "filters",
      click,
    },
    icon("filter"),
    h("span", {}, "Filters"),
  );
}

/** @param {() => void} click */
function makeClear(click) {
  const button = h("button", { class: "button is-icon", type: "button", click }, icon("trash"));
  label(button, "Clear all events");
  return button;
}

/**
 * @param {HTMLElement} element
 * @param {string} text
 */
function label(element, text) {
  element.setAttribute("aria-label", text);
  element.title = text;
}
