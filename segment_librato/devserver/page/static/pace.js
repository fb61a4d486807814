/** Functions that are called less often. */

/**
 * Return a function that calls another once nobody has called it for a moment.
 *
 * @param {() => void} call
 * @param {number} [delay] ms
 */
export function debounce(call, delay = 150) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let waiting;
  return () => {
    clearTimeout(waiting);
    waiting = setTimeout(call, delay);
  };
}

/**
 * Return a function that calls another at most once in a while, and once more if it was called
 * meanwhile.
 *
 * @param {() => Promise<void>} call
 * @param {number} pause ms
 */
export function throttle(call, pause) {
  let isResting = false;
  let isWanted = false;
  const run = async () => {
    if (isResting) {
      isWanted = true;
      return;
    }
    isResting = true;
    isWanted = false;
    await call();
    setTimeout(() => {
      isResting = false;
      if (isWanted) run();
    }, pause);
  };
  return run;
}
