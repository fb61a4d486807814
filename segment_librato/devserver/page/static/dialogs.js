/** The help, and a question before something cannot be undone. */

import { byId, fill, h } from "./dom.js";

/** What is written on a key. @type {Record<string, string>} */
const KEYS = { ArrowDown: "↓", ArrowUp: "↑", Escape: "Esc" };

/**
 * Ask, and return whether the answer was yes.
 *
 * @param {{title: string, text: string, yes: string}} question
 * @returns {Promise<boolean>}
 */
export function confirm({ title, text, yes }) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("confirm"));
  const close = (/** @type {string} */ answer) => () => dialog.close(answer);
  fill(
    dialog,
    h("h2", { id: "confirm-title" }, title),
    h("p", {}, text),
    h(
      "div",
      { class: "dialog-buttons" },
      h("button", { class: "button", type: "button", click: close("no") }, "Cancel"),
      h("button", { class: "button is-danger", type: "button", click: close("yes") }, yes),
    ),
  );
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/**
 * Show which keys do what.
 *
 * @param {readonly {keys: readonly string[], does: string}[]} shortcuts
 * @param {{isOn: () => boolean, turn: (isOn: boolean) => void}} setting
 */
export function showHelp(shortcuts, setting) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("help"));
  const toggle = h("input", {
    type: "checkbox",
    checked: setting.isOn(),
    change: () => setting.turn(toggle.checked),
  });
  fill(
    dialog,
    h("h2", { id: "help-title" }, "Keyboard"),
    h(
      "dl",
      { class: "shortcuts" },
      ...shortcuts.map(({ keys, does }) =>
        h("div", {}, h("dt", {}, ...keys.map((key) => h("kbd", {}, KEYS[key] ?? key))), h("dd", {}, does)),
      ),
    ),
    h("label", { class: "check" }, toggle, "Use single keys as shortcuts"),
    h(
      "div",
      { class: "dialog-buttons" },
      h("button", { class: "button is-main", type: "button", click: () => dialog.close() }, "Close"),
    ),
  );
  dialog.showModal();
}
