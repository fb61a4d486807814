/** The page: makes the views and passes on what changes. Owns what is on every view. */

import { showHelp } from "./dialogs.js";
import { byId, fill, icon, setText } from "./dom.js";
import { EventsView } from "./events.js";
import { formatShort } from "./format.js";
import { GaugesView } from "./gauges.js";
import { Pulse } from "./pulse.js";
import { RequestsView } from "./requests.js";
import { VIEWS, currentView, linkTo, onRoute } from "./route.js";
import { listen, setting } from "./shortcuts.js";
import { follow } from "./stream.js";

/** @typedef {import("./types.js").LiveState} LiveState */

const TITLES = { events: "Events", gauges: "Gauges", requests: "Requests" };
const THEMES = /** @type {const} */ (["system", "light", "dark"]);

const events = new EventsView();
const gauges = new GaugesView();
const requests = new RequestsView();
const pulse = new Pulse();

function showView() {
  const current = currentView();
  for (const view of VIEWS) {
    byId(`view-${view}`).hidden = view !== current;
    byId(`nav-${view}`).toggleAttribute("data-current", view === current);
    byId(`nav-${view}`).setAttribute("aria-current", view === current ? "page" : "false");
  }
  document.title = `${TITLES[current]} · segment_librato debugger`;
  events.onRoute();
  gauges.onRoute();
  requests.onRoute();
}

/**
 * @param {LiveState} state
 * @param {boolean} isFirst whether it is the first of a connection
 */
function showState(state, isFirst) {
  pulse.note(state.latest);
  setText(byId("count-events"), formatShort(state.events));
  events.onState(state, isFirst);
  gauges.onState(state, isFirst);
  requests.onState(state, isFirst);
}

/** @param {boolean} isConnected */
function showConnection(isConnected) {
  const element = byId("connection");
  element.classList.toggle("is-lost", !isConnected);
  setText(byId("connection-text"), isConnected ? "Live" : "Not connected");
  byId("lost").hidden = isConnected;
}

function currentTheme() {
  return THEMES.find((one) => one === localStorage.getItem("theme")) ?? "system";
}

function changeTheme() {
  localStorage.setItem("theme", THEMES[(THEMES.indexOf(currentTheme()) + 1) % THEMES.length]);
  dispatchEvent(new Event("themechange"));
  showTheme();
}

function showTheme() {
  const theme = currentTheme();
  const button = byId("theme");
  const symbols = /** @type {const} */ ({ system: "system", light: "sun", dark: "moon" });
  fill(button, icon(symbols[theme]));
  button.title = `Theme: ${theme}`;
  button.setAttribute("aria-label", `Theme: ${theme}`);
}

/** The list of the current view. */
function currentList() {
  return { events: events.list, requests: requests.list, gauges: null }[currentView()];
}

/** Close what is open, from the inside out. */
function close() {
  if (events.panel.isOpen) events.panel.setOpen(false);
  else if (currentView() === "events") events.open(null);
}

/** @type {import("./shortcuts.js").Shortcut[]} */
const shortcuts = [
  { keys: ["j", "ArrowDown"], does: "Next row", run: () => currentList()?.move(1) },
  { keys: ["k", "ArrowUp"], does: "Previous row", run: () => currentList()?.move(-1) },
  { keys: ["Enter"], does: "Open the event", run: () => openActive() },
  { keys: ["Escape"], does: "Close it, or leave a field", run: close },
  { keys: ["/"], does: "Search", run: () => focusSearch() },
  { keys: ["p"], does: "Pause or resume", run: () => currentView() === "events" && events.togglePause() },
  { keys: ["1", "2", "3"], does: "Events, gauges, requests", run: (key) => goTo(Number(key) - 1) },
  { keys: ["?"], does: "This help", run: () => showHelp(shortcuts, setting) },
];

function openActive() {
  const list = currentList();
  if (list && list.active >= 0) list.options.onOpen(list.active);
}

function focusSearch() {
  byId(currentView() === "gauges" ? "gauge-search" : "search").focus();
}

/** @param {number} index */
function goTo(index) {
  location.hash = linkTo(VIEWS[index]);
}

byId("theme").addEventListener("click", changeTheme);
fill(byId("keys"), icon("keyboard"));
byId("keys").addEventListener("click", () => showHelp(shortcuts, setting));
byId("skip").addEventListener("click", () => currentList()?.element.focus());
showTheme();
listen(shortcuts);
onRoute(showView);
showView();
follow(showState, showConnection);
