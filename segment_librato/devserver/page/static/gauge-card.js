/** One metric: its chart, its legend and its values as a table. */

import { get, queryOf } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { countOf, formatClock, formatValue } from "./format.js";
import { nameOfPeriod, readOptions } from "./gauge-options.js";
import { colorOf, drawChart, removeChart } from "./plot.js";

/** @typedef {import("./types.js").Gauge} Gauge */
/** @typedef {import("./types.js").Chart} Chart */

const MAX_ROWS = 200;
const ORIGINS = { events: "from events", direct: "delivered directly", both: "from events and direct" };

export class GaugeCard {
  /** @param {Gauge} gauge */
  constructor(gauge) {
    this.gauge = gauge;
    /** @type {Chart | null} */
    this.chart = null;
    /** @type {Set<string>} the sources whose lines are switched off */
    this.hidden = new Set();
    /** @type {Map<string, number>} a source keeps its color when others come and go */
    this.colors = new Map();
    this.isVisible = false;
    this.isStale = true;
    /** How often it was loaded: what comes late is left. */
    this.turn = 0;
    this.title = h("h2", { class: "gauge-name" });
    this.about = h("p", { class: "muted gauge-about" });
    this.value = h("p", { class: "gauge-value" });
    this.plot = h("div", { class: "plot" });
    this.legend = h("div", { class: "legend", role: "group", "aria-label": "Lines" });
    this.table = h("div", { class: "table-frame" });
    this.details = h("details", { class: "values" }, h("summary", {}, "Values"), this.table);
    this.details.addEventListener("toggle", () => this.drawTable());
    this.element = h(
      "article",
      { class: "gauge", "data-gauge": gauge.name },
      h("div", { class: "gauge-head" }, this.title, this.value, this.about),
      this.plot,
      this.legend,
      this.details,
    );
  }

  /**
   * Show that a gauge has new values.
   *
   * @param {Gauge} gauge
   */
  update(gauge) {
    this.gauge = gauge;
    this.isStale = true;
    this.refresh();
  }

  /** @param {boolean} isVisible */
  setVisible(isVisible) {
    this.isVisible = isVisible;
    this.refresh();
  }

  /** Load and draw the chart, if it is in view and something has changed. */
  async refresh() {
    this.drawHead();
    if (!this.isVisible || !this.isStale) return;
    this.isStale = false;
    const { gauge } = this;
    const turn = ++this.turn;
    const { seconds, period, aggregate, summarize } = readOptions(gauge.display);
    const query = queryOf({ seconds, period, aggregate: aggregate ? 1 : 0, summarize });
    try {
      const chart = await get(`/gauges/${encodeURIComponent(gauge.name)}${query}`);
      if (turn === this.turn) this.chart = chart;
    } catch {
      return; // the connection is lost, which the top bar says
    }
    if (turn === this.turn) await this.draw();
  }

  drawHead() {
    const { name, sources, count, origin, display, value } = this.gauge;
    const { period, aggregate, summarize } = readOptions(display);
    setText(this.title, display?.display_name || name);
    this.title.title = name;
    fill(this.value, h("span", {}, "last"), formatValue(value));
    const how = `${nameOfPeriod(period)}, ${summarize}${aggregate ? ", sources aggregated" : ""}`;
    setText(
      this.about,
      `${countOf(sources.length, "source")} · ${countOf(count, "value")} ${ORIGINS[origin]} · ${how}`,
    );
  }

  async draw() {
    if (!this.chart) return;
    for (const { source } of this.chart.lines) {
      if (!this.colors.has(source)) this.colors.set(source, this.colors.size);
    }
    this.drawLegend();
    const { hidden, colors } = this;
    const { seconds } = readOptions(this.gauge.display);
    try {
      await drawChart(this.plot, this.chart, { hidden, seconds, colors });
      this.plot.dataset.lines = String(this.chart.lines.length - hidden.size);
    } catch {
      this.plot.hidden = true;
      this.details.open = true;
    }
    this.drawTable();
  }

  drawLegend() {
    const lines = this.chart?.lines ?? [];
    const key = JSON.stringify([lines.map((line) => line.source), [...this.hidden]]);
    if (this.legend.dataset.key === key) return;
    this.legend.dataset.key = key;
    const focused = document.activeElement instanceof HTMLElement && document.activeElement.dataset.source;
    const buttons = lines.map(({ source }) => {
      const swatch = h("span", { class: "swatch", "aria-hidden": "true" });
      swatch.style.setProperty("--color", colorOf(this.colors.get(source) ?? 0));
      return h(
        "button",
        {
          type: "button",
          class: "legend-line",
          "aria-pressed": String(!this.hidden.has(source)),
          "data-source": source,
          click: () => this.toggle(source),
        },
        swatch,
        h("span", {}, source || "unassigned"),
      );
    });
    fill(this.legend, ...buttons);
    if (focused !== false) buttons.find((one) => one.dataset.source === focused)?.focus();
  }

  /** @param {string} source */
  toggle(source) {
    if (!this.hidden.delete(source)) this.hidden.add(source);
    this.draw();
  }

  drawTable() {
    if (!this.details.open || !this.chart) return;
    const lines = this.chart.lines.filter((line) => !this.hidden.has(line.source));
    /** @type {Map<number, Map<string, number>>} */
    const rows = new Map();
    for (const { source, points } of lines) {
      for (const [at, value] of points) {
        if (value === null) continue;
        if (!rows.has(at)) rows.set(at, new Map());
        rows.get(at)?.set(source, value);
      }
    }
    const times = [...rows.keys()].sort((one, other) => other - one).slice(0, MAX_ROWS);
    fill(
      this.table,
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Time"), ...lines.map(({ source }) => h("th", { scope: "col" }, source || "unassigned")))),
        h(
          "tbody",
          {},
          ...times.map((at) =>
            h("tr", {}, h("td", {}, formatClock(at).slice(0, 8)), ...lines.map(({ source }) => h("td", {}, valueOf(rows.get(at)?.get(source))))),
          ),
        ),
      ),
    );
  }

  remove() {
    this.turn += 1;
    removeChart(this.plot);
    this.element.remove();
  }
}

/** @param {number | undefined} value */
function valueOf(value) {
  return value === undefined ? "" : formatValue(value);
}
