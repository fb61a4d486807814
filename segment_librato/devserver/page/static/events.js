/** The view of events: the list, what stands around it, and the event that is open. */

import { ask, queryOf } from "./api.js";
import { confirm } from "./dialogs.js";
import { DetailPanel } from "./detail.js";
import { byId, fill, h, icon, setText } from "./dom.js";
import { makeEmptyState, makeNoMatch } from "./empty.js";
import { describeCount, fetchEvents } from "./event-feed.js";
import { drawEventRow, makeEventRow } from "./event-row.js";
import { Feed } from "./feed.js";
import { FilterPanel } from "./filter-panel.js";
import { listFilters, readFilters } from "./filters.js";
import { countOf, formatCount } from "./format.js";
import { throttle } from "./pace.js";
import { currentParameters, currentView, setParameters } from "./route.js";
import { toast, toastProblem } from "./toast.js";
import { makeToolbar } from "./toolbar.js";
import { VirtualList } from "./virtual-list.js";

/** @typedef {import("./types.js").LiveState} LiveState */

/** How long a row that has just come is marked, in ms. */
const NEW_FOR = 900;
const MAX_MARKED = 50;

export class EventsView {
  constructor() {
    this.filters = readFilters();
    this.query = "";
    /** @type {LiveState | null} */
    this.state = null;
    /** The id of the newest event when the list was paused. @type {number | null} */
    this.pausedAt = null;
    /** @type {Map<number, number>} when the rows came that have just come */
    this.arrived = new Map();
    this.feed = new Feed(fetchEvents.bind(null, () => this.filters), (added) => this.draw(added), toastProblem);
    this.list = this.makeList();
    this.detail = new DetailPanel(byId("detail"), (id) => this.open(id));
    this.panel = new FilterPanel(byId("filters"));
    this.toolbar = makeToolbar({
      filters: () => this.panel.setOpen(!this.panel.isOpen),
      pause: () => this.togglePause(),
      clear: () => this.clear(),
      exportUrl: () => `/events.jsonl${queryOf(this.filters)}`,
    });
    this.status = h("p", { class: "list-status", id: "list-status" });
    this.newer = h("button", { class: "newer", type: "button", hidden: true, click: () => this.goToTop() });
    this.empty = h("div", { class: "empty", hidden: true });
    fill(
      byId("event-column"),
      this.toolbar.element,
      this.status,
      // A click beside the filters closes them.
      h("div", { class: "list-frame", pointerdown: () => this.panel.isOpen && this.panel.setOpen(false) }, this.newer, this.list.element, this.empty),
    );
    this.unseen = 0;
    // A key that is held down moves faster than a browser lets a page change its URL.
    this.openActive = throttle(async () => this.openIndex(this.list.active), 100);
    /** The id of an event that is open, but not in the list yet. @type {number | null} */
    this.awaited = null;
    this.listen();
  }

  makeList() {
    return new VirtualList({
      label: "Events, newest first",
      id: "event-list",
      column: byId("event-column"),
      height: 36,
      compactHeight: 60,
      compactBelow: 620,
      makeRow: makeEventRow,
      drawRow: (row, index) => {
        const event = this.feed.at(index);
        drawEventRow(row, event, event !== undefined && this.arrived.has(event.id));
      },
      onVisible: (first, last) => this.feed.need(first, last),
      onActive: () => this.detail.id !== null && this.openActive(),
      onOpen: (index) => this.openIndex(index),
    });
  }

  listen() {
    const onScroll = () => this.list.isAtTop && this.setUnseen(0);
    this.list.element.addEventListener("scroll", onScroll, { passive: true });
  }

  /** Show what the URL says. */
  async onRoute() {
    if (currentView() !== "events") return;
    this.filters = readFilters();
    this.toolbar.show(this.filters);
    this.panel.show(this.filters);
    const open = Number(currentParameters().get("open"));
    this.detail.show(open > 0 ? open : null);
    byId("view-events").classList.toggle("has-detail", open > 0);
    const query = queryOf(this.filters);
    if (query !== this.query) await this.reset(query);
  }

  /** @param {string} [query] */
  async reset(query = this.query) {
    this.query = query;
    try {
      await this.feed.reset(this.pausedAt ?? undefined);
    } catch (problem) {
      toastProblem(problem);
    }
    this.setUnseen(0);
    this.list.element.scrollTop = 0;
    this.list.setActive(this.feed.indexOf(this.detail.id ?? -1));
    this.panel.loadNames();
  }

