/**
 * A list of any length with as many elements as fit on the screen, and one active row.
 *
 * Owns scrolling, the rows in the document and the active one. To a screen reader it is a list box:
 * the list has the focus, and names its active row. Must not know what a row shows.
 */

import { h } from "./dom.js";

const OVERSCAN = 6;

/**
 * @typedef {object} Options
 * @property {string} label what it lists
 * @property {string} id unique in the document
 * @property {HTMLElement} column that it is in
 * @property {number} height of a row, in pixels
 * @property {number} compactHeight the same where a row has two lines, and the column the class `is-compact`
 * @property {number} compactBelow the width of the column, in pixels
 * @property {() => HTMLElement} makeRow
 * @property {(row: HTMLElement, index: number) => void} drawRow
 * @property {(first: number, last: number) => void} onVisible
 * @property {(index: number) => void} onActive a person moved to a row
 * @property {(index: number) => void} onOpen a person wants to see a row
 */

export class VirtualList {
  /** @param {Options} options */
  constructor(options) {
    this.options = options;
    this.count = 0;
    this.active = -1;
    this.isScheduled = false;
    this.isCompact = false;
    /** @type {Map<number, HTMLElement>} */
    this.rows = new Map();
    /** @type {HTMLElement[]} */
    this.spare = [];
    this.space = h("div", { class: "rows-space", role: "presentation" });
    this.element = h(
      "div",
      { class: "rows", role: "listbox", tabindex: 0, "aria-label": options.label, id: options.id },
      this.space,
    );
    this.element.addEventListener("scroll", () => this.schedule(), { passive: true });
    this.element.addEventListener("click", (event) => this.onClick(event));
    new ResizeObserver(() => this.redraw()).observe(this.element);
    new ResizeObserver(() => this.onResize()).observe(options.column);
  }

  get rowHeight() {
    return this.isCompact ? this.options.compactHeight : this.options.height;
  }

  onResize() {
    const { column, compactBelow } = this.options;
    this.isCompact = column.clientWidth < compactBelow;
    column.classList.toggle("is-compact", this.isCompact);
    this.redraw();
  }

  /** @param {number} count */
  setCount(count) {
    this.count = count;
    this.redraw();
  }

  /** Draw all visible rows again, on the next frame. */
  redraw() {
    this.isStale = true;
    this.schedule();
  }

  schedule() {
    if (this.isScheduled) return;
    this.isScheduled = true;
    requestAnimationFrame(() => {
      this.isScheduled = false;
      this.draw();
    });
  }

  /** Whether the newest row is in view. */
  get isAtTop() {
    return this.element.scrollTop < this.rowHeight;
  }

  /** The first and the last visible index. */
  get range() {
    const height = this.rowHeight;
    const first = Math.floor(this.element.scrollTop / height);
    return { first, last: Math.ceil((this.element.scrollTop + this.element.clientHeight) / height) };
  }

  /**
   * Make room for new rows above; what a person looks at stays where it is.
   *
   * @param {number} added
   */
  insertAbove(added) {
    if (this.active >= 0) this.active += added;
    if (!this.isAtTop) {
      this.space.style.height = `${this.count * this.rowHeight}px`;
      this.element.scrollTop += added * this.rowHeight;
    }
    this.redraw();
  }

  /**
   * Make a row the active one and show it.
   *
   * @param {number} index
   */
  setActive(index) {
    this.active = Math.min(Math.max(index, -1), this.count - 1);
    if (this.active >= 0) this.reveal(this.active);
    this.redraw();
  }

  /**
   * Move the active row as a person asks for.
   *
   * @param {number} step
   */
  move(step) {
    if (!this.count) return;
    const start = this.active < 0 ? this.range.first - Math.sign(step) : this.active;
    this.setActive(Math.min(Math.max(start + step, 0), this.count - 1));
    this.options.onActive(this.active);
  }

  /** @param {number} index */
  reveal(index) {
    const height = this.rowHeight;
    const top = index * height;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + height > scrollTop + clientHeight) {
      this.element.scrollTop = top + height - clientHeight;
    }
  }

  /** @param {MouseEvent} event */
  onClick(event) {
    const row = event.target instanceof Element && event.target.closest("[data-index]");
    if (!(row instanceof HTMLElement)) return;
    this.setActive(Number(row.dataset.index));
    this.options.onOpen(this.active);
  }

  draw() {
    const height = this.rowHeight;
    this.space.style.height = `${this.count * height}px`;
    const { first, last } = this.range;
    const from = Math.max(first - OVERSCAN, 0);
    const to = Math.min(last + OVERSCAN, this.count);
    for (const [index, row] of this.rows) {
      if (index >= from && index < to) continue;
      this.rows.delete(index);
      row.remove();
      this.spare.push(row);
    }
    for (let index = from; index < to; index++) this.drawOne(index, height);
    this.isStale = false;
    const isShown = this.rows.has(this.active);
    if (isShown) this.element.setAttribute("aria-activedescendant", `${this.options.id}-${this.active}`);
    else this.element.removeAttribute("aria-activedescendant");
    this.options.onVisible(from, to);
  }

  /**
   * @param {number} index
   * @param {number} height
   */
  drawOne(index, height) {
    let row = this.rows.get(index);
    if (row && !this.isStale) return;
    if (!row) {
      row = this.spare.pop() ?? this.options.makeRow();
      this.rows.set(index, row);
      this.space.append(row);
    }
    row.id = `${this.options.id}-${index}`;
    row.dataset.index = String(index);
    row.setAttribute("role", "option");
    row.setAttribute("aria-posinset", String(index + 1));
    row.setAttribute("aria-setsize", String(this.count));
    row.setAttribute("aria-selected", String(index === this.active));
    row.style.transform = `translateY(${index * height}px)`;
    this.options.drawRow(row, index);
  }
}
