/** What the list shows when it is empty: what to run, or that nothing matches. */

import { ask } from "./api.js";
import { fill, h, icon } from "./dom.js";
import { clearFilters } from "./filters.js";
import { copy, toastProblem } from "./toast.js";

/** @typedef {{name: string, text: (host: string) => string}} Example */

/** @type {Example[]} */
const EXAMPLES = [
  {
    name: "Python",
    text: (host) =>
      [
        "import segment_librato as analytics",
        "",
        'analytics.write_key = "any-key"',
        `analytics.host = "${host}"`,
        "",
        'analytics.track("ada", "Signed Up", {"plan": "pro"})',
        'analytics.gauge("queue.depth", 42, source="web-1")',
        "analytics.flush()",
      ].join("\n"),
  },
  {
    name: "Shell",
    text: (host) =>
      [
        `export SEGMENT_HOST=${host}`,
        "export SEGMENT_WRITE_KEY=any-key",
        "",
        'segment-librato track --user-id ada --event "Signed Up"',
        "segment-librato gauge queue.depth 42 --source web-1",
      ].join("\n"),
  },
  {
    name: "curl",
    text: (host) =>
      [
        `curl ${host}/v1/track -u any-key: --json \\`,
        `  '{"userId": "ada", "event": "Signed Up"}'`,
      ].join("\n"),
  },
];

/** Return what the list shows before the first event. */
export function makeEmptyState() {
  const host = location.origin;
  return h(
    "div",
    { class: "welcome" },
    h("div", { class: "welcome-pulse", "aria-hidden": "true" }, h("i"), h("i"), h("i")),
    h("h2", {}, "Waiting for the first event"),
    h("p", {}, "Point a client at this host. Nothing leaves your machine, and any write key will do."),
    makeHost(host),
    makeExamples(host),
    h(
      "p",
      { class: "muted" },
      "Or ",
      h("button", { class: "link", type: "button", click: sendTestEvent }, "send a test event"),
      " from here.",
    ),
  );
}

/** @param {string} host */
function makeExamples(host) {
  const code = h("code");
  let current = EXAMPLES[0];
  const buttons = EXAMPLES.map((example) =>
    h("button", { type: "button", click: () => select(example) }, example.name),
  );
  /** @param {Example} example */
  const select = (example) => {
    current = example;
    fill(code, example.text(host));
    EXAMPLES.forEach((one, index) =>
      buttons[index].setAttribute("aria-pressed", String(one === example)),
    );
  };
  select(current);
  const copyCurrent = () => copy(current.text(host), current.name);
  return h(
    "div",
    { class: "example" },
    h(
      "div",
      { class: "example-head" },
      h("div", { class: "segments", role: "group", "aria-label": "Example" }, ...buttons),
      h("button", { class: "button is-quiet", type: "button", click: copyCurrent }, icon("copy"), "Copy"),
    ),
    h("pre", { class: "code", tabindex: 0, "aria-label": "Example" }, code),
  );
}

/** @param {string} host */
function makeHost(host) {
  return h(
    "div",
    { class: "host" },
    h("code", { id: "host" }, host),
    h(
      "button",
      { class: "button is-main", type: "button", click: () => copy(host, "Host") },
      icon("copy"),
      "Copy host",
    ),
  );
}

async function sendTestEvent() {
  const message = {
    type: "track",
    userId: "ada",
    event: "Signed Up",
    properties: { plan: "pro", value: 42 },
    context: { Librato: { source: "web-1" } },
    messageId: crypto.randomUUID(),
    timestamp: new Date().toISOString(),
  };
  try {
    await ask("POST", "/send", JSON.stringify({ message }));
  } catch (problem) {
    toastProblem(problem);
  }
}

/** Return what the list shows when there are events, but none that matches. */
export function makeNoMatch() {
  return h(
    "div",
    { class: "empty-text" },
    h("h2", {}, "No event matches"),
    h("p", {}, "A new event appears here as soon as it matches."),
    h("button", { class: "button", type: "button", click: clearFilters }, "Clear the filters"),
  );
}
