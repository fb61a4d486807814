/** Requests to the server that the page came from. Must not know what is shown. */

/** What the server said is wrong, or that it said nothing. */
export class ApiError extends Error {}

/**
 * Ask the server, and return what it says.
 *
 * @param {"GET" | "POST" | "DELETE"} method
 * @param {string} path
 * @param {string} [body] JSON, or lines of JSON
 * @param {(text: string) => any} [read] reads what it says
 * @returns {Promise<any>}
 */
export async function ask(method, path, body, read = JSON.parse) {
  let response;
  let text;
  try {
    const headers = { "Content-Type": "application/json" };
    response = await fetch(path, { method, body, headers });
    text = await response.text();
  } catch {
    throw new ApiError("The debugger does not answer. Is it still running?");
  }
  if (!response.ok) throw new ApiError(readProblem(text) || `The debugger answered with status ${response.status}.`);
  return text ? read(text) : null;
}

/**
 * @param {string} path
 * @returns {Promise<any>}
 */
export function get(path) {
  return ask("GET", path);
}

/**
 * @param {string} path
 * @param {unknown} body
 * @returns {Promise<any>}
 */
export function post(path, body) {
  return ask("POST", path, JSON.stringify(body));
}

/**
 * Write a query string; what is empty is left out.
 *
 * @param {Record<string, string | number | string[] | undefined>} parameters
 * @returns {string} with its question mark, or empty
 */
export function queryOf(parameters) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== "") query.append(name, String(one));
    }
  }
  const text = query.toString();
  return text && `?${text}`;
}

/** @param {string} text */
function readProblem(text) {
  try {
    const { message } = JSON.parse(text);
    return typeof message === "string" ? `The debugger says: ${message}.` : "";
  } catch {
    return "";
  }
}
