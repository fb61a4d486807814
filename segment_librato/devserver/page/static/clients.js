/** What connected clients say of themselves: accepted = delivered + failed + pending. */

import { get } from "./api.js";
import { fill, h } from "./dom.js";
import { formatCount } from "./format.js";
import { makePanel } from "./panel.js";
import { copy } from "./toast.js";

/** @typedef {import("./types.js").ConnectedClient} ConnectedClient */

const TERMS = /** @type {const} */ (["delivered", "failed", "pending"]);
const ALSO = /** @type {const} */ (["rejected", "retries", "requests"]);
const WATCH = [
  "from segment_librato.devserver.watching import watch",
  "",
  `watch(client, "${location.origin}", "my program")`,
].join("\n");

export class ClientsPanel {
  constructor() {
    this.list = h("div", { class: "clients" });
    this.element = makePanel("Clients", this.list);
    this.show([]);
  }

  async load() {
    try {
      this.show(await get("/clients"));
    } catch {
      // The connection is lost, which the top bar says.
    }
  }

  /** @param {ConnectedClient[]} clients */
  show(clients) {
    if (clients.length) fill(this.list, ...clients.map(showClient));
    else if (!this.list.querySelector(".clients-none")) fill(this.list, makeNone());
  }
}

/** @param {ConnectedClient} client */
function showClient({ name, stats }) {
  const { gauges } = stats;
  const counters = /** @type {Record<string, unknown> | null | undefined} */ (gauges);
  const isGauges = typeof counters === "object" && counters !== null;
  return h(
    "article",
    { class: "client" },
    h("h3", {}, name),
    (!isGauges || Number(stats.accepted) > 0) && showEquation("Messages", stats),
    isGauges && showEquation("Measurements", counters),
  );
}

/**
 * @param {string} noun
 * @param {Record<string, unknown>} stats
 */
function showEquation(noun, stats) {
  const count = (/** @type {string} */ name) => Number(stats[name]) || 0;
  const also = count("dropped") ? [...ALSO, "dropped"] : ALSO; // by a hook, which few have
  const accepted = count("accepted");
  const isTrue = accepted === TERMS.reduce((sum, name) => sum + count(name), 0);
  const bar = h("div", { class: "balance", "aria-hidden": "true" });
  for (const name of TERMS) {
    const part = h("i", { class: `is-${name}` });
    part.style.setProperty("--share", String(count(name)));
    bar.append(part);
  }
  const terms = TERMS.map((name, index) =>
    h("span", { class: "signed" }, h("span", { class: "sign" }, index ? "+" : "="), showTerm(name, count(name))),
  );
  return h(
    "div",
    { class: `equation${isTrue ? "" : " is-wrong"}` },
    h("div", { class: "terms" }, showTerm("accepted", accepted), ...terms),
    bar,
    h(
      "p",
      { class: "muted" },
      `${isTrue ? "" : "These do not add up! "}${noun}: `,
      also.map((name) => `${formatCount(count(name))} ${name}`).join(", "),
    ),
  );
}

/**
 * @param {string} name
 * @param {number} value
 */
function showTerm(name, value) {
  return h("span", { class: `term is-${name}` }, h("b", {}, formatCount(value)), h("span", {}, name));
}

function makeNone() {
  return h(
    "div",
    { class: "clients-none" },
    h("p", { class: "muted" }, "No client reports its counters. To see those of yours:"),
    h("pre", { class: "code", tabindex: 0, "aria-label": "Example" }, WATCH),
    h("button", { class: "button", type: "button", click: () => copy(WATCH, "Example") }, "Copy"),
  );
}
