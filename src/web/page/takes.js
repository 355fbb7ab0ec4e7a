/** Callers whom this page takes: a phone rings, with the slot held, until it is answered or not. */

import { callerOf } from "./calls.js";
import { t } from "./text.js";

export class Takes {
  #api;
  #notices;
  #changed;
  #ringing = new Map();

  /** `changed()` is called when another phone rings, or one does not any more. */
  constructor(api, notices, changed) {
    this.#api = api;
    this.#notices = notices;
    this.#changed = changed;
  }

  /** Rings `phone`, or the phone of the token's user. Throws if that is refused. */
  async take(call, phone = "") {
    if (this.#ringing.has(call.uuid)) return;
    const ringing = { call, phone, rings: false };
    this.#ringing.set(call.uuid, ringing);
    this.#changed();
    try {
      const { state } = await this.#api.act(call, "retrieve", phone ? { to: phone } : {});
      ringing.rings = state === "retrieving";
    } catch (error) {
      this.#end(call.uuid);
      throw error;
    } finally {
      this.#changed();
    }
  }

  /** What the card of a call says about the phone that rings for it, or an empty text. */
  words(call) {
    const ringing = this.#ringing.get(call?.uuid);
    if (!ringing) return "";
    return ringing.phone ? t("take.rings-at", { phone: ringing.phone }) : t("take.rings");
  }

  event({ action, call }) {
    if (!this.#ringing.has(call?.uuid)) return;
    if (action === "retrieve-failed") this.#unanswered(call);
    if (action === "retrieve") this.#notices.tell(t("take.done", { caller: callerOf(call) }));
    if (["retrieve", "return", "fallback", "transfer", "abandon"].includes(action)) this.#end(call.uuid);
    this.#changed();
  }

  /** Corrects what lost events have left: a call that is parked again, or gone. */
  follow(calls) {
    if (this.#ringing.size === 0) return;
    const now = new Map(calls.map((call) => [call.uuid, call]));
    for (const [uuid, { rings }] of this.#ringing) {
      const call = now.get(uuid);
      if (call?.state === "retrieving") this.#ringing.get(uuid).rings = true;
      else if (call && rings) this.#unanswered(call);
      else if (!call) this.#end(uuid);
    }
  }

  #unanswered(call) {
    this.#notices.fail(t("take.unanswered", { caller: callerOf(call), slot: call.slot }));
    this.#end(call.uuid);
  }

  #end(uuid) {
    this.#ringing.delete(uuid);
  }
}
