/** The view of gauges: a chart for each metric that is in view. */

import { get } from "./api.js";
import { byId, fill, h, icon } from "./dom.js";
import { countOf } from "./format.js";
import { GaugeCard } from "./gauge-card.js";
import { makeControls } from "./gauge-options.js";
import { throttle } from "./pace.js";
import { loadPlotly } from "./plot.js";
import { currentParameters, currentView } from "./route.js";
import { makeTextFilter } from "./text-filter.js";
import { copy } from "./toast.js";

/** @typedef {import("./types.js").LiveState} LiveState */
/** @typedef {import("./types.js").Gauge} Gauge */

const INSTALL = 'pip install "segment-librato[debugger]"';
/** Charts move on with the time, also when nothing comes. */
const TICK = 10_000;

export class GaugesView {
  constructor() {
    /** @type {Map<string, GaugeCard>} */
    this.cards = new Map();
    this.revision = "";
    this.controls = makeControls();
    this.search = makeTextFilter("name", {
      id: "gauge-search",
      placeholder: "Filter by name or source",
      "aria-label": "Filter by name or source",
    });
    this.grid = h("div", { class: "gauge-grid" });
    this.notice = h("div", { class: "notice", hidden: true });
    this.empty = h("div", { class: "empty", hidden: true });
    this.load = throttle(() => this.loadGauges(), 1000);
    this.observer = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        const name = entry.target instanceof HTMLElement ? (entry.target.dataset.gauge ?? "") : "";
        this.cards.get(name)?.setVisible(entry.isIntersecting);
      }
    }, { rootMargin: "200px" });
    fill(
      byId("view-gauges"),
      h("div", { class: "gauge-bar" }, h("label", { class: "search" }, icon("search"), this.search.input), this.controls.element),
      this.notice,
      this.empty,
      this.grid,
    );
    setInterval(() => this.redraw(), TICK);
    // The colors of a chart are no style sheet's.
    new MutationObserver(() => this.redraw()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  }

  /** Show what the URL says. */
  onRoute() {
    if (currentView() !== "gauges") return;
    this.controls.show();
    this.search.show();
    this.load();
    this.redraw();
    loadPlotly().catch(() => this.sayWhatToInstall());
  }

  /**
   * @param {LiveState} state
   * @param {boolean} isFirst whether it is the first of a connection
   */
  onState(state, isFirst) {
    const revision = `${state.measurements} ${state.cleared}`;
    if (revision === this.revision && !isFirst) return;
    this.revision = revision;
    if (currentView() === "gauges") this.load();
  }

  /** Draw the charts in view again. */
  redraw() {
    if (currentView() !== "gauges") return;
    for (const card of this.cards.values()) card.update(card.gauge);
  }

  async loadGauges() {
    try {
      this.show(await get("/gauges"));
    } catch {
      // The connection is lost, which the top bar says.
    }
  }

  /** @param {Gauge[]} gauges */
  show(gauges) {
    const wanted = (currentParameters().get("name") ?? "").toLowerCase();
    const shown = gauges.filter(({ name, sources }) =>
      [name, ...sources].some((one) => one.toLowerCase().includes(wanted)),
    );
    const names = new Set(shown.map((gauge) => gauge.name));
    for (const [name, card] of this.cards) {
      if (names.has(name)) continue;
      this.observer.unobserve(card.element);
      card.remove();
      this.cards.delete(name);
    }
    // Those with the most values come first; what comes later stands at the end, so that none moves.
    for (const gauge of shown.sort((one, other) => other.count - one.count)) {
      const card = this.cards.get(gauge.name);
      if (card) card.update(gauge);
      else this.add(gauge);
    }
    this.drawEmpty(gauges.length, shown.length);
  }

  /** @param {Gauge} gauge */
  add(gauge) {
    const card = new GaugeCard(gauge);
    this.cards.set(gauge.name, card);
    this.grid.append(card.element);
    card.drawHead();
    this.observer.observe(card.element);
  }

  /**
   * @param {number} all
   * @param {number} shown
   */
  drawEmpty(all, shown) {
    this.empty.hidden = shown > 0;
    this.grid.hidden = shown === 0;
    if (shown) return;
    const text = all
      ? `None of ${countOf(all, "gauge")} has this name or source.`
      : "A track, page or screen event sets a gauge. Its value is properties.value, or 1.";
    fill(
      this.empty,
      h(
        "div",
        { class: "empty-text" },
        h("h2", {}, all ? "No gauge matches" : "No gauges yet"),
        h("p", {}, text),
        !all && h("pre", { class: "code", tabindex: 0, "aria-label": "Example" }, 'analytics.gauge("queue.depth", 42, source="web-1")'),
      ),
    );
  }

  sayWhatToInstall() {
    this.notice.hidden = false;
    fill(
      this.notice,
      h("p", {}, "To see charts, install the chart library and restart the debugger. Until then, here are the values."),
      h("code", {}, INSTALL),
      h("button", { class: "button", type: "button", click: () => copy(INSTALL, "Command") }, "Copy"),
    );
  }
}
