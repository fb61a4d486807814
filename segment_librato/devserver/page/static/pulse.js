/** How many events come, second by second over the last minute. */

import { byId, setText, svg } from "./dom.js";
import { formatShort } from "./format.js";

const SECONDS = 60;
const WIDTH = 120;
const HEIGHT = 22;

export class Pulse {
  constructor() {
    this.element = byId("pulse");
    this.rate = byId("rate");
    /** @type {number[]} events in each of the last seconds, the newest last */
    this.counts = new Array(SECONDS).fill(0);
    /** @type {number | null} */
    this.latest = null;
    this.pending = 0;
    this.bars = svg("path", {});
    const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" });
    drawing.append(this.bars);
    this.element.prepend(drawing);
    setInterval(() => this.tick(), 1000);
    this.draw();
  }

  /** @param {number} latest the id of the newest event */
  note(latest) {
    if (this.latest !== null) this.pending += Math.max(latest - this.latest, 0);
    this.latest = latest;
  }

  tick() {
    const isQuiet = !this.pending && this.counts.every((count) => count === 0);
    this.counts.push(this.pending);
    this.counts.shift();
    this.pending = 0;
    if (!isQuiet) this.draw();
  }

  draw() {
    const most = Math.max(...this.counts, 4);
    const step = WIDTH / SECONDS;
    const bars = this.counts.map((count, index) => {
      const height = count ? Math.max((count / most) * HEIGHT, 1.5) : 0.75;
      return `M${((index + 0.5) * step).toFixed(1)} ${HEIGHT}v${(-height).toFixed(1)}`;
    });
    this.bars.setAttribute("d", bars.join(""));
    setText(this.rate, `${formatShort(this.counts[SECONDS - 1])}/s`);
  }
}
