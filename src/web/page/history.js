/** The calls that ended last, newest first. */

import { local } from "./calls.js";
import { make, theirs } from "./dom.js";
import { t } from "./text.js";
import { duration, moment } from "./time.js";

const endOf = ({ parked_at, wait_ms }) => parked_at + wait_ms;

const COLUMNS = [
  ["ended", "history.ended", (row) => moment(endOf(row))],
  ["where", "history.slot", (row) => row.slot],
  ["caller", "history.caller", caller],
  ["label", "history.label", (row) => theirs(row.label)],
  ["parker", "history.parker", (row) => theirs(local(row.parker, row.domain))],
  ["retriever", "history.retriever", (row) => theirs(local(row.retriever, row.domain))],
  ["waited", "history.waited", (row) => duration(row.wait_ms)],
  ["outcome-cell", "outcome", (row) => make("span", { class: `outcome outcome-${row.outcome}` }, t(`outcome.${row.outcome}`))],
];

function caller({ caller_name, caller_number }) {
  const name = theirs(caller_name || caller_number || t("caller.unknown"), { class: "name" });
  return make("span", { class: "who" }, name, ...(caller_name && caller_number ? [" ", theirs(caller_number, { class: "phone" })] : []));
}

// The roles are said aloud because a phone shows the table as cards, and display: grid takes a table's meaning away.
function line(row) {
  const cells = COLUMNS.map(([kind, , value]) =>
    make("td", { role: "cell", class: kind, "data-by": t("history.by") }, value(row)));
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
    if (rows.length === 0) return this.#root.replaceChildren(make("p", { class: "empty" }, t("history.none")));
    // The server lists first who was parked last, which is not who left last.
    const last = [...rows].sort((a, b) => endOf(b) - endOf(a));
    const heads = COLUMNS.map(([kind, title]) => make("th", { role: "columnheader", scope: "col", class: kind }, t(title)));
    this.#root.replaceChildren(make("table", { role: "table", "aria-labelledby": "history-title" },
      make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...heads)),
      make("tbody", { role: "rowgroup" }, ...last.map(line))));
  }

  clear() {
    this.#drawn = "";
    this.#root.replaceChildren();
  }
}
