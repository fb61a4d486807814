/** A field whose text is a parameter of the URL. Must not know what it filters. */

import { h } from "./dom.js";
import { debounce } from "./pace.js";
import { currentParameters, setParameters } from "./route.js";

/** @typedef {ReturnType<typeof makeTextFilter>} TextFilter */

/**
 * Return a field, and a function that shows what the URL says.
 *
 * @param {string} name of the parameter
 * @param {Record<string, string>} properties of the field
 */
export function makeTextFilter(name, properties) {
  let isTyping = false;
  const change = debounce(() => {
    isTyping = false;
    // However much is typed, the back button undoes it at once.
    setParameters({ [name]: input.value }, !currentParameters().has(name));
  });
  const input = h("input", {
    ...properties,
    type: "search",
    autocomplete: "off",
    spellcheck: "false",
    input: () => {
      isTyping = true;
      change();
    },
  });
  const show = () => {
    if (!isTyping) input.value = currentParameters().get(name) ?? "";
  };
  return { input, show };
}
