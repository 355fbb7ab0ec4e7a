/** One slot on a board: dim while it is free, a card with a growing wait while it is taken. */

import { callerOf, isWaiting, local, timeoutOf, urgency, waiting } from "./calls.js";
import { make, theirs, write } from "./dom.js";
import { icon } from "./icons.js";
import { pieces, t } from "./text.js";
import { duration } from "./time.js";

/** A name of more characters has no room beside the button. */
const LONGEST_BESIDE = 5;
const STATES = ["ringing-back", "retrieving", "reserved", "waiting-for-slot"];

export class Slot {
  item = make("li", { class: "slot" });
  call = null;
  #drawn = null;
  #card = null;
  #take = null;
  #parts = {};

  /**
   * `hands` are what can be done, or null for somebody who may only look: `open(call, element)` when the card is chosen,
   * `take(call)`, and `words(call)` about the phone that rings for it.
   */
  show({ call, number, label, lot, serviceLevel, hands }) {
    this.call = call;
    this.serviceLevel = serviceLevel;
    this.hands = hands;
    // What can be done for a call is addressed to its slot.
    const choosable = hands !== null && call !== null && isWaiting(call) && call.slot !== "";
    const rings = choosable ? hands.words(call) : "";
    // Times change with every answer and belong to tick(); all else is drawn again only when it is new, so that focus,
    // selection and a screen reader's place stay where they are.
    const drawn = JSON.stringify([choosable, label, rings, call && { ...call, wait_ms: 0, timeout_at: 0, since: 0, due: 0 }]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    Object.assign(this.item.dataset, { slot: number, lot, state: call?.state ?? "free", late: call?.late ?? false });
    this.#draw(choosable, number, label, rings);
    this.#arrange(choosable, rings);
  }

  tick(now) {
    const { call } = this;
    if (call === null) return;
    const ms = waiting(call, now);
    const { wait, due, word, gauge, mark } = this.#parts;
    write(wait, duration(ms));
    write(due, timeoutOf(call, now));
    const urgent = urgency(ms, this.serviceLevel, call.late);
    gauge.style.transform = `scaleX(${Math.min(1, ms / 1000 / this.serviceLevel)})`;
    if (this.item.dataset.urgency === urgent) return;
    this.item.dataset.urgency = urgent;
    mark.replaceChildren(icon(urgent));
    write(word, t(`urgency.${urgent}`));
  }

  /** What can be dragged and dropped here, and the button to take the caller. */
  #arrange(choosable, rings) {
    const { dataset } = this.item;
    for (const name of ["drag", "dragText", "drop"]) delete dataset[name];
    if (choosable) Object.assign(dataset, { drag: "parked", dragText: `${this.call.slot} · ${callerOf(this.call)}` });
    if (this.hands && this.call === null) dataset.drop = "slot";
    if (!choosable) {
      this.#take?.remove();
      this.#take = null;
      return;
    }
    if (this.#take === null) {
      this.#take = make("button", { type: "button", class: "take" }, t("take"));
      this.#take.onclick = () => {
        if (this.#take.ariaDisabled !== "true") this.hands.take(this.call, this.#card);
      };
      this.item.append(this.#take);
    }
    this.#take.setAttribute("aria-label", t("take.name", { caller: callerOf(this.call), slot: this.call.slot }));
    this.#take.ariaDisabled = String(rings !== "" || this.call.state === "retrieving");
  }

  #draw(choosable, number, label, rings) {
    const tag = choosable ? "button" : "div";
    if (this.#card?.localName !== tag) {
      this.#card = make(tag, choosable ? { type: "button", class: "card", "aria-haspopup": "dialog" } : { class: "card" });
      if (choosable) this.#card.addEventListener("click", () => this.hands.open(this.call, this.#card));
      this.item.replaceChildren(this.#card, ...(this.#take ? [this.#take] : []));
    }
    delete this.item.dataset.urgency;
    const title = make("span", { class: "number" }, this.call?.slot === "" ? t("slot.none") : number);
    const place = label ? [theirs(label, { class: "place" })] : [];
    if (this.call === null) this.#card.replaceChildren(title, ...place, make("span", { class: "state" }, t("slot.free")));
    else this.#card.replaceChildren(make("span", { class: "head" }, title, this.#wait()), ...place, ...this.#caller(label), ...this.#foot(rings));
  }

  #wait() {
    this.#parts.wait = make("span", { class: "wait" });
    return this.#parts.wait;
  }

  /** A call without a label of its own has that of its slot, which is on the card already. */
  #caller(place) {
    const { call } = this;
    if (!isWaiting(call)) return [];
    const name = theirs(callerOf(call), { class: "name" });
    const number = call.caller_name && call.caller_number ? [theirs(call.caller_number, { class: "phone" })] : [];
    const label = call.label && call.label !== place ? [theirs(call.label, { class: "label" })] : [];
    return [name, ...number, ...label];
  }

  #foot(rings) {
    const { call } = this;
    const parts = this.#parts;
    parts.mark = make("span", { class: "mark" });
    parts.word = make("span");
    parts.due = make("span", { class: "due" });
    parts.gauge = make("span", { class: "gauge" });
    const words = rings || (STATES.includes(call.state) ? t(`state.${call.state}`) : "");
    const state = words ? [make("span", { class: "state" }, icon(rings ? "ringing-back" : call.state), words)] : [];
    const parker = local(call.parker, call.domain);
    const by = parker ? pieces("slot.by", { parker: theirs(parker) }) : [];
    return [
      make("span", { class: "foot" },
        make("span", { class: "urgency" }, parts.mark, parts.word), ...state,
        make("span", { class: parker.length <= LONGEST_BESIDE ? "parker beside" : "parker" }, ...by), parts.due),
      parts.gauge,
    ];
  }
}
