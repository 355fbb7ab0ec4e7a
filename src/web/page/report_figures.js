/** What a report shows: its range, the totals beside those of the period before, what stands out, charts, and a table of all figures. */

import { columns, rowsOfBars } from "./charts.js";
import { make, theirs } from "./dom.js";
import { locale, number, t, unit } from "./text.js";
import { duration } from "./time.js";

const OUTCOMES = ["retrieved", "returned", "fallback", "transferred", "abandoned"];
/** More rows of bars are not readable; the table has all of them. */
const MOST_BARS = 10;
/** The most names below a row of columns. */
const MOST_NAMES = 8;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** A Monday. */
const MONDAY_MS = 4 * DAY_MS;

const percent = (share) => new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 0 }).format(share);
const share = (value) => (value === null ? "–" : percent(value));
const capital = (word) => word[0].toLocaleUpperCase(locale) + word.slice(1);
const day = (text, options) => new Intl.DateTimeFormat(locale, { timeZone: "UTC", ...options }).format(new Date(text));
const hours = (hour) => `${hour}:00–${hour + 1}:00`;
const seconds = (n) => (n % 60 === 0 ? unit(n / 60, "minute") : unit(n, "second"));

/** The zone of the report; the browser does not know the name of the server's own. */
const zoneOf = ({ tz }) => (tz === "server" ? undefined : tz);

/** The days of a range, with the hours if it ends within a day. */
function range(from, to, report, within = false) {
  const style = within ? { dateStyle: "medium", timeStyle: "short" } : { dateStyle: "medium" };
  return new Intl.DateTimeFormat(locale, { timeZone: zoneOf(report), ...style }).formatRange(new Date(from), new Date(Math.max(from, to - 1)));
}

/** The name of a group: in full, and for the axis of a chart. */
function names({ by }, group) {
  if (by === "hour") return [hours(Number(group.slice(0, 2))), group.slice(0, 2)];
  if (by === "day") return [capital(day(group, { weekday: "short", day: "numeric", month: "short" })), day(group, { day: "numeric", month: "numeric" })];
  return group === "" ? [t("report.nobody"), t("report.nobody")] : [group, group.split("@")[0]];
}

/** The groups of a chart: without gaps where they have an order. */
function charted(report) {
  const known = new Map(report.groups.map((row) => [row.group, row]));
  const filled = (groups) => groups.map((group) => known.get(group) ?? { group, parked: 0, wait_p95_ms: 0 });
  if (report.by === "hour") return filled([...Array(24).keys()].map((hour) => `${String(hour).padStart(2, "0")}:00`));
  if (report.by !== "day" || report.groups.length === 0) return report.groups.slice(0, MOST_BARS);
  const [first, last] = [report.groups[0], report.groups.at(-1)].map(({ group }) => Date.parse(group));
  return filled([...Array((last - first) / DAY_MS + 1).keys()].map((n) => new Date(first + n * DAY_MS).toISOString().slice(0, 10)));
}

function chart(title, report, rows, field, shown) {
  const ordered = report.by === "hour" || report.by === "day";
  const each = Math.ceil(rows.length / MOST_NAMES);
  const bars = rows.map((row, place) => {
    const [label, short] = names(report, row.group);
    return { label, short: ordered && place % each ? "" : short, value: row[field], shown: shown(row[field]), tone: "plain" };
  });
  if (bars.every(({ value }) => value === 0)) return null;
  return make("figure", { class: "chart" }, make("figcaption", {}, title), (ordered ? columns : rowsOfBars)(bars));
}

function totals({ total, before }) {
  const rows = [
    [t("report.parked"), ({ parked }) => number(parked)],
    [t("report.in-time"), (figures) => share(figures.in_time)],
    [capital(t("outcome.abandoned")), ({ abandoned }) => number(abandoned)],
    [t("report.median"), (figures) => duration(figures.wait_median_ms)],
    [t("report.p95"), (figures) => duration(figures.wait_p95_ms)],
    [t("report.longest"), (figures) => duration(figures.wait_longest_ms)],
  ];
  return make("dl", { class: "totals report-totals" }, ...rows.map(([title, value]) =>
    make("div", {}, make("dt", {}, title), make("dd", { class: "figure" }, value(total)),
      make("dd", { class: "note" }, t("report.before", { value: value(before) })))));
}

