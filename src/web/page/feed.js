/** What the server tells: the stream of changes, and the listings that are fetched again after each change. */

import { anchor } from "./calls.js";
import { Connection } from "./connection.js";
import { Refresher } from "./refresher.js";
import { Stream } from "./stream.js";
import { t } from "./text.js";

const TICK_MS = 250;
const MINUTE_MS = 60_000;
const RECORDS_EVERY_MS = 5_000;

export class Feed {
  #api;
  #view;
  #leave;
  #connection = new Connection();
  #stream;
  #live = new Refresher(() => this.#fetchLive(), { soon: 100, every: 0 });
  #records = new Refresher(() => this.#fetchRecords(), { soon: 100, every: RECORDS_EVERY_MS });
  #timers;
  #known = new Map();
  #stopped = false;

  /**
   * `view` has `live(calls, lots)`, `records(stats, history)`, `event(change)`, `tick(now)` and `historyRows`.
   * `leave(why)` is called when the server does not take the token any more.
   */
  constructor(api, view, leave) {
    this.#api = api;
    this.#view = view;
    this.#leave = leave;
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
    this.#connection.none();
  }

  /** Fetches the calls again, after an action of this page. */
  ask() {
    this.#live.ask();
  }

  /** The stream is open before the first listing is fetched, so nothing falls between the two. */
  #opened() {
    this.#connection.live();
    this.#live.now();
    this.#records.now();
  }

  #changed(event) {
    this.#view.event(event);
    this.#live.ask();
    this.#records.ask();
  }

  async #fetchLive() {
    const answers = await this.#all(this.#api.calls(), this.#api.lots());
    if (answers === null) return;
    const [calls, lots] = answers;
    const now = performance.now();
    const anchored = calls.map((call) => anchor(call, now, this.#known.get(call.uuid) ?? null));
    this.#known = new Map(anchored.map((call) => [call.uuid, call]));
    this.#view.live(anchored, lots);
    this.#tick();
  }

  async #fetchRecords() {
    const answers = await this.#all(this.#api.today(), this.#view.historyRows > 0 ? this.#api.history(this.#view.historyRows) : []);
    if (answers !== null) this.#view.records(...answers);
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
    this.#view.tick(performance.now());
    this.#connection.tick();
  }
}
