/** The report: a range of days in any time zone, as figures, charts and a table, to be printed or saved as CSV. */

import { make, write } from "./dom.js";
import { draw as drawReport, heading } from "./report_figures.js";
import { t, unit } from "./text.js";

const GROUPINGS = [["hour", "today.hour"], ["day", "report.day"], ["lot", "call.lot"], ["parker", "history.parker"], ["retriever", "history.retriever"]];
/** The range that the view begins with: the last seven days. */
const FIRST_PRESET = 2;
/** The presets before this one are a single day. */
const FIRST_LONG_PRESET = 2;
const DAY_MS = 86_400_000;

const at = (id) => document.getElementById(id);
const ownZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;

/** Today in a time zone, as `2026-11-29`; in the viewer's own where the zone is unknown. */
function today(zone) {
  const [year, month, day] = ["year", "month", "day"];
  const format = (timeZone) => new Intl.DateTimeFormat("en", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" });
  let parts;
  try {
    parts = format(zone).formatToParts();
  } catch {
    parts = format(ownZone()).formatToParts();
  }
  return [year, month, day].map((type) => parts.find((part) => part.type === type).value).join("-");
}

const daysBefore = (day, n) => new Date(Date.parse(day) - n * DAY_MS).toISOString().slice(0, 10);

/** The names of the presets, each with the days from today to its first and to its last day. */
const presets = () => [[t("today"), 0, 0], [t("report.yesterday"), 1, 1], [unit(7, "day"), 6, 0], [unit(30, "day"), 29, 0]];

export class Report {
  #api;
  #refused;
  #root = at("report");
  #button = at("show-report");
  #fields = {};
  #presets = [];
  #asked = 0;
  /** What the fields had when the report was closed, and the preset, or -1. */
  #kept = null;
  #preset = FIRST_PRESET;
  /** Whether a preset, and not a person, has chosen to group by hour. */
  #byHour = false;
  #watch = new AbortController();

  /** `refused(error)` is called when the server does not take the token any more. */
  constructor(api, refused) {
    this.#api = api;
    this.#refused = refused;
  }

  start() {
    this.#button.hidden = false;
    // The browser's Back closes the report, and its reload keeps it open.
    this.#button.onclick = () => {
      if (!this.#root.hidden) return history.back();
      history.pushState({ report: true }, "");
      this.#set(true);
    };
    addEventListener("popstate", ({ state }) => this.#set(Boolean(state?.report)), { signal: this.#watch.signal });
    this.#label(false);
    this.#set(Boolean(history.state?.report));
  }

  stop() {
    this.#asked += 1;
    this.#watch.abort();
    if (!this.#root.hidden) history.replaceState(null, "");
    this.#button.hidden = true;
    this.#root.hidden = true;
    this.#root.replaceChildren();
  }

  #set(open) {
    if (open !== this.#root.hidden) return;
    this.#root.hidden = !open;
    at("dashboard").hidden = open;
    this.#label(open);
    if (!open) {
      this.#asked += 1;
      this.#kept = this.#values();
      return this.#root.replaceChildren();
    }
    this.#draw();
    for (const [name, value] of Object.entries(this.#kept ?? {})) this.#fields[name].value = value;
    this.#root.querySelector("h2").focus();
    if (this.#preset >= 0) return this.#choose(this.#preset);
    this.#show();
  }

  #values = () => Object.fromEntries(Object.entries(this.#fields).map(([name, { value }]) => [name, value]));

  #label(open) {
    write(this.#button, t(open ? "report.back" : "report"));
  }

  #draw() {
    const field = (name, label, control) => {
      this.#fields[name] = control;
      control.name = name;
      return make("label", {}, make("span", {}, label), control);
    };
    const option = (value, text, chosen = false) => make("option", chosen ? { value, selected: "" } : { value }, text);
    const zones = make("datalist", { id: "report-zones" }, ...Intl.supportedValuesOf("timeZone").map((zone) => make("option", { value: zone })));
    this.#presets = presets().map(([name], place) => {
      const button = make("button", { type: "button", "aria-pressed": "false" }, name);
      button.onclick = () => this.#choose(place);
      return button;
    });
    const save = make("button", { type: "button" }, t("report.csv"));
    save.onclick = () => this.#save();
    const print = make("button", { type: "button" }, t("report.print"));
    print.onclick = () => window.print();
    const form = make("form", { class: "report-form" },
      make("div", { class: "report-top" },
        make("div", { class: "presets", role: "group", "aria-label": t("report.range") }, ...this.#presets),
        make("div", { class: "report-buttons" }, save, print)),
      field("from", t("report.from"), make("input", { type: "date", required: "" })),
      field("to", t("report.to"), make("input", { type: "date", required: "" })),
      field("by", t("report.by"), make("select", {}, ...GROUPINGS.map(([by, key]) => option(by, t(key), by === "day")))),
      field("lot", t("call.lot"), make("select", {}, option("", t("report.all-lots")), ...(this.#kept?.lot ? [option(this.#kept.lot, this.#kept.lot)] : []))),
      field("tz", t("report.zone"), make("input", { list: "report-zones", spellcheck: "false", autocomplete: "off" })),
      zones,
      make("button", { type: "submit", class: "primary" }, t("report.show")));
    form.onsubmit = (event) => {
      event.preventDefault();
      this.#mark(-1);
      this.#show();
    };
    this.#fields.tz.value = ownZone();
    // A choice is shown at once; a date is typed digit by digit, and waits for the button.
    for (const name of ["by", "lot"]) this.#fields[name].onchange = () => this.#show();
    this.#fields.by.addEventListener("change", () => { this.#byHour = false; });
    this.#root.replaceChildren(
      make("h2", { tabindex: "-1", id: "report-title" }, t("report")), form,
      make("p", { class: "error", role: "alert" }), make("p", { class: "report-range", role: "status" }), make("div", { class: "report-body" }));
    this.#fillLots();
  }

  async #fillLots() {
    const lots = await this.#answer(this.#api.lots());
    const names = (lots ?? []).filter(({ domain }) => domain !== "*").map(({ lot, domain }) => `${lot}@${domain}`);
    const known = new Set([...this.#fields.lot.options].map(({ value }) => value));
    this.#fields.lot.append(...names.filter((name) => !known.has(name)).map((name) => make("option", { value: name }, name)));
  }

  #mark(chosen) {
    this.#preset = chosen;
    this.#presets.forEach((button, place) => button.setAttribute("aria-pressed", String(place === chosen)));
  }

  #choose(place) {
    const [, first, last] = presets()[place];
    const day = today(this.#fields.tz.value);
    this.#fields.from.value = daysBefore(day, first);
    this.#fields.to.value = daysBefore(day, last);
    this.#mark(place);
    this.#fitGrouping(place < FIRST_LONG_PRESET);
    this.#show();
  }

  /** A single day by day is one bar; so its hours are shown, unless somebody has chosen otherwise. */
  #fitGrouping(isOneDay) {
    const { by } = this.#fields;
    if (isOneDay ? by.value !== "day" : !this.#byHour) return;
    by.value = isOneDay ? "hour" : "day";
    this.#byHour = isOneDay;
  }

  #query() {
    const asked = Object.entries(this.#fields).map(([name, { value }]) => [name, value.trim()]);
    return new URLSearchParams(asked.filter(([, value]) => value !== "")).toString();
  }

  async #show() {
    const body = this.#root.querySelector(".report-body");
    const asked = (this.#asked += 1);
    body.setAttribute("aria-busy", "true");
    const report = await this.#answer(this.#api.report(this.#query()));
    // Only the last question counts.
    if (asked !== this.#asked) return;
    body.setAttribute("aria-busy", "false");
    write(this.#root.querySelector(".report-range"), report === null ? "" : heading(report));
    body.replaceChildren(...(report === null ? [] : drawReport(report)));
  }

  async #save() {
    const csv = await this.#answer(this.#api.reportCsv(this.#query()));
    if (csv === null) return;
    const { from, to, by } = this.#fields;
    const link = make("a", { href: URL.createObjectURL(csv), download: `callpark-${from.value}-${to.value}-${by.value}.csv` });
    link.click();
    URL.revokeObjectURL(link.href);
  }

  /** The answer, or null with its reason on the page. */
  async #answer(request) {
    const asked = this.#asked;
    const why = this.#root.querySelector(".error");
    try {
      const answer = await request;
      if (why) write(why, "");
      return answer;
    } catch (error) {
      if (error.status === 401 || error.status === 403) this.#refused(error);
      else if (why && asked === this.#asked) write(why, error.status ? error.message : t("error.no-answer"));
      return null;
    }
  }
}