/** A finding in the viewer's language; the text of the server is English. */
function sentence(finding, report) {
  const { kind, weekday, hour, group, count, of, count_before, of_before } = finding;
  const weekHour = () => `${capital(day(MONDAY_MS + (weekday - 1) * DAY_MS, { weekday: "long" }))} ${hours(hour)}`;
  const compared = { count, of, share: percent(count / of), count_before, of_before, share_before: percent(count_before / of_before) };
  const waitedLong = (name) => t("report.long-waits", { name, count, of, time: seconds(report.long_wait_seconds) });
  return {
    "long-waits-hour": () => waitedLong(weekHour()),
    "long-waits-group": () => waitedLong(names(report, group)[0]),
    abandoned: () => t("report.abandoned", compared),
    "in-time": () => t("report.in-time-share", { ...compared, time: seconds(report.service_level) }),
    "busiest-hour": () => t("report.busiest", { name: weekHour(), count, of }),
  }[kind]?.() ?? finding.text;
}

function table(report) {
  const by = { hour: "today.hour", day: "report.day", lot: "call.lot", parker: "history.parker", retriever: "history.retriever" }[report.by];
  const columnsOf = [
    [t("report.parked"), ({ parked }) => number(parked)],
    ...OUTCOMES.map((outcome) => [capital(t(`outcome.${outcome}`)), (figures) => number(figures[outcome])]),
    [t("report.in-time"), (figures) => share(figures.in_time)],
    [t("report.mean"), (figures) => duration(figures.wait_mean_ms)],
    [t("report.median"), (figures) => duration(figures.wait_median_ms)],
    [t("report.p95"), (figures) => duration(figures.wait_p95_ms)],
    [t("report.longest"), (figures) => duration(figures.wait_longest_ms)],
  ];
  // The roles are said aloud because a phone shows the table as cards, and display: grid takes a table's meaning away.
  const line = (name, figures) => make("tr", { role: "row" }, make("th", { role: "rowheader", scope: "row" }, name),
    ...columnsOf.map(([title, value]) => make("td", { role: "cell", "data-name": title }, value(figures))));
  const heads = [t(by), ...columnsOf.map(([title]) => title)].map((title) => make("th", { role: "columnheader", scope: "col" }, title));
  return make("div", { class: "report-table", "data-by": report.by }, make("table", { role: "table", "aria-label": t("report.figures") },
    make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...heads)),
    make("tbody", { role: "rowgroup" }, ...report.groups.map((row) => line(theirs(names(report, row.group)[0]), row))),
    make("tfoot", { role: "rowgroup" }, line(t("report.total"), report.total), line(t("report.period-before"), report.before))));
}

/** The range of a report, and with which it is compared, in words. */
export function heading(report) {
  const { before } = report;
  // The period before is shorter where the range has not ended yet.
  const within = report.to - report.from - (before.to - before.from) > 2 * HOUR_MS;
  const pieces = { range: range(report.from, report.to, report), before: range(before.from, before.to, report, within) };
  return t("report.compared", { ...pieces, zone: report.tz });
}

/** The elements of a report. */
export function draw(report) {
  const { groups, findings } = report;
  if (report.total.parked === 0) return [make("p", { class: "empty" }, t("report.empty"))];
  const rows = charted(report);
  const charts = [
    chart(t("today.calls"), report, rows, "parked", number),
    chart(t("report.p95"), report, rows, "wait_p95_ms", duration),
  ].filter((drawn) => drawn !== null);
  const standsOut = findings.length === 0 ? [] : [make("section", { class: "findings", "aria-labelledby": "findings-title" },
    make("h3", { id: "findings-title" }, t("report.findings")),
    make("ul", {}, ...findings.map((finding) => make("li", {}, theirs(sentence(finding, report))))))];
  const more = report.truncated ? [make("p", { class: "note" }, t("report.more", { n: groups.length }))] : [];
  return [totals(report), ...standsOut, make("div", { class: "charts" }, ...charts), table(report), ...more];
}
