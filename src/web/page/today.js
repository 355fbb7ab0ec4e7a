/** What happened today in all lots together, as three charts. */

import { columns, figure, rowsOfBars } from "./charts.js";

const OUTCOMES = [
  ["retrieved", "Retrieved", "fresh"],
  ["returned", "Returned", "plain"],
  ["fallback", "Fallback", "soon"],
  ["transferred", "Transferred", "plain"],
  ["abandoned", "Abandoned", "late"],
];
const WAITS = ["10 s", "30 s", "1 min", "2 min", "5 min", "10 min"];

/** Adds lists place by place; rows are lots. */
function added(stats, field, length) {
  return Array.from({ length }, (_, place) => stats.reduce((sum, row) => sum + row[field][place], 0));
}

function byHour(stats) {
  const two = (hour) => String(hour).padStart(2, "0");
  return added(stats, "by_hour", 24).map((value, hour) => ({
    label: `${two(hour)}:00–${two((hour + 1) % 24)}:00`,
    short: hour % 4 === 0 ? two(hour) : "",
    value,
    tone: "plain",
  }));
}

function waits(stats) {
  return added(stats, "waits", WAITS.length + 1).map((value, place) => ({
    label: place < WAITS.length ? `up to ${WAITS[place]}` : `more than ${WAITS.at(-1)}`,
    short: place < WAITS.length ? `≤${WAITS[place].replace(" min", "m").replace(" s", "s")}` : `>${WAITS.at(-1).replace(" min", "m")}`,
    value,
    tone: "plain",
  }));
}

function outcomes(stats) {
  return OUTCOMES.map(([field, name, tone]) => ({
    label: name,
    short: name,
    value: stats.reduce((sum, row) => sum + row[field], 0),
    tone,
  }));
}

export class Today {
  #root;
  #drawn = "";

  constructor(root) {
    this.#root = root;
  }

  show(stats) {
    const drawn = JSON.stringify(stats);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    // A table that somebody opened stays open, and keeps the focus, when the numbers change under it.
    const before = [...this.#root.querySelectorAll("details")];
    const open = before.map((details) => details.open);
    const focused = before.findIndex((details) => details.contains(document.activeElement));
    this.#root.replaceChildren(
      figure("Calls by hour (server’s clock)", ["Hour", "Calls"], byHour(stats), columns),
      figure("How long they waited", ["Wait", "Calls"], waits(stats), columns),
      figure("How they ended", ["Outcome", "Calls"], outcomes(stats), rowsOfBars),
    );
    this.#root.querySelectorAll("details").forEach((details, place) => {
      details.open = open[place] ?? false;
      if (place === focused) details.querySelector("summary").focus();
    });
  }

  clear() {
    this.#drawn = "";
    this.#root.replaceChildren();
  }
}
