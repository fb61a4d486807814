/** Short notices at the edge of the screen, which a screen reader speaks. */

import { byId, h } from "./dom.js";

const DURATION = 4000;

/**
 * Show a notice for a while.
 *
 * @param {string} text
 * @param {"good" | "bad"} [kind]
 */
export function toast(text, kind = "good") {
  const area = byId("toasts");
  const notice = h("div", { class: `toast is-${kind}` }, text);
  area.append(notice);
  while (area.childElementCount > 3) area.firstElementChild?.remove();
  setTimeout(() => notice.remove(), kind === "bad" ? 2 * DURATION : DURATION);
}

/**
 * Show what went wrong.
 *
 * @param {unknown} problem
 */
export function toastProblem(problem) {
  toast(problem instanceof Error ? problem.message : String(problem), "bad");
}

/**
 * Copy a text, and say so.
 *
 * @param {string} text
 * @param {string} what
 */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} copied`);
  } catch {
    toast("The browser does not allow copying", "bad");
  }
}
