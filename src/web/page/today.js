/** What happened today in all lots together, as three charts. */

import { columns, figure, rowsOfBars } from "./charts.js";
import { locale, t, unit } from "./text.js";
import { duration } from "./time.js";

const OUTCOMES = [["retrieved", "fresh"], ["returned", "plain"], ["fallback", "soon"], ["transferred", "plain"], ["abandoned", "late"]];
const WAITS = [[10, "second"], [30, "second"], [1, "minute"], [2, "minute"], [5, "minute"], [10, "minute"]];

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
  return added(stats, "waits", WAITS.length + 1).map((value, place) => {
    const [most, name] = WAITS[place] ?? WAITS.at(-1);
    const [key, sign] = place < WAITS.length ? ["today.up-to", ""] : ["today.more-than", ">"];
    const short = sign + duration(most * (name === "minute" ? 60_000 : 1000)); // the axis has no room for the words of each language
    return { label: t(key, { time: unit(most, name) }), short, value, tone: "plain" };
  });
}

function outcomes(stats) {
  return OUTCOMES.map(([outcome, tone]) => {
    const word = t(`outcome.${outcome}`);
    const name = word[0].toLocaleUpperCase(locale) + word.slice(1);
    return { label: name, short: name, value: stats.reduce((sum, row) => sum + row[outcome], 0), tone };
  });
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
      figure(t("today.hours"), [t("today.hour"), t("today.calls")], byHour(stats), columns),
      figure(t("today.waits"), [t("today.wait"), t("today.calls")], waits(stats), columns),
      figure(t("today.outcomes"), [t("outcome"), t("today.calls")], outcomes(stats), rowsOfBars),
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
