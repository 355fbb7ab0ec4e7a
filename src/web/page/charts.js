/**
 * Bars as SVG. All places are percentages of the drawing, so that it follows the width of its box while its text
 * keeps the size of the page's own. Each chart has the same numbers as a table.
 */

import { draw, make } from "./dom.js";
import { number, t } from "./text.js";

const LABEL_ROOM = 14;
const HEAD_ROOM = 12;
/** Of rows of bars: the longest name of an outcome, in any language, fits where the chart is narrowest. */
const NAMES_WIDTH = 47;
const BARS_WIDTH = 39;

/**
 * `rows` are `{label, short, value, shown, tone}`. The text `shown` is for a value that is not just a number. A label without `short` is left
 * out of the axis, never out of the table.
 */
export function figure(title, head, rows, shape) {
  const total = rows.reduce((sum, row) => sum + row.value, 0);
  const caption = make("figcaption", {}, title);
  const drawing = total > 0 ? shape(rows) : make("p", { class: "empty" }, t("today.empty"));
  return make("figure", { class: "chart" }, caption, drawing, table(title, head, rows));
}

export function columns(rows) {
  const most = Math.max(...rows.map((row) => row.value));
  const peak = rows.findIndex((row) => row.value === most);
  const step = 100 / rows.length;
  const floor = 100 - LABEL_ROOM;
  const svg = chart("columns");
  rows.forEach(({ short, value, shown = number(value), tone }, place) => {
    const height = ((floor - HEAD_ROOM) * value) / most;
    const middle = (place + 0.5) * step;
    if (value > 0) svg.append(bar(tone, place * step + step * 0.12, floor - height, step * 0.76, height));
    // Narrow columns have no room for all their numbers: only the peak is named.
    if (value > 0 && (rows.length < 10 || place === peak)) svg.append(text("value", middle, floor - height - 2, shown));
    if (short) svg.append(text("axis", middle, 98, short));
  });
  svg.append(draw("line", { x1: "0", x2: "100%", y1: `${floor}%`, y2: `${floor}%`, class: "floor" }));
  return svg;
}

export function rowsOfBars(rows) {
  const most = Math.max(...rows.map((row) => row.value));
  const step = 100 / rows.length;
  const svg = chart("rows");
  rows.forEach(({ short, value, shown = number(value), tone }, place) => {
    const middle = (place + 0.5) * step;
    const width = (BARS_WIDTH * value) / most;
    svg.append(text("name", 0, middle, short));
    if (value > 0) svg.append(bar(tone, NAMES_WIDTH, place * step + step * 0.2, width, step * 0.6));
    svg.append(text("value", NAMES_WIDTH + 2 + width, middle, shown));
  });
  return svg;
}

/** The drawing says nothing to a screen reader: the table beside it says it better. */
const chart = (kind) => draw("svg", { class: `bars ${kind}`, "aria-hidden": "true" });

const bar = (tone, x, y, width, height) =>
  draw("rect", { class: `tone-${tone}`, x: `${x}%`, y: `${y}%`, width: `${width}%`, height: `${height}%`, rx: "2" });

const text = (kind, x, y, words) => draw("text", { class: kind, x: `${x}%`, y: `${y}%` }, String(words));

function table(title, head, rows) {
  const cells = rows.map(({ label, value }) =>
    make("tr", {}, make("th", { scope: "row" }, label), make("td", {}, number(value))));
  const heads = head.map((word) => make("th", { scope: "col" }, word));
  return make("details", {},
    make("summary", {}, t("today.table"), make("span", { class: "unseen" }, `: ${title}`)),
    make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...cells)));
}
