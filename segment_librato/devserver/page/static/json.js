/**
 * JSON that is shown as it was sent: a number that JavaScript cannot hold keeps its digits.
 * Must not know what the values are for.
 */

import { reveal } from "./format.js";

/**
 * A number whose digits JavaScript would change, such as 12345678901234567890 or 1.0.
 */
export class ExactNumber {
  /** @param {string} digits */
  constructor(digits) {
    this.digits = digits;
  }
}

/**
 * Parse JSON; browsers that do not pass the source of a number on lose the digits.
 *
 * @param {string} text
 * @returns {any}
 */
export function parseJson(text) {
  /** @type {(key: string, value: unknown, context?: {source?: string}) => unknown} */
  const keepDigits = (_, value, context) =>
    typeof value === "number" && context?.source !== undefined && String(value) !== context.source
      ? new ExactNumber(context.source)
      : value;
  return JSON.parse(text, keepDigits);
}

/**
 * Write a value as JSON.
 *
 * @param {unknown} value
 * @param {string} [indent] what a level is indented by; nothing for compact JSON
 * @returns {string}
 */
export function formatJson(value, indent = "") {
  return write(value, indent, indent && "\n");
}

/**
 * @param {unknown} value
 * @param {string} indent
 * @param {string} newline
 * @returns {string}
 */
function write(value, indent, newline) {
  if (value instanceof ExactNumber) return value.digits;
  if (typeof value === "string") return quote(value);
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  const inner = newline + indent;
  const colon = indent ? ": " : ":";
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const parts = Array.isArray(value)
    ? value.map((item) => write(item, indent, inner))
    : Object.entries(value).map(
        ([key, item]) => quote(key) + colon + write(item, indent, inner),
      );
  return parts.length ? open + inner + parts.join("," + inner) + newline + close : open + close;
}

/**
 * Write a text as JSON, which is a literal of Python, too.
 *
 * @param {string} text
 */
export function quote(text) {
  return reveal(JSON.stringify(text));
}

/**
 * Return whether two JSON values are the same; the order of keys does not matter.
 *
 * @param {unknown} one
 * @param {unknown} other
 * @returns {boolean}
 */
export function isSame(one, other) {
  if (one instanceof ExactNumber && other instanceof ExactNumber) return one.digits === other.digits;
  if (!isContainer(one) || !isContainer(other)) return one === other;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const keys = Object.keys(one);
  return (
    keys.length === Object.keys(other).length &&
    keys.every((key) => Object.hasOwn(other, key) && isSame(one[key], other[key]))
  );
}

/**
 * Return whether a value is an object or a list of JSON.
 *
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
export function isContainer(value) {
  return value !== null && typeof value === "object" && !(value instanceof ExactNumber);
}
