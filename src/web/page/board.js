/** One lot: its slots in the lot's order. A lot too large to be looked over shows only what is taken. */

import { make, write } from "./dom.js";
import { Slot } from "./slot.js";
import { t } from "./text.js";

const MOST_SLOTS_SHOWN = 60;

export class Board {
  #title = make("h2", { tabindex: "-1" });
  #count = make("p", { class: "count" });
  #list = make("ul", { class: "slots" });
  #free = make("p", { class: "more-free" });
  #slots = new Map();
  element = make("section", { class: "board" }, make("header", {}, this.#title, this.#count), this.#list, this.#free);

  constructor(lot, domain) {
    this.element.setAttribute("aria-label", domain ? t("lot.of", { lot, domain }) : t("lot", { lot }));
    this.#title.append(make("span", {}, lot));
    if (domain) this.#title.append(make("span", { class: "domain" }, `@${domain}`));
  }

  show(lot, calls, open) {
    const taken = new Map(calls.map((call) => [call.slot || call.uuid, call]));
    const labels = new Map(lot.slots.map(({ slot, label }) => [slot, label]));
    // A call stays parked when a new configuration drops its slot: such slots follow after the lot's own. So do callers who wait for a slot.
    const numbers = [...labels.keys(), ...[...taken.keys()].filter((slot) => !labels.has(slot))];
    const compact = lot.slots.length > MOST_SLOTS_SHOWN;
    const shown = compact ? numbers.filter((slot) => taken.has(slot)) : numbers;

    write(this.#count, t("lot.count", { used: lot.used, size: lot.size, seconds: lot.service_level }));
    this.#free.hidden = !compact;
    write(this.#free, t(calls.length ? "lot.more-free" : "lot.free", { n: lot.free }));
    this.#keep(shown);
    for (const [number, slot] of this.#slots) {
      slot.show({ call: taken.get(number) ?? null, number, label: labels.get(number), serviceLevel: lot.service_level, open });
    }
  }

  tick(now) {
    for (const slot of this.#slots.values()) slot.tick(now);
  }

  /** Brings the list to these slots without moving one that is there already: a moved element would lose the focus. */
  #keep(numbers) {
    const wanted = new Set(numbers);
    for (const [number, slot] of this.#slots) {
      if (wanted.has(number)) continue;
      slot.item.remove();
      this.#slots.delete(number);
    }
    numbers.forEach((number, place) => {
      if (!this.#slots.has(number)) this.#slots.set(number, new Slot());
      const { item } = this.#slots.get(number);
      if (this.#list.children[place] !== item) this.#list.insertBefore(item, this.#list.children[place] ?? null);
    });
  }
}
