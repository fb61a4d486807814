/** One event: its payload, what became of it, and what can be done with it. */

import { ask } from "./api.js";
import { findChanges, showChanges } from "./difference.js";
import { fill, h, icon } from "./dom.js";
import { makeEditor } from "./editor.js";
import { nameOf } from "./event-row.js";
import { makeFacts, makeVerdict } from "./facts.js";
import { formatMoment } from "./format.js";
import { formatJson, parseJson } from "./json.js";
import { showPayload } from "./payload.js";
import { asCurl, asJson, asPython, asTest } from "./snippets.js";
import { makeTabs } from "./tabs.js";
import { copy, toast, toastProblem } from "./toast.js";

/** @typedef {import("./types.js").EventDetail} EventDetail */

export class DetailPanel {
  /**
   * @param {HTMLElement} element
   * @param {(id: number | null) => void} open shows another event, or none
   */
  constructor(element, open) {
    this.element = element;
    this.open = open;
    /** @type {number | null} */
    this.id = null;
    this.tab = "payload";
  }

  /** @param {number | null} id */
  async show(id) {
    if (id === this.id) return;
    this.id = id;
    this.element.hidden = id === null;
    if (id === null) return;
    this.element.classList.add("is-loading");
    try {
      const event = await ask("GET", `/events/${id}`, undefined, readEvent);
      if (this.id === id) this.draw(event);
    } catch (problem) {
      if (this.id === id) this.drawProblem(problem);
    }
    this.element.classList.remove("is-loading");
  }

  /** @param {unknown} problem */
  drawProblem(problem) {
    fill(
      this.element,
      h(
        "div",
        { class: "detail-head" },
        h("h2", {}, `Event ${this.id} cannot be shown`),
        this.makeClose(),
      ),
      h("p", { class: "muted detail-section" }, problem instanceof Error ? problem.message : ""),
    );
  }

  /** @param {EventDetail} event */
  draw(event) {
    fill(
      this.element,
      this.makeHead(event),
      makeVerdict(event),
      makeFacts(event),
      this.makeActions(event),
      this.makeContent(event),
    );
    this.element.scrollTop = 0;
  }

  makeClose() {
    const close = () => this.open(null);
    return h(
      "button",
      { class: "button is-icon detail-close", type: "button", "aria-label": "Close", click: close },
      icon("close"),
    );
  }

  /** @param {EventDetail} event */
  makeHead(event) {
    return h(
      "div",
      { class: "detail-head" },
      h("span", { class: `tag tag-${event.type}` }, event.type || "no type"),
      h("h2", { class: event.event ? "" : "is-missing" }, nameOf(event)),
      this.makeClose(),
      h(
        "p",
        { class: "muted" },
        formatMoment(event.at),
        event.user && " · ",
        event.user && h("bdi", {}, event.user),
      ),
    );
  }

  /** @param {EventDetail} event */
  makeActions(event) {
    const { message } = event;
    const host = location.origin;
    const copies = /** @type {const} */ ([
      ["JSON", () => asJson(message)],
      ["curl", () => asCurl(message, host)],
      ["Python", () => asPython(message, host)],
      ["test", () => asTest(message)],
    ]);
    const buttons = copies.map(([what, make]) =>
      h("button", { type: "button", click: () => copy(make(), what) }, what),
    );
    return h(
      "div",
      { class: "detail-actions" },
      h(
        "div",
        { class: "segments", role: "group", "aria-label": "Copy as" },
        h("span", { class: "segments-label" }, icon("copy"), "Copy as"),
        ...buttons,
      ),
      h(
        "button",
        { class: "button", type: "button", click: () => this.send(formatJson(message)) },
        icon("send"),
        "Send again",
      ),
    );
  }

  /** @param {EventDetail} event */
  makeContent(event) {
    const { previous } = event;
    const changes = previous ? findChanges(previous.message, event.message) : [];
    const telling = changes.filter((one) => !one.isUsual).length;
    const tabs = [
      { id: "payload", label: "Payload", make: () => showPayload(event.message) },
      {
        id: "changes",
        label: previous ? `Changes (${telling})` : "Changes",
        make: () => this.makeChanges(event, changes),
      },
      {
        id: "edit",
        label: "Edit",
        make: () => makeEditor(asJson(event.message), (text) => this.send(text)),
      },
    ];
    return makeTabs(tabs, this.tab, (tab) => {
      this.tab = tab;
    });
  }

  /**
   * @param {EventDetail} event
   * @param {import("./difference.js").Change[]} changes
   */
  makeChanges({ previous, event, type }, changes) {
    if (!previous) {
      const what = event ? `${type} event named “${event}”` : `${type} event`;
      return h("p", { class: "muted" }, `This is the first ${what}: there is nothing to compare it with.`);
    }
    const open = () => this.open(previous.id);
    return h(
      "div",
      {},
      h(
        "p",
        { class: "muted" },
        "Since ",
        h("button", { class: "link", type: "button", click: open }, "the previous one"),
        `, ${formatMoment(previous.at)}`,
      ),
      showChanges(changes),
    );
  }

  /** @param {string} text the message, as JSON */
  async send(text) {
    try {
      const { id } = await ask("POST", "/send", `{"message": ${text}}`);
      toast("Sent");
      if (this.tab === "edit") this.tab = "payload";
      this.open(id);
    } catch (problem) {
      toastProblem(problem);
    }
  }
}

/**
 * Read an event; the numbers of its messages keep their digits.
 *
 * @param {string} text
 * @returns {EventDetail}
 */
function readEvent(text) {
  const event = JSON.parse(text);
  const { message, previous, gauge } = parseJson(text);
  if (event.previous) event.previous.message = previous.message;
  return { ...event, message, gauge };
}
