/** Tabs: one of several contents is shown. Must not know what they are. */

import { fill, h } from "./dom.js";

/** @typedef {{id: string, label: string, make: () => HTMLElement}} Tab */

/**
 * Return tabs with the content of one of them; arrow keys move between them.
 *
 * @param {Tab[]} tabs
 * @param {string} initial the id of the one shown first
 * @param {(id: string) => void} onChange
 */
export function makeTabs(tabs, initial, onChange) {
  const content = h("div", { class: "tab-content", role: "tabpanel", id: "tab-content", tabindex: 0 });
  const buttons = tabs.map((tab) =>
    h(
      "button",
      {
        type: "button",
        role: "tab",
        id: `tab-${tab.id}`,
        "aria-controls": "tab-content",
        click: () => select(tab.id),
      },
      tab.label,
    ),
  );
  /** @param {string} id */
  const select = (id) => {
    tabs.forEach((tab, index) => {
      buttons[index].setAttribute("aria-selected", String(tab.id === id));
      buttons[index].tabIndex = tab.id === id ? 0 : -1;
      if (tab.id !== id) return;
      content.setAttribute("aria-labelledby", `tab-${id}`);
      fill(content, tab.make());
    });
    onChange(id);
  };
  const list = h("div", { class: "tabs", role: "tablist", "aria-label": "Show" }, ...buttons);
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const current = buttons.findIndex((button) => button === document.activeElement);
    const next = (current + step + tabs.length) % tabs.length;
    select(tabs[next].id);
    buttons[next].focus();
    event.preventDefault();
  });
  select(initial);
  return h("div", { class: "detail-content" }, list, content);
}
