/** The view of requests: the list, the trouble that a person makes, and the clients that meet it. */

import { get, queryOf } from "./api.js";
import { ClientsPanel } from "./clients.js";
import { byId, fill, h, setText } from "./dom.js";
import { Feed } from "./feed.js";
import { countOf, formatMoment } from "./format.js";
import { drawRequestRow, makeRequestRow } from "./request-row.js";
import { currentParameters, currentView, setParameters } from "./route.js";
import { toastProblem } from "./toast.js";
import { TroublePanel } from "./trouble.js";
import { VirtualList } from "./virtual-list.js";

/** @typedef {import("./types.js").LiveState} LiveState */
/** @typedef {import("./types.js").RequestOutline} RequestOutline */

export class RequestsView {
  constructor() {
    /** @type {LiveState | null} */
    this.state = null;
    this.feed = new Feed(fetchRequests, (added) => this.draw(added), toastProblem);
    this.column = h("div", { class: "request-column" });
    this.list = new VirtualList({
      label: "Requests, newest first",
      id: "request-list",
      column: this.column,
      height: 36,
      compactHeight: 64,
      compactBelow: 760,
      makeRow: makeRequestRow,
      drawRow: (row, index) => drawRequestRow(row, this.feed.at(index)),
      onVisible: (first, last) => this.feed.need(first, last),
      onActive: () => {},
      onOpen: (index) => setParameters({ open: String(this.feed.at(index)?.id ?? "") }),
    });
    this.status = h("p", { class: "list-status" });
    this.empty = makeEmpty();
    this.trouble = new TroublePanel();
    this.clients = new ClientsPanel();
    fill(
      this.column,
      this.status,
      h("div", { class: "list-frame" }, this.list.element, this.empty),
    );
    fill(
      byId("view-requests"),
      h("div", { class: "request-side" }, this.clients.element, this.trouble.element),
      this.column,
    );
  }

  /** Show what the URL says. */
  async onRoute() {
    if (currentView() !== "requests") return;
    await this.update();
    const open = Number(currentParameters().get("open"));
    const index = this.feed.indexOf(open);
    // Ids have no gaps: one that is not loaded yet is as far from the newest as it says.
    if (open) this.list.setActive(index >= 0 ? index : this.feed.newest - open);
  }

  /**
   * @param {LiveState} state
   * @param {boolean} isFirst whether it is the first of a connection
   */
  async onState(state, isFirst) {
    const before = this.state;
    this.state = state;
    if (isFirst || before?.faults !== state.faults) this.trouble.load();
    if (isFirst || before?.clients !== state.clients) this.clients.load();
    if (isFirst || before?.cleared !== state.cleared) this.isStale = true;
    if (currentView() === "requests") await this.update();
  }

  /** Load what is new, and again what was not complete. */
  async update() {
    if (!this.state) return;
    try {
      if (this.isStale || this.feed.newest === 0) {
        this.isStale = false;
        await this.feed.reset();
      } else {
        await this.feed.follow(this.state.requests);
        await this.renewUnfinished();
      }
    } catch {
      // The connection is lost, which the top bar says.
    }
  }

  async renewUnfinished() {
    const { first, last } = this.list.range;
    let [from, to] = [-1, -1];
    for (let index = first; index < last; index++) {
      if (this.feed.at(index)?.duration !== null) continue;
      if (from < 0) from = index;
      to = index;
    }
    if (from >= 0) await this.feed.renew(from, to);
  }

  /** @param {number} added rows above all others */
  draw(added) {
    const { total } = this.feed;
    this.list.setCount(total);
    if (added) this.list.insertAbove(added);
    this.list.element.hidden = total === 0;
    this.empty.hidden = total > 0;
    const newest = this.feed.at(0);
    setText(
      this.status,
      countOf(total, "request") + (newest ? `, the last at ${formatMoment(newest.at)}` : ""),
    );
  }
}

function makeEmpty() {
  return h(
    "div",
    { class: "empty", hidden: true },
    h(
      "div",
      { class: "empty-text" },
      h("h2", {}, "No requests yet"),
      h("p", {}, "Each request of a client appears here, with its status, retries, size and duration."),
    ),
  );
}

/**
 * @param {{before?: number, after?: number, offset?: number, limit: number}} query
 * @returns {Promise<{rows: RequestOutline[], matching: number}>}
 */
async function fetchRequests({ after, ...query }) {
  const { requests, kept } = await get(`/requests${queryOf(query)}`);
  const rows = after === undefined ? requests : requests.filter((/** @type {RequestOutline} */ one) => one.id > after);
  return { rows, matching: kept };
}
