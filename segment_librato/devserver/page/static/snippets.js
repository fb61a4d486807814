/** A message as text to paste elsewhere: JSON, curl, Python, a test. Pure. */

import { ExactNumber, formatJson, isContainer, quote } from "./json.js";

/** @typedef {import("./types.js").Message} Message */

/** The fields that the methods fill, beside those that all of them fill. @type {Record<string, string[]>} */
const FIELDS = {
  track: ["event", "properties"],
  identify: ["traits"],
  page: ["category", "name", "properties"],
  screen: ["category", "name", "properties"],
  group: ["groupId", "traits"],
  alias: ["previousId"],
};
/** What a client adds by itself. */
const ADDED = new Set(["type", "messageId", "sentAt", "writeKey", "receivedAt", "originalTimestamp"]);

/** @param {Message} message */
export function asJson(message) {
  return formatJson(message, "  ");
}

/**
 * A command for a POSIX shell.
 *
 * @param {Message} message
 * @param {string} host
 */
export function asCurl(message, host) {
  const body = formatJson({ writeKey: "any-key", batch: [message] });
  return [
    `curl --json ${quoteForShell(body)} \\`,
    `  ${quoteForShell(`${host}/v1/batch`)}`,
  ].join("\n");
}

/**
 * A program that makes the same call.
 *
 * @param {Message} message
 * @param {string} host
 */
export function asPython(message, host) {
  const timestamp = readTime(message.timestamp);
  const head = timestamp ? ["from datetime import datetime", ""] : [];
  return [
    ...head,
    "import segment_librato as analytics",
    "",
    'analytics.write_key = "any-key"',
    `analytics.host = ${quote(host)}`,
    ...formatCall(message, timestamp),
    "analytics.flush()",
    "",
  ].join("\n");
}

/**
 * A test that expects the message, to be completed with the code that tracks it.
 *
 * @param {Message} message
 */
export function asTest(message) {
  const type = methodOf(message);
  const key = { page: "name", screen: "name", group: "groupId" }[type] ?? "event";
  const named = key in message ? ` and one.get(${quote(key)}) == ${literal(message[key])}` : "";
  const expected = fieldsOf(message).filter(([field]) => field !== key && field !== "timestamp");
  const subject = typeof message[key] === "string" ? String(message[key]) : type;
  return [
    "from segment_librato import Client",
    "from segment_librato.devserver import LocalSegment",
    "",
    "",
    `def test_${nameOf(subject)}() -> None:`,
    "    with LocalSegment() as server:",
    '        client = Client("any-key", host=server.host)',
    "        ...  # the code that tracks it with `client`",
    "        client.shutdown()",
    `    messages = [one for one in server.messages if one["type"] == ${quote(type)}${named}]`,
    "    assert len(messages) == 1",
    ...expected.map(([field, value]) =>
      field === "context"
        ? `    assert messages[0]["context"].items() >= ${literal(value, "    ")}.items()`
        : `    assert messages[0][${quote(field)}] == ${literal(value, "    ")}`,
    ),
    "",
  ].join("\n");
}

/**
 * @param {Message} message
 * @param {string | null} timestamp
 * @returns {string[]}
 */
function formatCall(message, timestamp) {
  const method = methodOf(message);
  const fields = fieldsOf(message);
  const lines = fields.map(([field, value]) => {
    const text = field === "timestamp" ? `datetime.fromisoformat(${quote(String(timestamp))})` : literal(value, "    ");
    return `    ${field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}=${text},`;
  });
  const known = new Set(fieldNamesOf(method));
  const lost = Object.keys(message).filter((key) => !known.has(key) && !ADDED.has(key));
  const note = lost.length ? [`# The message also has: ${lost.map(quote).join(", ")}`] : [];
  return [...note, `analytics.${method}(`, ...lines, ")"];
}

/** @param {Message} message */
function methodOf({ type }) {
  return typeof type === "string" && Object.hasOwn(FIELDS, type) ? type : "track";
}

/** @param {string} method */
function fieldNamesOf(method) {
  const anonymous = method === "alias" ? [] : ["anonymousId"];
  return ["userId", ...anonymous, ...FIELDS[method], "context", "integrations", "timestamp"];
}

/**
 * Return what a call gives, as pairs of field and value: neither what is empty, nor what the client
 * adds to the context, nor a timestamp that is none.
 *
 * @param {Message} message
 * @returns {[string, unknown][]}
 */
function fieldsOf(message) {
  return fieldNamesOf(methodOf(message))
    .map((field) => /** @type {[string, unknown]} */ ([field, field === "context" ? withoutLibrary(message.context) : message[field]]))
    .filter(([, value]) => value !== undefined && value !== null)
    .filter(([, value]) => !isContainer(value) || Object.keys(value).length > 0)
    .filter(([field, value]) => field !== "timestamp" || readTime(value));
}

/**
 * Return a time as `datetime.fromisoformat` of Python 3.10 reads it; null if it is none.
 *
 * @param {unknown} value
 */
function readTime(value) {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6})\d*)?(Z|[+-]\d\d:\d\d)$/.exec(String(value));
  if (!match) return null;
  const [, moment, fraction, zone] = match;
  return `${moment}${fraction ? `.${fraction.padEnd(6, "0")}` : ""}${zone === "Z" ? "+00:00" : zone}`;
}

/** @param {unknown} context */
function withoutLibrary(context) {
  if (!isContainer(context) || Array.isArray(context)) return context;
  const { library: _, ...rest } = context;
  return rest;
}

/**
 * A value as a Python literal.
 *
 * @param {unknown} value
 * @param {string} [indent]
 * @returns {string}
 */
function literal(value, indent = "") {
  if (value instanceof ExactNumber) return value.digits;
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (!isContainer(value)) return typeof value === "string" ? quote(value) : String(value);
  const isList = Array.isArray(value);
  const parts = Object.entries(value).map(([key, item]) => {
    const text = literal(item, `${indent}    `);
    return isList ? text : `${quote(key)}: ${text}`;
  });
  const [open, close] = isList ? "[]" : "{}";
  const line = open + parts.join(", ") + close;
  if (line.length + indent.length <= 72 && !line.includes("\n")) return line;
  const inner = parts.map((part) => `${indent}    ${part},\n`).join("");
  return `${open}\n${inner}${indent}${close}`;
}

/** @param {string} text */
function quoteForShell(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** @param {string} text */
function nameOf(text) {
  return text.toLowerCase().replaceAll(/[^a-z0-9]+/g, "_").replaceAll(/^_|_$/g, "").slice(0, 60) || "message";
}
