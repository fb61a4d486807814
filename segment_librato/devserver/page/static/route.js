/**
 * The part of the URL after `#`: which view is shown, and its filters, to be bookmarked and shared.
 * Owns the URL. Must not know what a view does with it.
 */

export const VIEWS = /** @type {const} */ (["events", "gauges", "requests"]);

/** @typedef {typeof VIEWS[number]} ViewName */

/** The view that the URL names. */
export function currentView() {
  const [name] = location.hash.slice(1).split("?");
  return VIEWS.find((one) => one === name) ?? "events";
}

/** The parameters of the view that the URL names. */
export function currentParameters() {
  const [, query = ""] = location.hash.split("?");
  return new URLSearchParams(query);
}

/**
 * Return the URL of a view.
 *
 * @param {ViewName} view
 * @param {URLSearchParams} [parameters]
 */
export function linkTo(view, parameters) {
  const query = parameters?.toString();
  return `#${view}${query ? `?${query}` : ""}`;
}

/**
 * Change parameters of the current view; an empty one is removed.
 *
 * @param {Record<string, string | string[]>} changes
 * @param {boolean} [isStep] whether the back button undoes it
 */
export function setParameters(changes, isStep = true) {
  const parameters = currentParameters();
  for (const [name, value] of Object.entries(changes)) {
    parameters.delete(name);
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one) parameters.append(name, one);
    }
  }
  const url = linkTo(currentView(), parameters);
  if (url === location.hash) return;
  history[isStep ? "pushState" : "replaceState"](null, "", url);
  dispatchEvent(new Event("routechange"));
}

/**
 * Call a function whenever the URL names something else.
 *
 * @param {() => void} listener
 */
export function onRoute(listener) {
  addEventListener("popstate", listener);
  addEventListener("routechange", listener);
}
