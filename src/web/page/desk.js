/** What the holder of a token has at hand: the own calls, colleagues, and calls that are dragged between them and the slots. */

import { callerOf } from "./calls.js";
import { Drags } from "./drags.js";
import { Mine } from "./mine.js";
import { Refresher } from "./refresher.js";
import { inWords, t } from "./text.js";

const POLL_MS = 3_000;

const at = (id) => document.getElementById(id);

export class Desk {
  #api;
  #me;
  #notices;
  #take;
  #changed;
  #calls = new Map();
  #mine = new Mine(at("mine"), (channel, slot, lot) => this.#park(channel, slot, lot));
  #channels = new Refresher(() => this.#fetch(), { soon: 150, every: 500 });
  #drags;
  #poll;

  /** `take(call)` rings the own phone; `changed()` is called after an action. */
  constructor(api, me, { notices, take, changed }) {
    this.#api = api;
    this.#me = me;
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
    if (!hasUser) return;
    this.#channels.now();
    // No event tells that a call begins or ends; a page that nobody sees does not ask.
    this.#poll = setInterval(() => document.visibilityState === "visible" && this.#channels.ask(), POLL_MS);
  }

  stop() {
    clearInterval(this.#poll);
    this.#channels.stop();
    this.#drags.stop();
    this.#mine.clear();
    at("desk").hidden = true;
  }

  offer(lots, calls) {
    this.#calls = new Map(calls.map((call) => [`${call.slot} ${call.lot}@${call.domain}`, call]));
    this.#mine.offer(lots, calls);
  }

  ask() {
    if (this.#me.user) this.#channels.ask();
  }

  tick(now) {
    this.#mine.tick(now);
  }

  #callIn = ({ dataset: { slot, lot } }) => this.#calls.get(`${slot} ${lot}`);

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
    });
    this.#channels.ask();
  }

  async #transfer(call, extension) {
    if (!call) return;
    await this.#try(call, async () => {
      await this.#api.act(call, "transfer", { extension });
      return t("transfer.done-to", { caller: callerOf(call), to: extension });
    });
  }

  async #try(call, act) {
    try {
      this.#notices.tell(await act());
    } catch (error) {
      this.#notices.fail(`${callerOf(call)}: ${inWords(error)}`);
    }
    this.#changed();
  }
}
