/** The four figures on top, which are to be read from across the room. */

import { inUse } from "./boards.js";
import { callerOf, isWaiting, urgency, waiting } from "./calls.js";
import { write } from "./dom.js";
import { number, t } from "./text.js";
import { duration } from "./time.js";

const at = (id) => document.getElementById(id);
const sum = (rows, field) => rows.reduce((total, row) => total + row[field], 0);

export class Totals {
  #longest = null;
  #serviceLevel = 60;

  show(lots, calls) {
    const waitingCalls = calls.filter(isWaiting);
    const shown = inUse(lots);
    this.#longest = waitingCalls.reduce((oldest, call) => (oldest && oldest.since <= call.since ? oldest : call), null);
    const lot = this.#longest && lots.find((lot) => lot.lot === this.#longest.lot && lot.domain === this.#longest.domain);
    this.#serviceLevel = lot?.service_level ?? 60;

    write(at("waiting"), number(waitingCalls.length));
    const ringing = waitingCalls.filter((call) => call.state === "ringing-back").length;
    write(at("waiting-note"), ringing > 0 ? t("now.ringing", { n: ringing }) : t("now.lots", { n: shown.length }));
    write(at("free"), number(sum(shown, "free")));
    write(at("free-note"), t("now.of", { n: sum(shown, "size") }));
    write(at("longest-note"), this.#longest ? `${this.#longest.slot} · ${callerOf(this.#longest)}` : t("now.nobody"));
    document.title = waitingCalls.length > 0 ? t("title.waiting", { n: waitingCalls.length }) : t("title");
  }

  showToday(stats) {
    write(at("refused"), number(sum(stats, "full")));
  }

  clear() {
    this.show([], []);
    this.tick(performance.now());
    write(at("refused"), "");
  }

  tick(now) {
    const ms = this.#longest && waiting(this.#longest, now);
    write(at("longest"), ms === null ? "–" : duration(ms));
    at("longest").dataset.urgency = ms === null ? "" : urgency(ms, this.#serviceLevel, this.#longest.late);
  }
}
