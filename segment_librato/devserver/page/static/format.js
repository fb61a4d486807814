/** Times, numbers and sizes as a person reads them. Pure. */

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const number = new Intl.NumberFormat("en-US");
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

/**
 * Return a time as `14:03:22.125`.
 *
 * @param {number} at seconds since the epoch
 */
export function formatClock(at) {
  const date = new Date(at * 1000);
  return `${clock.format(date)}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

/**
 * Return a time with its date.
 *
 * @param {number} at seconds since the epoch
 */
export function formatMoment(at) {
  return `${day.format(new Date(at * 1000))}, ${formatClock(at)}`;
}

/** @param {number} value */
export function formatCount(value) {
  return number.format(value);
}

/**
 * Return a count with its noun.
 *
 * @param {number} value
 * @param {string} noun in the singular
 */
export function countOf(value, noun) {
  return `${formatCount(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** @param {number} value */
export function formatShort(value) {
  return value < 10_000 ? number.format(value) : short.format(value);
}

/**
 * Return bytes as B, KB (1,024 bytes) or MB.
 *
 * @param {number} bytes
 */
export function formatBytes(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const [size, unit] = bytes < 1024 * 1024 ? [1024, "KB"] : [1024 * 1024, "MB"];
  const value = bytes / size;
  return `${value < 100 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

/**
 * Return a duration.
 *
 * @param {number} seconds
 */
export function formatDuration(seconds) {
  if (seconds < 0.001) return "< 1 ms";
  if (seconds < 1) return `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
  return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
}

/**
 * Return the value of a gauge.
 *
 * @param {number} value
 */
export function formatValue(value) {
  const isTiny = value !== 0 && Math.abs(value) < 0.001;
  return isTiny ? String(Number(value.toPrecision(4))) : formatCount(value);
}

/** Controls, and marks that turn the text around them: they would not be seen. */
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/**
 * Return a text in which everything can be seen; within a string of JSON, it means the same.
 *
 * @param {string} text
 */
export function reveal(text) {
  return text.replace(HIDDEN, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
