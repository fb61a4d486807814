/** What two messages do not have in common. Pure, but for how it is shown. */

import { h } from "./dom.js";
import { isContainer, isSame } from "./json.js";
import { showInline } from "./payload.js";

/** A text that is longer may have to be scrolled, which takes the focus. */
const LONG = 400;

/** What differs between any two messages, and so says nothing. */
const ALWAYS = new Set(["messageId", "timestamp", "sentAt", "originalTimestamp", "receivedAt"]);

/**
 * @typedef {object} Change
 * @property {string} path such as `properties.items[0].price`
 * @property {"added" | "removed" | "changed"} kind
 * @property {unknown} [before]
 * @property {unknown} [after]
 * @property {boolean} isUsual whether it differs between any two messages
 */

/**
 * Return what changed from one message to the next.
 *
 * @param {unknown} before
 * @param {unknown} after
 * @returns {Change[]}
 */
export function findChanges(before, after) {
  /** @type {Change[]} */
  const changes = [];
  compare("", before, after, changes);
  return changes;
}

/**
 * @param {string} path
 * @param {unknown} before
 * @param {unknown} after
 * @param {Change[]} changes
 */
function compare(path, before, after, changes) {
  if (isSame(before, after)) return;
  const isList = Array.isArray(after);
  if (!isContainer(before) || !isContainer(after) || Array.isArray(before) !== isList) {
    changes.push({ path, kind: "changed", before, after, isUsual: ALWAYS.has(path) });
    return;
  }
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const inner = join(path, key, isList);
    const isUsual = ALWAYS.has(inner);
    if (!Object.hasOwn(before, key)) {
      changes.push({ path: inner, kind: "added", after: after[key], isUsual });
    } else if (!Object.hasOwn(after, key)) {
      changes.push({ path: inner, kind: "removed", before: before[key], isUsual });
    } else compare(inner, before[key], after[key], changes);
  }
}

/**
 * @param {string} path
 * @param {string} key
 * @param {boolean} isIndex
 */
function join(path, key, isIndex) {
  if (isIndex) return `${path}[${key}]`;
  const name = /^[\w$-]+$/.test(key) ? key : JSON.stringify(key);
  return path ? `${path}.${name}` : name;
}

/**
 * Return an element that shows changes: those that say something first, the others folded.
 *
 * @param {Change[]} changes
 * @returns {HTMLElement}
 */
export function showChanges(changes) {
  const telling = changes.filter((one) => !one.isUsual);
  const usual = changes.filter((one) => one.isUsual);
  return h(
    "div",
    { class: "changes" },
    telling.length
      ? h("ul", {}, ...telling.map(showChange))
      : h("p", { class: "muted" }, "Nothing but ids and times differs."),
    usual.length > 0 &&
      h(
        "details",
        {},
        h("summary", {}, usual.length === 1 ? "1 field that always differs" : `${usual.length} fields that always differ`),
        h("ul", {}, ...usual.map(showChange)),
      ),
  );
}

/** @param {Change} change */
function showChange(change) {
  const { kind, path } = change;
  return h(
    "li",
    { class: `change is-${kind}` },
    h("span", { class: "change-path" }, path || "the whole message"),
    h("span", { class: "change-kind" }, kind),
    h(
      "span",
      { class: "change-values" },
      kind !== "added" && showValue("del", change.before),
      kind !== "removed" && showValue("ins", change.after),
    ),
  );
}

/**
 * @param {"del" | "ins"} tag
 * @param {unknown} value
 */
function showValue(tag, value) {
  const text = showInline(value);
  return h(tag, { tabindex: (text.textContent ?? "").length > LONG && 0 }, text);
}
