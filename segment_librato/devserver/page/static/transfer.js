/** Import of JSON lines, from a file or dropped onto the page. */

import { ask } from "./api.js";
import { h, icon } from "./dom.js";
import { countOf } from "./format.js";
import { toast, toastProblem } from "./toast.js";

/** How much is posted at once: a file may be larger than what the server takes, or memory. */
const PART = 4 * 1024 * 1024;

/** Return the button that imports a file, and take files that are dropped. */
export function makeImport() {
  const input = h("input", {
    type: "file",
    accept: ".jsonl,.ndjson,.json,.txt",
    class: "visually-hidden",
    id: "import",
    tabindex: -1,
    "aria-hidden": "true",
    change: () => {
      if (input.files?.[0]) importFile(input.files[0]);
      input.value = "";
    },
  });
  takeDrops();
  return h(
    "div",
    { class: "import" },
    input,
    h(
      "button",
      {
        class: "button is-icon",
        type: "button",
        title: "Import JSON lines",
        "aria-label": "Import JSON lines",
        click: () => input.click(),
      },
      icon("upload"),
    ),
  );
}

/**
 * Post a file in parts that end at the end of a line.
 *
 * @param {File} file
 */
async function importFile(file) {
  let imported = 0;
  let skipped = 0;
  /** @param {string} text */
  const send = async (text) => {
    if (!text.trim()) return;
    const result = await ask("POST", "/events", text);
    imported += result.imported;
    skipped += result.skipped;
  };
  if (file.size > PART) toast("Importing …");
  try {
    const decoder = new TextDecoder();
    let rest = "";
    for (let start = 0; start < file.size; start += PART) {
      const bytes = await file.slice(start, start + PART).arrayBuffer();
      rest += decoder.decode(bytes, { stream: true });
      const end = rest.lastIndexOf("\n") + 1;
      await send(rest.slice(0, end));
      rest = rest.slice(end);
    }
    await send(rest + decoder.decode());
    const left = skipped ? `, ${countOf(skipped, "line")} skipped` : "";
    toast(`${countOf(imported, "event")} imported${left}`, skipped ? "bad" : "good");
  } catch (problem) {
    toastProblem(problem);
  }
}

function takeDrops() {
  addEventListener("dragover", (event) => {
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
  });
  addEventListener("drop", (event) => {
    const file = event.dataTransfer?.files[0];
    if (!file) return;
    event.preventDefault();
    importFile(file);
  });
}
