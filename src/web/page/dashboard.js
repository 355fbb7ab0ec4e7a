/** The signed-in page: who is shown what the server tells, and what can be done. */

import { Actions } from "./actions.js";
import { Alerts } from "./alerts.js";
import { Announcer } from "./announcer.js";
import { Boards } from "./boards.js";
import { callerOf } from "./calls.js";
import { Colleagues, seenUsers } from "./colleagues.js";
import { Desk } from "./desk.js";
import { Feed } from "./feed.js";
import { History } from "./history.js";
import { Notices } from "./notices.js";
import { Takes } from "./takes.js";
import { inWords, t } from "./text.js";
import { Today } from "./today.js";
import { Totals } from "./totals.js";

const at = (id) => document.getElementById(id);

export class Dashboard {
  historyRows = 50;
  #me;
  #feed;
  #calls = [];
  #announcer = new Announcer(at("announcer"));
  #notices = new Notices(at("notices"));
  #totals = new Totals();
  #today = new Today(at("charts"));
  #history = new History(at("history"));
  #colleagues;
  #alerts = new Alerts(at("alerts"), this.#notices, (uuid) => this.#open(uuid));
  #takes;
  #desk = null;
  #actions;
  #boards;
  #wanted = new URLSearchParams(location.search).get("slot");

  /** `leave(why)` is called when the server does not take the token any more. */
  constructor(api, me, leave) {
    this.#me = me;
    this.#takes = new Takes(api, this.#notices, () => this.#boards.redraw());
    this.#actions = new Actions(at("actions"), api, this.#takes, (verb, words) => this.#did(verb, words));
    const hands = {
      open: (call, opener) => this.#actions.open(call, opener),
      take: (call, card) => this.#take(call, card),
      words: (call) => this.#takes.words(call),
    };
    this.#colleagues = new Colleagues(at("colleagues"), at("extensions"), me.user);
    const acts = me.rights.includes("act");
    this.#boards = new Boards(at("boards"), acts ? hands : null);
    this.#feed = new Feed(api, this, leave);
    if (acts) this.#desk = new Desk(api, me, {
      colleagues: this.#colleagues, notices: this.#notices, take: hands.take, changed: () => this.#feed.ask(),
    });
    at("wall-link").href = `?${new URLSearchParams([...new URLSearchParams(location.search).getAll("lot").map((lot) => ["lot", lot]), ["view", "wall"]])}`;
    at("find").oninput = () => this.#boards.find(at("find").value.trim());
  }

  start() {
    this.#feed.start();
    this.#desk?.start();
  }

  stop() {
    this.#feed.stop();
    this.#desk?.stop();
    this.#actions.close();
    at("find").value = "";
    for (const part of [this.#announcer, this.#notices, this.#totals, this.#boards, this.#today, this.#history, this.#colleagues, this.#alerts]) part.clear();
  }

  live(calls, lots) {
    this.#calls = calls;
    this.#takes.follow(calls);
    this.#alerts.follow(calls, lots);
    this.#boards.show(lots, calls);
    this.#totals.show(lots, calls);
    this.#actions.follow(calls, lots);
    this.#desk?.offer(lots, calls);
    if (this.#wanted !== null) this.#openWanted();
  }

  records(stats, history) {
    // Shown at once with their content, so that nothing moves on the way.
    for (const section of document.querySelectorAll(".today, .history")) section.hidden = false;
    this.#totals.showToday(stats);
    this.#today.show(stats);
    this.#history.show(history);
    this.#colleagues.seen(seenUsers(history, this.#calls));
  }

  event(change) {
    this.#announcer.event(change);
    this.#takes.event(change);
    this.#actions.event(change);
    this.#alerts.event(change);
    this.#desk?.ask();
  }

  tick(now) {
    this.#boards.tick(now);
    this.#totals.tick(now);
    this.#alerts.tick(now);
    this.#actions.tick(now);
    this.#desk?.tick(now);
  }

  /** A token without a user has no phone that could ring: its holder names one. */
  async #take(call, card) {
    if (!this.#me.user) return this.#actions.open(call, card);
    try {
      await this.#takes.take(call);
    } catch (error) {
      this.#notices.fail(`${callerOf(call)}: ${inWords(error)}`);
    }
    this.#feed.ask();
  }

  /** The card shows what was done; only a caller who was transferred has no card any more. */
  #did(verb, words) {
    if (verb === "transfer") this.#notices.tell(words);
    else this.#announcer.say(words);
    this.#feed.ask();
  }

  /** Opens the call that a link names: `/?slot=701&lot=main`. */
  #openWanted() {
    const [lot, slot] = [new URLSearchParams(location.search).get("lot"), this.#wanted];
    this.#wanted = null;
    const call = this.#calls.find((call) => call.slot === slot && (!lot || lot === call.lot || lot === `${call.lot}@${call.domain}`));
    if (call) this.#open(call.uuid);
    else this.#notices.fail(t("error.gone"));
  }

  #open(uuid) {
    const call = this.#calls.find((call) => call.uuid === uuid);
    const item = call && document.querySelector(`#boards [data-slot="${CSS.escape(call.slot)}"][data-lot="${CSS.escape(`${call.lot}@${call.domain}`)}"]`);
    item?.scrollIntoView({ block: "center" });
    const card = item?.querySelector("button.card");
    if (card) this.#actions.open(call, card);
  }
}
