/** The signed-in page: what is fetched when, and who is shown it. */

import { Actions } from "./actions.js";
import { Announcer } from "./announcer.js";
import { Boards } from "./boards.js";
import { anchor } from "./calls.js";
import { Connection } from "./connection.js";
import { History } from "./history.js";
import { Refresher } from "./refresher.js";
import { Stream } from "./stream.js";
import { t } from "./text.js";
import { Today } from "./today.js";
import { Totals } from "./totals.js";

const HISTORY_ROWS = 50;
const TICK_MS = 250;
const MINUTE_MS = 60_000;

const at = (id) => document.getElementById(id);

export class Dashboard {
  #api;
  #leave;
  #connection = new Connection();
  #announcer = new Announcer(at("announcer"));
  #totals = new Totals();
  #today = new Today(at("charts"));
  #history = new History(at("history"));
  #actions;
  #boards;
  #stream;
  #live = new Refresher(() => this.#fetchLive(), { soon: 100, every: 0 });
  #records = new Refresher(() => this.#fetchRecords(), { soon: 100, every: 5_000 });
  #timers;
  #stopped = false;

  /** `leave(why)` is called when the server does not take the token any more. */
  constructor(api, rights, leave) {
    this.#api = api;
    this.#leave = leave;
    this.#actions = new Actions(at("actions"), api, (words) => this.#did(words));
    this.#boards = new Boards(at("boards"), rights.includes("act") ? (call, opener) => this.#actions.open(call, opener) : null);
    this.#stream = new Stream(api, {
      open: () => this.#opened(),
      change: (event) => this.#changed(event),
      lost: () => this.#connection.lost(),
      refused: (error) => this.#refused(error),
    });
  }

  start() {
    this.#connection.connecting();
    this.#stream.run();
    // "Today" ends at midnight, also where nobody parks.
    this.#timers = [setInterval(() => this.#tick(), TICK_MS), setInterval(() => this.#records.ask(), MINUTE_MS)];
  }

  stop() {
    this.#stopped = true;
    this.#timers.forEach(clearInterval);
    this.#stream.close();
    this.#live.stop();
    this.#records.stop();
    this.#actions.close();
    this.#announcer.clear();
    this.#totals.clear();
    this.#boards.clear();
    this.#today.clear();
    this.#history.clear();
    this.#connection.none();
  }

  /** The stream is open before the first listing is fetched, so nothing falls between the two. */
  #opened() {
    this.#connection.live();
    this.#live.now();
    this.#records.now();
  }

  #changed(event) {
    this.#announcer.event(event);
    this.#live.ask();
    this.#records.ask();
  }

  #did(words) {
    this.#announcer.say(words);
    this.#live.ask();
  }

  async #fetchLive() {
    const answers = await this.#all(this.#api.calls(), this.#api.lots());
    if (answers === null) return;
    const [calls, lots] = answers;
    const anchored = calls.map((call) => anchor(call));
    this.#boards.show(lots, anchored);
    this.#totals.show(lots, anchored);
    this.#actions.follow(anchored);
    this.#tick();
  }

  async #fetchRecords() {
    const answers = await this.#all(this.#api.today(), this.#api.history(HISTORY_ROWS));
    if (answers === null) return;
    const [stats, history] = answers;
    this.#totals.showToday(stats);
    this.#today.show(stats);
    this.#history.show(history);
  }

  /** All answers, or null where there is nothing to show: one is missing, or nobody looks any more. */
  async #all(...requests) {
    try {
      const answers = await Promise.all(requests);
      return this.#stopped ? null : answers;
    } catch (error) {
      if (error.status === 401 || error.status === 403) this.#refused(error);
      // What is on the screen may be old now; a new connection fetches all of it again.
      else this.#stream.restart();
      return null;
    }
  }

  #refused(error) {
    if (this.#stopped) return;
    this.#leave(error.status === 401 ? t("sign-in.expired") : error.message);
  }

  #tick() {
    const now = performance.now();
    this.#boards.tick(now);
    this.#totals.tick(now);
    this.#connection.tick();
  }
}
