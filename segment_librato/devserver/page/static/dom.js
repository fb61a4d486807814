/**
 * Elements. Owns how they are made: text is always text, never markup, and all of it is seen.
 * Must not know what is shown.
 */

import { reveal } from "./format.js";

/** @typedef {Node | string | number | null | undefined | false} Child */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element: `h("a", {href: "#events", class: "tab"}, "Events")`.
 *
 * A property is an attribute; `true` sets it empty, and false, null or undefined leave it out.
 * A function listens for the event of its name, as in `{click: save}`.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, unknown>} [properties]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") {
      element.addEventListener(name, /** @type {EventListener} */ (value));
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...nodes(children));
  return element;
}

/**
 * Replace what an element holds.
 *
 * @param {Element} element
 * @param {...Child} children
 */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
}

/**
 * Return the element of an id of `index.html`.
 *
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`no element #${id}`);
  return element;
}

/**
 * Set a text, but only if it differs: a change makes a screen reader speak and the browser paint.
 *
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  const shown = reveal(text);
  if (element.textContent !== shown) element.textContent = shown;
}

/**
 * Make an icon, which says nothing to a screen reader.
 *
 * @param {keyof typeof ICONS} name
 */
export function icon(name) {
  const drawing = svg("svg", { viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true" });
  drawing.append(svg("path", { d: ICONS[name] }));
  return drawing;
}

/**
 * Make an SVG element.
 *
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @returns {SVGElement}
 */
export function svg(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return /** @type {SVGElement} */ (element);
}

/**
 * @param {Child[]} children
 * @returns {(Node | string)[]}
 */
function nodes(children) {
  const shown = children.filter((one) => one !== null && one !== undefined && one !== false);
  return shown.map((one) => (one instanceof Node ? one : reveal(String(one))));
}

const ICONS = {
  arrow: "M3 8h9.5M9 4.5 12.5 8 9 11.5",
  check: "M3 8.5 6.5 12 13 4.5",
  close: "M4 4l8 8M12 4l-8 8",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  download: "M8 2.5v7.5M4.8 7 8 10.2 11.2 7M2.8 13.2h10.4",
  filter: "M2.5 4h11M4.5 8h7M6.5 12h3",
  keyboard: "M1.8 4h12.4v8.2H1.8zM4.4 6.6h.01M7 6.6h.01M9.4 6.6h.01M11.8 6.6h.01M4.8 9.6h6.4",
  moon: "M13.2 9.6A5.6 5.6 0 1 1 6.4 2.8a4.6 4.6 0 0 0 6.8 6.8z",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  play: "M5 3.2v9.6L12.6 8z",
  search: "M7 2.8a4.2 4.2 0 1 0 0 8.4 4.2 4.2 0 0 0 0-8.4zM10.2 10.2 13.4 13.4",
  send: "M2.6 3.2 13.6 8 2.6 12.8 4.4 8zM4.4 8h4.4",
  sun: "M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6zM8 1.4v1.4M8 13.2v1.4M1.4 8h1.4M13.2 8h1.4M3.3 3.3l1 1M11.7 11.7l1 1M12.7 3.3l-1 1M4.3 11.7l-1 1",
  system: "M2 3h12v8H2zM6 13.6h4M8 11v2.6",
  trash: "M2.8 4.4h10.4M6 4.2V2.6h4v1.6M4.2 4.6l.6 8.8h6.4l.6-8.8",
  upload: "M8 10.2V2.7M4.8 5.8 8 2.6l3.2 3.2M2.8 13.2h10.4",
};
