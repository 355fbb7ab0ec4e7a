/** The live calls of the token's user, each with a button that parks it. */

import { callerOf } from "./calls.js";
import { make, theirs, write } from "./dom.js";
import { t } from "./text.js";
import { duration } from "./time.js";

const MOST_SLOTS_OFFERED = 200;

/** The free slots as `{lot, slots}`, without those of very large lots. */
function freeSlots(lots, calls) {
  const taken = new Set(calls.map((call) => `${call.slot}@${call.domain}`));
  return lots.filter(({ domain, slots }) => domain !== "*" && slots.length <= MOST_SLOTS_OFFERED).map(({ lot, domain, slots }) => ({
    lot: `${lot}@${domain}`,
    slots: slots.filter(({ slot }) => !taken.has(`${slot}@${domain}`)),
  }));
}

export class Mine {
  #list;
  #park;
  #rows = new Map();
  #groups = [];

  /** `park(channel, slot, lot)` parks a call; without a slot in the first free one. */
  constructor(list, park) {
    this.#list = list;
    this.#park = park;
  }

  show(channels, now = performance.now()) {
    const there = new Set(channels.map((channel) => channel.uuid));
    for (const [uuid, row] of this.#rows) {
      if (there.has(uuid)) continue;
      row.item.remove();
      this.#rows.delete(uuid);
    }
    for (const channel of channels) {
      if (!this.#rows.has(channel.uuid)) this.#add(channel);
      const row = this.#rows.get(channel.uuid);
      row.channel = channel;
      row.since = now - channel.talking_ms;
      write(row.state, channel.held ? t("mine.held") : "");
    }
    this.#empty();
    this.tick(now);
  }

  /** Offers the slots that are free now. */
  offer(lots, calls) {
    this.#groups = freeSlots(lots, calls);
    for (const { choice } of this.#rows.values()) this.#fill(choice);
  }

  channel = (uuid) => this.#rows.get(uuid)?.channel;

  tick(now) {
    for (const { time, since } of this.#rows.values()) write(time, duration(now - since));
  }

  clear() {
    this.#rows.clear();
    this.#list.replaceChildren();
  }

  #empty() {
    const note = this.#list.querySelector(".empty");
    if (this.#rows.size === 0 && !note) this.#list.append(make("li", { class: "empty" }, t("mine.none")));
    if (this.#rows.size > 0) note?.remove();
  }

  #add(channel) {
    const caller = callerOf(channel);
    const state = make("span", { class: "state" });
    const time = make("span", { class: "wait" });
    const choice = make("select", { "aria-label": t("mine.slot", { caller }) });
    const button = make("button", { type: "button", class: "park primary", "aria-label": t("mine.park-name", { caller }) }, t("mine.park"));
    const number = channel.caller_name && channel.caller_number ? [theirs(channel.caller_number, { class: "phone" })] : [];
    const item = make("li", { class: "mine-call", "data-drag": "mine", "data-drag-text": caller, "data-uuid": channel.uuid },
      make("span", { class: "about" },
        make("span", { class: "line" }, theirs(caller, { class: "name" }), state), make("span", { class: "line" }, time, ...number)),
      choice, button);
    const row = { item, channel, state, time, choice };
    button.onclick = () => {
      const { slot, lot } = JSON.parse(choice.value || "{}");
      this.#park(row.channel, slot, lot);
    };
    this.#fill(choice);
    this.#rows.set(channel.uuid, row);
    this.#list.append(item);
  }

  /** A list that somebody has opened does not change under the hand. */
  #fill(choice) {
    const offered = JSON.stringify(this.#groups);
    if (choice.dataset.offered === offered || document.activeElement === choice) return;
    choice.dataset.offered = offered;
    const chosen = choice.value;
    const option = (lot) => ({ slot, label }) =>
      make("option", { value: JSON.stringify({ slot, lot }) }, label ? `${slot} · ${label}` : slot);
    choice.replaceChildren(make("option", { value: "" }, t("mine.any-slot")),
      ...this.#groups.map(({ lot, slots }) => make("optgroup", { label: lot }, ...slots.map(option(lot)))));
    choice.value = chosen;
    if (choice.selectedIndex < 0) choice.value = "";
  }
}
