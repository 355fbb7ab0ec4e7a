/** One lot: its slots in the lot's order, late callers first. A lot too large to be looked over shows only what is taken, in pages. */

import { matches } from "./calls.js";
import { make, write } from "./dom.js";
import { Slot } from "./slot.js";
import { t } from "./text.js";

const MOST_SLOTS_SHOWN = 60;
/** How long the cards of a board keep their places after the mouse has moved or pressed there, so that a user presses the card aimed at. */
const STEADY_MS = 1_500;

export class Board {
  #title = make("h2", { tabindex: "-1" });
  #count = make("p", { class: "count" });
  #list = make("ul", { class: "slots" });
  #free = make("p", { class: "more-free" });
  #range = make("p", { class: "range", role: "status" });
  #pager = make("nav", { class: "pager" });
  #page = 0;
  #shown = null;
  #slots = new Map();
  #moved = -Infinity;
  #held = false;
  element = make("section", { class: "board" }, make("header", {}, this.#title, this.#count), this.#list, this.#free);

  constructor(lot, domain) {
    this.element.setAttribute("aria-label", domain ? t("lot.of", { lot, domain }) : t("lot", { lot }));
    this.#pager.setAttribute("aria-label", domain ? t("lot.of", { lot, domain }) : t("lot", { lot }));
    this.#title.append(make("span", {}, lot));
    if (domain) this.#title.append(make("span", { class: "domain" }, `@${domain}`));
    this.#pager.append(this.#turn("lot.previous", -1), this.#range, this.#turn("lot.next", 1));
    this.#list.onpointerdown = () => { this.#moved = performance.now(); };
    this.#list.onpointermove = ({ pointerType }) => {
      if (pointerType !== "touch") this.#moved = performance.now();
    };
  }

  /** Returns the number of calls that match what is looked for. */
  show(lot, calls, hands, wanted) {
    this.#shown = { lot, calls, hands, wanted };
    const found = wanted ? calls.filter((call) => matches(call, wanted)) : calls;
    const taken = new Map(found.map((call) => [call.slot || call.uuid, call]));
    const labels = new Map(lot.slots.map(({ slot, label }) => [slot, label]));
    // A call stays parked when a new configuration drops its slot: such slots follow after the lot's own. So do callers who wait for a slot.
    const numbers = [...labels.keys(), ...[...taken.keys()].filter((slot) => !labels.has(slot))];
    const compact = lot.slots.length > MOST_SLOTS_SHOWN || lot.slots.length < lot.size || Boolean(wanted);
    const ordered = lateFirst(compact ? numbers.filter((slot) => taken.has(slot)) : numbers, taken);
    const listed = this.#isSteady() ? this.#inPlace(ordered) : ordered;
    this.#held = listed.some((slot, place) => slot !== ordered[place]);

    write(this.#count, t("lot.count", { used: lot.used, size: lot.size, seconds: lot.service_level }));
    this.element.dataset.compact = compact;
    if (hands && compact) this.element.dataset.drop = "lot";
    else delete this.element.dataset.drop;
    this.element.dataset.lot = `${lot.lot}@${lot.domain}`;
    this.element.hidden = Boolean(wanted) && found.length === 0;
    // A lot that a new configuration has dropped has calls, and no slots.
    this.#free.hidden = !compact || Boolean(wanted) || lot.slots.length + lot.free === 0;
    write(this.#free, t(calls.length ? "lot.more-free" : "lot.free", { n: lot.free }));
    const focused = this.#list.contains(document.activeElement);
    this.#keep(this.#paged(listed));
    for (const [number, slot] of this.#slots) {
      slot.show({
        call: taken.get(number) ?? null, number, label: labels.get(number), lot: `${lot.lot}@${lot.domain}`,
        serviceLevel: lot.service_level, hands,
      });
    }
    // The card of a caller who has gone takes the focus with it.
    if (focused && !this.#list.contains(document.activeElement)) this.#title.focus({ preventScroll: true });
    return found.length;
  }

  tick(now) {
    if (this.#held && !this.#isSteady()) this.#again();
    for (const slot of this.#slots.values()) slot.tick(now);
  }

  #isSteady = () => performance.now() - this.#moved < STEADY_MS;

  /** The slots in the places that they have now, and new ones after them. */
  #inPlace(numbers) {
    const wanted = new Set(numbers);
    const kept = [...this.#list.children].map((item) => item.dataset.slot).filter((slot) => wanted.delete(slot));
    return [...kept, ...wanted];
  }

  #again() {
    const { lot, calls, hands, wanted } = this.#shown;
    this.show(lot, calls, hands, wanted);
  }

  /** The cards of the page that is looked at. */
  #paged(listed) {
    const pages = Math.max(1, Math.ceil(listed.length / MOST_SLOTS_SHOWN));
    this.#page = Math.min(this.#page, pages - 1);
    const from = this.#page * MOST_SLOTS_SHOWN;
    const to = Math.min(from + MOST_SLOTS_SHOWN, listed.length);
    if (pages === 1) {
      this.#pager.remove();
      return listed;
    }
    if (!this.#pager.isConnected) this.#list.after(this.#pager);
    write(this.#range, t("lot.range", { from: from + 1, to, n: listed.length }));
    const [previous, next] = this.#pager.querySelectorAll("button");
    // Not disabled: the last press would lose the focus.
    previous.ariaDisabled = String(this.#page === 0);
    next.ariaDisabled = String(this.#page === pages - 1);
    return listed.slice(from, to);
  }

  #turn(key, step) {
    const button = make("button", { type: "button" }, t(key));
    button.onclick = () => {
      if (button.ariaDisabled === "true") return;
      this.#page += step;
      this.#moved = -Infinity;
      this.#again();
      this.tick(performance.now());
    };
    return button;
  }

  /** Brings the list to these slots. One that is moved with the focus in it gets the focus again. */
  #keep(numbers) {
    const wanted = new Set(numbers);
    for (const [number, slot] of this.#slots) {
      if (wanted.has(number)) continue;
      slot.item.remove();
      this.#slots.delete(number);
    }
    const focused = this.#list.contains(document.activeElement) ? document.activeElement : null;
    numbers.forEach((number, place) => {
      if (!this.#slots.has(number)) this.#slots.set(number, new Slot());
      const { item } = this.#slots.get(number);
      if (this.#list.children[place] !== item) this.#list.insertBefore(item, this.#list.children[place] ?? null);
    });
    if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
  }
}

/** Callers of whom the server has reminded come first, the longest waiting at their head. */
function lateFirst(numbers, taken) {
  const late = numbers.filter((number) => taken.get(number)?.late);
  if (late.length === 0) return numbers;
  late.sort((a, b) => taken.get(a).since - taken.get(b).since);
  const isLate = new Set(late);
  return [...late, ...numbers.filter((number) => !isLate.has(number))];
}
