/** Says parks and ends to those who listen instead of look. */

import { callerOf } from "./calls.js";
import { write } from "./dom.js";
import { t } from "./text.js";
import { duration } from "./time.js";

const GATHER_MS = 800;
const MOST_AT_ONCE = 4;

const SAID = ["park", "retrieve", "return", "fallback", "transfer", "abandon", "remind"];

export class Announcer {
  #node;
  #waiting = [];
  #timer = null;

  constructor(node) {
    this.#node = node;
  }

  event({ action, slot, call }) {
    if (SAID.includes(action)) this.say(t(`said.${action}`, { caller: call ? callerOf(call) : t("caller.some"), slot, time: duration(call?.wait_ms ?? 0) }));
  }

  /** What comes at once is said at once: a reader that is interrupted at each call would never finish one. */
  say(words) {
    this.#waiting.push(words);
    this.#timer ??= setTimeout(() => this.#speak(), GATHER_MS);
  }

  clear() {
    clearTimeout(this.#timer);
    write(this.#node, "");
  }

  #speak() {
    this.#timer = null;
    const said = this.#waiting.splice(0);
    const more = said.length - MOST_AT_ONCE;
    write(this.#node, `${said.slice(0, MOST_AT_ONCE).join(". ")}.${more > 0 ? ` ${t("said.more", { n: more })}` : ""}`);
  }
}
