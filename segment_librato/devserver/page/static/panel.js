/** A part of a view that folds; on a small screen it begins folded. */

import { h } from "./dom.js";

const SMALL = 800;

/**
 * @param {string} title
 * @param {...HTMLElement} content
 */
export function makePanel(title, ...content) {
  return h(
    "details",
    { class: "panel", open: innerWidth > SMALL },
    h("summary", {}, h("h2", {}, title)),
    h("div", { class: "panel-content" }, ...content),
  );
}
