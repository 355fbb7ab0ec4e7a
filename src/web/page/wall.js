/** A wallboard: one lot, several or all, in type that is read from across the room. It only shows. */

import { inUse } from "./boards.js";
import { callerOf, isWaiting, urgency, waiting } from "./calls.js";
import { make, theirs, write } from "./dom.js";
import { Feed } from "./feed.js";
import { icon } from "./icons.js";
import { locale, number, t } from "./text.js";
import { duration } from "./time.js";

const at = (id) => document.getElementById(id);
const percent = new Intl.NumberFormat(locale, { style: "percent" });
const sum = (rows, field) => rows.reduce((total, row) => total + row[field], 0);

/** The lots that the address names: `?lot=main&lot=support@example.com`; none means all. */
export function chosenLots(search) {
  return new URLSearchParams(search).getAll("lot").flatMap((names) => names.split(",")).filter(Boolean);
}

export const isChosen = (chosen, { lot, domain }) => chosen.length === 0 || chosen.includes(lot) || chosen.includes(`${lot}@${domain}`);

/** The share of today's calls that were answered in time, over all lots, or null where none has ended. */
export function shareInTime(stats) {
  const ended = stats.map((row) => ({ share: row.in_time, count: row.retrieved + row.returned + row.fallback + row.transferred + row.abandoned }));
  const counted = ended.filter(({ share, count }) => share !== null && count > 0);
  return counted.length === 0 ? null : counted.reduce((total, { share, count }) => total + share * count, 0) / sum(counted, "count");
}

/** The names of the lots, and within which time callers are to be answered. Where the lots differ, each name has its own time. */
export function namesAndLevel(lots) {
  const levels = lots.map((lot) => lot.service_level);
  const [from, to] = lots.length === 0 ? [0, 0] : [Math.min(...levels), Math.max(...levels)];
  if (from === to) return [lots.map(({ lot }) => lot).join(" · "), t("wall.in-time", { seconds: to })];
  return [lots.map(({ lot, service_level: seconds }) => t("wall.lot", { lot, seconds })).join(" · "), t("wall.in-own-time", { from, to })];
}

export class Wall {
  historyRows = 0;
  #feed;
  #chosen = chosenLots(location.search);
  #calls = [];
  #levels = new Map();
  #rows = [];
  #lock = null;
  #watch = new AbortController();

  constructor(api, me, leave) {
    this.#feed = new Feed(api, this, leave);
    write(at("wall-note"), me.rights.includes("act") ? t("wall.acts") : "");
    at("full-screen").onclick = () => document.documentElement.requestFullscreen();
    at("full-screen").hidden = !document.fullscreenEnabled;
  }

  start() {
    this.#feed.start();
    const { signal } = this.#watch;
    addEventListener("resize", () => this.#draw(), { signal });
    document.addEventListener("visibilitychange", () => this.#stayAwake(), { signal });
    this.#stayAwake();
  }

  stop() {
    this.#watch.abort();
    this.#feed.stop();
    this.#lock?.release();
    this.live([], []);
    this.tick(performance.now());
    this.records([]);
  }

  event() {}

  live(calls, lots) {
    const shown = inUse(lots).filter((lot) => isChosen(this.#chosen, lot));
    this.#calls = calls.filter((call) => isWaiting(call) && isChosen(this.#chosen, call));
    this.#calls.sort((a, b) => Number(b.late ?? false) - Number(a.late ?? false) || a.since - b.since);
    this.#levels = new Map(shown.map((lot) => [`${lot.lot}@${lot.domain}`, lot.service_level]));
    const names = lots.flatMap(({ lot, domain }) => [lot, `${lot}@${domain}`]);
    const missing = lots.length > 0 ? this.#chosen.filter((name) => !names.includes(name)) : [];
    const [title, level] = namesAndLevel(shown);
    write(at("wall-lots"), missing.length > 0 ? t("wall.no-lot", { lot: missing.join(", ") }) : title);
    write(at("wall-waiting"), number(this.#calls.length));
    write(at("wall-free"), number(sum(shown, "free")));
    write(at("wall-in-time-title"), level);
    document.title = this.#calls.length > 0 ? t("title.waiting", { n: this.#calls.length }) : t("title");
    this.#draw();
  }

  records(stats) {
    const chosen = stats.filter((row) => isChosen(this.#chosen, row));
    const share = shareInTime(chosen);
    write(at("wall-in-time"), share === null ? "–" : percent.format(share));
    write(at("wall-parked"), number(sum(chosen, "parked")));
    write(at("wall-abandoned"), number(sum(chosen, "abandoned")));
  }

  tick(now) {
    for (const { call, wait, item } of this.#rows) {
      const ms = waiting(call, now);
      write(wait, duration(ms));
      this.#mark(item, call, ms);
    }
    const [longest] = [...this.#calls].sort((a, b) => a.since - b.since);
    const ms = longest && waiting(longest, now);
    write(at("wall-longest"), longest ? duration(ms) : "–");
    at("wall-longest").dataset.urgency = longest ? this.#urgency(longest, ms) : "";
  }

  #urgency = (call, ms) => urgency(ms, this.#levels.get(`${call.lot}@${call.domain}`) ?? Infinity, call.late);

  #mark(item, call, ms) {
    const urgent = this.#urgency(call, ms);
    if (item.dataset.urgency === urgent) return;
    item.dataset.urgency = urgent;
    item.querySelector(".mark").replaceChildren(icon(urgent), make("span", { class: "unseen" }, t(`urgency.${urgent}`)));
  }

  /** As many callers as the screen has room for: nobody scrolls a wall. */
  #draw() {
    const list = at("wall-calls");
    const room = Math.max(1, Math.floor(list.clientHeight / parseFloat(getComputedStyle(list).gridAutoRows)));
    const shown = this.#calls.slice(0, room);
    this.#rows = shown.map((call) => this.#row(call));
    list.replaceChildren(...this.#rows.map(({ item }) => item));
    const more = this.#calls.length - shown.length;
    write(at("wall-more"), this.#calls.length === 0 ? t("wall.nobody") : more > 0 ? t("wall.more", { n: more }) : "");
    this.tick(performance.now());
  }

  #row(call) {
    const wait = make("span", { class: "wait" });
    const state = call.state === "parked" ? [] : [make("span", { class: "state" }, t(`state.${call.state}`))];
    const label = call.label ? [theirs(call.label, { class: "label" })] : [];
    const item = make("li", { class: "slot wall-call", "data-slot": call.slot, "data-state": call.state },
      make("span", { class: "number" }, call.slot || t("slot.none")), theirs(callerOf(call), { class: "name" }), ...label, ...state,
      make("span", { class: "mark" }), wait);
    return { call, wait, item };
  }

  /** The screen stays on, where the browser allows it, also after it was hidden. */
  async #stayAwake() {
    if (document.visibilityState !== "visible") return;
    try {
      this.#lock = await navigator.wakeLock?.request("screen");
    } catch {
      // A battery that is nearly empty, or a browser that refuses: the screen then goes dark by its own rules.
    }
  }
}
