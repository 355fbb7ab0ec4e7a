/** Says parks and ends to those who listen instead of look. */

import { callerOf } from "./calls.js";
import { write } from "./dom.js";

const GATHER_MS = 800;
const MOST_AT_ONCE = 4;

const WORDS = {
  park: (who, slot) => `${who} is parked on ${slot}`,
  retrieve: (who, slot) => `${who} was retrieved from ${slot}`,
  return: (who, slot) => `${who} went back from ${slot} to the parker`,
  fallback: (who, slot) => `${who} went from ${slot} to the fallback`,
  transfer: (who, slot) => `${who} was transferred from ${slot}`,
  abandon: (who, slot) => `${who} hung up on ${slot}`,
};

export class Announcer {
  #node;
  #waiting = [];
  #timer = null;

  constructor(node) {
    this.#node = node;
  }

  event({ action, slot, call }) {
    if (action in WORDS) this.say(WORDS[action](call ? callerOf(call) : "A caller", slot));
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
    write(this.#node, `${said.slice(0, MOST_AT_ONCE).join(". ")}.${more > 0 ? ` And ${more} more.` : ""}`);
  }
}
