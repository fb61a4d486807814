/** Single keys that do something. A person can switch them off. */

const KEY = "shortcuts";

export const setting = {
  isOn: () => localStorage.getItem(KEY) !== "off",
  /** @param {boolean} isOn */
  turn: (isOn) => localStorage.setItem(KEY, isOn ? "on" : "off"),
};

/** @typedef {{keys: string[], does: string, run: (key: string) => void}} Shortcut */

/**
 * Listen for shortcuts.
 *
 * @param {Shortcut[]} shortcuts
 */
export function listen(shortcuts) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const { target } = event;
    const isTyping = target instanceof HTMLElement && target.matches("input, textarea, select");
    if (event.key === "Escape" && isTyping) {
      target.blur();
      return;
    }
    if (isTyping || (event.key.length === 1 && !setting.isOn())) return;
    // Enter on a button presses it.
    if (event.key === "Enter" && target instanceof HTMLElement && target.matches("button, a, summary")) return;
    if (event.key.startsWith("Arrow") && !(target instanceof HTMLElement && target.matches(".rows, body"))) return;
    const shortcut = shortcuts.find(({ keys }) => keys.includes(event.key));
    if (!shortcut) return;
    event.preventDefault();
    shortcut.run(event.key);
  });
}
