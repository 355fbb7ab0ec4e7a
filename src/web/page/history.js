/** The calls that ended last, newest first. */

import { local } from "./calls.js";
import { make, theirs } from "./dom.js";
import { duration, moment } from "./time.js";

const COLUMNS = [
  ["ended", "Ended", (row) => moment(row.parked_at + row.wait_ms)],
  ["where", "Slot", (row) => row.slot],
  ["caller", "Caller", caller],
  ["label", "Label", (row) => theirs(row.label)],
  ["parker", "Parked by", (row) => theirs(local(row.parker, row.domain))],
  ["retriever", "Taken by", (row) => theirs(local(row.retriever, row.domain))],
  ["waited", "Waited", (row) => duration(row.wait_ms)],
  ["outcome-cell", "Outcome", (row) => make("span", { class: `outcome outcome-${row.outcome}` }, row.outcome)],
];

function caller({ caller_name, caller_number }) {
  const name = theirs(caller_name || caller_number || "Unknown caller", { class: "name" });
  return make("span", { class: "who" }, name, ...(caller_name && caller_number ? [" ", theirs(caller_number, { class: "phone" })] : []));
}

// The roles are said aloud because a phone shows the table as cards, and display: grid takes a table's meaning away.
function line(row) {
  const cells = COLUMNS.map(([kind, , value]) =>
    make("td", { role: "cell", class: kind }, value(row)));
  return make("tr", { role: "row" }, ...cells);
}

export class History {
  #root;
  #drawn = "";

  constructor(root) {
    this.#root = root;
  }

  show(rows) {
    const drawn = JSON.stringify(rows);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    if (rows.length === 0) return this.#root.replaceChildren(make("p", { class: "empty" }, "No parked call has ended yet."));
    const heads = COLUMNS.map(([kind, title]) => make("th", { role: "columnheader", scope: "col", class: kind }, title));
    this.#root.replaceChildren(make("table", { role: "table", "aria-labelledby": "history-title" },
      make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...heads)),
      make("tbody", { role: "rowgroup" }, ...rows.map(line))));
  }

  clear() {
    this.#drawn = "";
    this.#root.replaceChildren();
  }
}
