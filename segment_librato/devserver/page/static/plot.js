/**
 * Charts. Owns the chart library: its loading, and what it is told about looks.
 * Must not know which gauges there are, or where their points come from.
 *
 * Plotly is loaded when the first chart is drawn. It obeys a strict Content-Security-Policy if an
 * element of `index.html` says that it must add no styles.
 */

import { formatValue } from "./format.js";

/** @typedef {import("./types.js").Chart} Chart */

/** @typedef {{react: Function, purge: Function}} Plotly */

const HEIGHT = 240;
const FEW_POINTS = 80;
/** A line goes on over as many periods without a value. */
const MAX_GAP = 12;

/** @type {Promise<Plotly> | undefined} */
let library;

/**
 * What is being done to an element. Plotly draws in steps, and fails if a chart goes between two.
 *
 * @type {WeakMap<HTMLElement, Promise<void>>}
 */
const work = new WeakMap();

/** Load the chart library; fails if it is not installed. */
export function loadPlotly() {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "/static/chart.js";
    // A part of Plotly for maps, which are not drawn here, adds its styles as soon as it is read,
    // which the policy forbids, and the browser reports: it gets an element that does nothing.
    const { createElement } = document;
    const create = (/** @type {string} */ tag, /** @type {any} */ options) =>
      createElement.call(document, tag === "style" ? "template" : tag, options);
    document.createElement = /** @type {typeof document.createElement} */ (create);
    const end = () => {
      document.createElement = createElement;
    };
    script.addEventListener("load", () => {
      end();
      resolve(/** @type {any} */ (globalThis).Plotly);
    });
    script.addEventListener("error", () => {
      end();
      library = undefined;
      reject(new Error("The chart library is not installed"));
    });
    document.head.append(script);
  });
  return library;
}

/**
 * Return the color of a line, which is the same in every chart.
 *
 * @param {number} index
 */
export function colorOf(index) {
  return token(`--line-${(index % 8) + 1}`);
}

/**
 * Draw a chart, or change what it shows.
 *
 * @param {HTMLElement} element
 * @param {Chart} chart
 * @param {{hidden: Set<string>, seconds: number, colors: Map<string, number>}} options
 */
export function drawChart(element, chart, { hidden, seconds, colors }) {
  return inTurn(element, async () => {
    const plotly = await loadPlotly();
    const now = Date.now();
    const lines = chart.lines.filter((line) => !hidden.has(line.source));
    const layout = makeLayout(now - seconds * 1000, now);
    await plotly.react(element, makeTraces(lines, colors), layout, { displayModeBar: false, responsive: true });
  });
}

/**
 * Do something to an element after what is being done to it.
 *
 * @param {HTMLElement} element
 * @param {() => Promise<void>} act
 */
function inTurn(element, act) {
  const acted = (work.get(element) ?? Promise.resolve()).then(act, act);
  work.set(element, acted);
  return acted;
}

/**
 * @param {Chart["lines"]} lines
 * @param {Map<string, number>} colors
 */
function makeTraces(lines, colors) {
  return lines.map((line) => {
    const color = colorOf(colors.get(line.source) ?? 0);
    const points = joinGaps(line.points);
    const isSparse = points.length < FEW_POINTS;
    return {
      type: "scatter",
      mode: isSparse ? "lines+markers" : "lines",
      name: plain(line.source),
      x: points.map(([at]) => new Date(at * 1000)),
      y: points.map(([, value]) => value),
      text: points.map(([, value]) => (value === null ? "" : formatValue(value))),
      line: { color, width: 2 },
      marker: { color, size: 5 },
      cliponaxis: false,
      hovertemplate: "%{text}<extra>%{fullData.name}</extra>",
    };
  });
}

/**
 * Leave out the periods without a value where they are few, so that the line goes on.
 *
 * @param {[number, number | null][]} points
 */
function joinGaps(points) {
  /** @type {[number, number | null][]} */
  const joined = [];
  let empty = 0;
  for (const point of points) {
    if (point[1] === null) empty += 1;
    else {
      if (empty > MAX_GAP && joined.length) joined.push([point[0], null]);
      joined.push(point);
      empty = 0;
    }
  }
  return joined;
}

/** @param {HTMLElement} element */
export function removeChart(element) {
  return inTurn(element, async () => {
    if (library) (await library).purge(element);
  });
}

/**
 * @param {number} from ms
 * @param {number} to ms
 */
function makeLayout(from, to) {
  const muted = token("--muted");
  const axis = {
    gridcolor: token("--line"),
    linecolor: token("--line"),
    zerolinecolor: token("--line-strong"),
    tickfont: { color: muted, size: 11 },
    fixedrange: true,
  };
  return {
    height: HEIGHT,
    margin: { l: 44, r: 14, t: 8, b: 28 },
    paper_bgcolor: token("--surface"),
    plot_bgcolor: token("--surface"),
    font: { family: token("--sans"), color: token("--text"), size: 12 },
    showlegend: false,
    hovermode: "x unified",
    hoverlabel: {
      bgcolor: token("--surface"),
      bordercolor: token("--line-strong"),
      font: { color: token("--text"), size: 12 },
    },
    dragmode: false,
    xaxis: { ...axis, type: "date", range: [new Date(from), new Date(to)], nticks: 6, showgrid: false, tickformat: "%H:%M", hoverformat: "%H:%M:%S", spikecolor: muted, spikethickness: 1, spikedash: "2px" },
    yaxis: { ...axis, rangemode: "tozero", nticks: 5, separatethousands: true, exponentformat: "B", minexponent: 6, automargin: true },
    transition: { duration: 0 },
  };
}

/**
 * Plotly reads some HTML in texts: without its signs there is none.
 *
 * @param {string} text
 */
function plain(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** @param {string} name */
function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
