/** One slot on a board: dim while it is free, a card with a growing wait while it is taken. */

import { callerOf, isWaiting, local, urgency, waiting } from "./calls.js";
import { make, theirs, write } from "./dom.js";
import { icon } from "./icons.js";
import { pieces, t } from "./text.js";
import { duration } from "./time.js";

const STATES = ["ringing-back", "retrieving", "reserved", "waiting-for-slot"];

export class Slot {
  item = make("li", { class: "slot" });
  call = null;
  #drawn = null;
  #card = null;
  #parts = {};

  /** `open(call, element)` is called when somebody chooses the slot; without it the slot cannot be chosen. */
  show({ call, number, label, serviceLevel, open }) {
    this.call = call;
    this.serviceLevel = serviceLevel;
    this.open = open;
    // What can be done for a call is addressed to its slot.
    const choosable = open !== null && call !== null && isWaiting(call) && call.slot !== "";
    // Times change with every answer and belong to tick(); all else is drawn again only when it is new, so that focus,
    // selection and a screen reader's place stay where they are.
    const drawn = JSON.stringify([choosable, label, call && { ...call, wait_ms: 0, timeout_at: 0, since: 0, due: 0 }]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.item.dataset.slot = number;
    this.item.dataset.state = call?.state ?? "free";
    this.#draw(choosable, number, label);
  }

  tick(now) {
    const { call } = this;
    if (call === null) return;
    const ms = waiting(call, now);
    const { wait, due, word, gauge, mark } = this.#parts;
    write(wait, duration(ms));
    write(due, call.due === null ? "" : call.due > now ? t("slot.due", { time: duration(call.due - now) }) : t("slot.due-now"));
    const urgent = urgency(ms, this.serviceLevel);
    gauge.style.transform = `scaleX(${Math.min(1, ms / 1000 / this.serviceLevel)})`;
    if (this.item.dataset.urgency === urgent) return;
    this.item.dataset.urgency = urgent;
    mark.replaceChildren(icon(urgent));
    write(word, t(`urgency.${urgent}`));
  }

  #draw(choosable, number, label) {
    const tag = choosable ? "button" : "div";
    if (this.#card?.localName !== tag) {
      this.#card = make(tag, choosable ? { type: "button", class: "card", "aria-haspopup": "dialog" } : { class: "card" });
      if (choosable) this.#card.addEventListener("click", () => this.open(this.call, this.#card));
      this.item.replaceChildren(this.#card);
    }
    delete this.item.dataset.urgency;
    const title = make("span", { class: "number" }, this.call?.slot === "" ? t("slot.none") : number);
    const place = label ? [theirs(label, { class: "place" })] : [];
    if (this.call === null) this.#card.replaceChildren(title, ...place, make("span", { class: "state" }, t("slot.free")));
    else this.#card.replaceChildren(make("span", { class: "head" }, title, this.#wait()), ...place, ...this.#caller(), ...this.#foot());
  }

  #wait() {
    this.#parts.wait = make("span", { class: "wait" });
    return this.#parts.wait;
  }

  #caller() {
    const { call } = this;
    if (!isWaiting(call)) return [];
    const name = theirs(callerOf(call), { class: "name" });
    const number = call.caller_name && call.caller_number ? [theirs(call.caller_number, { class: "phone" })] : [];
    const label = call.label ? [theirs(call.label, { class: "label" })] : [];
    return [name, ...number, ...label];
  }

  #foot() {
    const { call } = this;
    const parts = this.#parts;
    parts.mark = make("span", { class: "mark" });
    parts.word = make("span");
    parts.due = make("span", { class: "due" });
    parts.gauge = make("span", { class: "gauge" });
    const state = STATES.includes(call.state) ? [make("span", { class: "state" }, icon(call.state), t(`state.${call.state}`))] : [];
    const parker = call.parker ? pieces("slot.by", { parker: theirs(local(call.parker, call.domain)) }) : [];
    return [
      make("span", { class: "foot" },
        make("span", { class: "urgency" }, parts.mark, parts.word), ...state,
        make("span", { class: "parker" }, ...parker), parts.due),
      parts.gauge,
    ];
  }
}
