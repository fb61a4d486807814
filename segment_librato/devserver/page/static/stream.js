/**
 * The live connection: what is newest on the server, and whether it can be reached.
 * Must not know what is shown.
 */

/** @typedef {import("./types.js").LiveState} LiveState */

/** How long a lost connection may last before it is called lost, in ms. */
const GRACE = 1500;

/**
 * Follow the server for as long as the page lives; the browser connects again by itself.
 *
 * @param {(state: LiveState, isFirst: boolean) => void} onState also told whether it is the first
 *   of a connection: the debugger may be another one, whose ids mean something else
 * @param {(isConnected: boolean) => void} onConnection
 */
export function follow(onState, onConnection) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let losing;
  let isFirst = true;
  const connect = () => {
    const source = new EventSource("/stream");
    source.addEventListener("open", () => {
      clearTimeout(losing);
      losing = undefined;
      isFirst = true;
      onConnection(true);
    });
    source.addEventListener("message", (event) => {
      onState(JSON.parse(event.data), isFirst);
      isFirst = false;
    });
    source.addEventListener("error", () => {
      losing ??= setTimeout(() => onConnection(false), GRACE);
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, GRACE);
    });
  };
  connect();
}
