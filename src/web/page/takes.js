/** Callers whom this page takes: a phone rings, with the slot held, until it is answered or not. */

import { callerOf } from "./calls.js";
import { t } from "./text.js";

const KEY = "callpark-auto-answer";

/** Whether the phone is asked to answer by itself, which this browser remembers. */
const answersByItself = () => localStorage.getItem(KEY) === "on";

/** Lets a checkbox say whether the phone is asked to answer by itself. */
export function rememberIn(checkbox) {
  checkbox.checked = answersByItself();
  checkbox.onchange = () => (checkbox.checked ? localStorage.setItem(KEY, "on") : localStorage.removeItem(KEY));
}

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
    const ringing = { call, phone, rings: false, asked: false, failed: false };
    this.#ringing.set(call.uuid, ringing);
    this.#changed();
    try {
      // The phone of a colleague is never asked to answer by itself.
      const body = phone ? { to: phone } : { ...(answersByItself() && { auto_answer: true }) };
      const { state } = await this.#api.act(call, "retrieve", body);
      ringing.rings = state === "retrieving";
      ringing.asked = true;
      if (ringing.failed) this.#unanswered(call);
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
    // What fails at once is told by the answer to the request, with the reason.
    if (action === "retrieve-failed" && this.#ringing.get(call.uuid).asked) this.#unanswered(call);
    else if (action === "retrieve-failed") this.#ringing.get(call.uuid).failed = true;
    if (action === "retrieve") this.#notices.tell(t("take.done", { caller: callerOf(call) }));
    if (["retrieve", "return", "fallback", "transfer", "abandon"].includes(action)) this.#end(call.uuid);
    this.#changed();
  }

  /** Corrects what lost events have left: a call that is parked again, or gone. */
  follow(calls) {
    if (this.#ringing.size === 0) return;
    const now = new Map(calls.map((call) => [call.uuid, call]));
    for (const [uuid, { rings, asked }] of this.#ringing) {
      const call = now.get(uuid);
      if (call?.state === "retrieving") this.#ringing.get(uuid).rings = true;
      else if (call && rings && asked) this.#unanswered(call);
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
