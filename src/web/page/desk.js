/** What the holder of a token has at hand: the own calls, colleagues, and calls that are dragged between them and the slots. */

import { callerOf } from "./calls.js";
import { Drags } from "./drags.js";
import { Mine } from "./mine.js";
import { Refresher } from "./refresher.js";
import { rememberIn } from "./takes.js";
import { inWords, t } from "./text.js";

const POLL_MS = 3_000;
const USERS_EVERY_MS = 15_000;

const at = (id) => document.getElementById(id);

export class Desk {
  #api;
  #me;
  #colleagues;
  #notices;
  #take;
  #changed;
  #calls = new Map();
  #mine = new Mine(at("mine"), (channel, slot, lot) => this.#park(channel, slot, lot));
  #channels = new Refresher(() => this.#fetch(), { soon: 150, every: 500 });
  #users = new Refresher(() => this.#fetchUsers(), { soon: 0, every: USERS_EVERY_MS });
  #drags;
  #poll;

  /** `take(call)` rings the own phone; `changed()` is called after an action. */
  constructor(api, me, { colleagues, notices, take, changed }) {
    this.#api = api;
    this.#me = me;
    this.#colleagues = colleagues;
    this.#notices = notices;
    this.#take = take;
    this.#changed = changed;
    this.#drags = new Drags({
      "mine slot": ({ dataset: { uuid } }, { dataset: { slot, lot } }) => this.#park(this.#mine.channel(uuid), slot, lot),
      "mine lot": ({ dataset: { uuid } }, { dataset: { lot } }) => this.#park(this.#mine.channel(uuid), undefined, lot),
      "parked colleague": (source, target) => this.#transfer(this.#callIn(source), target.dataset.extension),
      "parked mine": (source) => this.#callIn(source) && this.#take(this.#callIn(source)),
    });
  }

  start() {
    const hasUser = Boolean(this.#me.user);
    at("desk").hidden = false;
    at("mine-section").hidden = !hasUser;
    rememberIn(at("auto-answer"));
    this.#ask();
    // No event tells that a call begins or ends, or that a phone registers; a page that nobody sees does not ask.
    this.#poll = setInterval(() => document.visibilityState === "visible" && this.#ask(), POLL_MS);
  }

  stop() {
    clearInterval(this.#poll);
    this.#channels.stop();
    this.#users.stop();
    this.#drags.stop();
    this.#mine.clear();
    at("desk").hidden = true;
  }

  offer(lots, calls) {
    this.#calls = new Map(calls.map((call) => [`${call.slot} ${call.lot}@${call.domain}`, call]));
    this.#mine.offer(lots, calls);
  }

  /** A change may have begun or ended a call of the user. */
  ask() {
    if (this.#me.user) this.#channels.ask();
  }

  tick(now) {
    this.#mine.tick(now);
  }

  #callIn = ({ dataset: { slot, lot } }) => this.#calls.get(`${slot} ${lot}`);

  #ask() {
    this.ask();
    this.#users.ask();
  }

  async #fetchUsers() {
    try {
      this.#colleagues.known(await this.#api.users());
    } catch {
      // As below. Those who are seen with parked calls are shown in any case.
    }
  }

  async #fetch() {
    try {
      this.#mine.show(await this.#api.channels());
    } catch {
      // The stream notices a lost connection and says so; the next poll asks again.
    }
  }

  async #park(channel, slot, lot) {
    if (!channel) return;
    await this.#try(channel, async () => {
      const call = await this.#api.park({ uuid: channel.uuid, ...(slot && { slot }), ...(lot && { lot }) });
      return t("mine.done", { caller: callerOf(channel), slot: call.slot });
    }, "mine.gone");
    this.#channels.ask();
  }

  async #transfer(call, extension) {
    if (!call) return;
    await this.#try(call, async () => {
      await this.#api.act(call, "transfer", { extension });
      return t("transfer.done-to", { caller: callerOf(call), to: extension });
    });
  }

  /** `gone` is the text for a call that the server does not know any more. */
  async #try(call, act, gone = "error.gone") {
    try {
      this.#notices.tell(await act());
    } catch (error) {
      this.#notices.fail(`${callerOf(call)}: ${error.status === 404 ? t(gone) : inWords(error)}`);
    }
    this.#changed();
  }
}