  /**
   * @param {LiveState} state
   * @param {boolean} isFirst whether it is the first of a connection
   */
  async onState(state, isFirst) {
    const before = this.state;
    this.state = state;
    if (isFirst || before?.cleared !== state.cleared) {
      // Ids begin anew when the debugger was started again and keeps nothing in a file.
      if (this.pausedAt !== null) this.pausedAt = Math.min(this.pausedAt, state.latest);
      await this.reset(queryOf(this.filters));
    } else if (this.pausedAt === null && before.latest !== state.latest) {
      await this.follow(state);
    }
    this.drawStatus();
  }

  /** @param {LiveState} state */
  async follow(state) {
    this.panel.namesChanged();
    try {
      await this.feed.follow(state.latest);
    } catch {
      // The connection is lost, which the top bar says.
    }
  }

  /** @param {number} added rows above all others */
  showAdded(added) {
    const now = Date.now();
    for (let index = 0; index < Math.min(added, MAX_MARKED); index++) {
      const row = this.feed.at(index);
      if (row) this.arrived.set(row.id, now);
    }
    setTimeout(() => this.forgetArrived(), NEW_FOR + 50);
    if (!this.list.isAtTop) this.setUnseen(this.unseen + added);
    this.list.insertAbove(added);
  }

  forgetArrived() {
    const limit = Date.now() - NEW_FOR;
    for (const [id, at] of this.arrived) if (at <= limit) this.arrived.delete(id);
    this.list.redraw();
  }

  /** @param {number} added rows above all others */
  draw(added) {
    this.list.setCount(this.feed.total);
    if (added) this.showAdded(added);
    this.markOpen();
    this.drawStatus();
    this.drawEmpty();
  }

  drawStatus() {
    const isFiltered = listFilters(this.filters).length > 0;
    setText(this.status, describeCount(this.feed.total, this.state, isFiltered, this.pausedAt));
    this.toolbar.setPaused(this.pausedAt !== null);
  }

  drawEmpty() {
    const isEmpty = this.feed.total === 0;
    const isFirst = isEmpty && !this.state?.events;
    const kind = !isEmpty ? "" : isFirst ? "first" : "none";
    this.empty.hidden = !isEmpty;
    this.list.element.hidden = isEmpty;
    if (this.empty.dataset.kind === kind) return;
    this.empty.dataset.kind = kind;
    if (kind === "first") fill(this.empty, makeEmptyState());
    else if (kind === "none") fill(this.empty, makeNoMatch());
  }

  /** @param {number} count rows that came while the newest was out of view */
  setUnseen(count) {
    this.unseen = count;
    this.newer.hidden = count === 0;
    if (count) fill(this.newer, icon("arrow"), `${formatCount(count)} new`);
  }

  goToTop() {
    this.list.element.scrollTop = 0;
    this.setUnseen(0);
    this.list.element.focus();
  }

  togglePause() {
    const isPaused = this.pausedAt !== null;
    this.pausedAt = isPaused ? null : (this.state?.latest ?? 0);
    if (isPaused) this.reset();
    this.drawStatus();
  }

  async clear() {
    const kept = this.state?.events ?? 0;
    const isSure = await confirm({
      title: `Clear ${countOf(kept, "event")}?`,
      text: "Requests and gauges go as well. Export first if you may need them again.",
      yes: "Clear everything",
    });
    if (!isSure) return;
    try {
      const { cleared } = await ask("DELETE", "/events");
      this.open(null);
      toast(`${countOf(cleared, "event")} cleared`);
    } catch (problem) {
      toastProblem(problem);
    }
  }

  /** @param {number} index */
  openIndex(index) {
    const event = this.feed.at(index);
    if (event) this.open(event.id);
  }

  /** @param {number | null} id */
  open(id) {
    const isStep = (id === null) !== (this.detail.id === null);
    setParameters({ open: id === null ? "" : String(id) }, isStep);
    if (id === null) this.list.element.focus();
    this.awaited = id;
    this.markOpen();
  }

  markOpen() {
    const index = this.awaited === null ? -1 : this.feed.indexOf(this.awaited);
    if (index < 0) return;
    this.awaited = null;
    this.list.active = index;
    this.list.redraw();
  }
}
