/** A message that is edited as JSON and sent. Must not know where it came from. */

import { fill, h, icon } from "./dom.js";
import { isContainer, parseJson } from "./json.js";

/**
 * Return an editor.
 *
 * @param {string} text the message
 * @param {(text: string) => void} send
 */
export function makeEditor(text, send) {
  const problem = h("p", { class: "editor-problem", role: "alert", id: "editor-problem" });
  const area = h("textarea", {
    class: "editor-text",
    spellcheck: "false",
    "aria-label": "The message as JSON",
    "aria-describedby": "editor-problem",
    rows: Math.min(Math.max(text.split("\n").length, 8), 24),
    input: () => fill(problem, findProblem(area.value)),
    keydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit();
    },
  });
  area.value = text;
  const submit = () => {
    fill(problem, findProblem(area.value));
    if (!problem.textContent) send(area.value);
  };
  return h(
    "div",
    { class: "editor" },
    area,
    h(
      "div",
      { class: "editor-foot" },
      problem,
      h("button", { class: "button is-main", type: "button", click: submit }, icon("send"), "Send"),
      h("span", { class: "muted" }, h("kbd", {}, "Ctrl"), " ", h("kbd", {}, "Enter")),
    ),
  );
}

/** @param {string} text */
function findProblem(text) {
  try {
    return isMessage(parseJson(text)) ? "" : "A message is a JSON object.";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** @param {unknown} value */
function isMessage(value) {
  return isContainer(value) && !Array.isArray(value);
}
