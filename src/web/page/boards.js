/** All lots, in the order in which the server lists them. */

import { Board } from "./board.js";
import { make, write } from "./dom.js";
import { t } from "./text.js";

const key = ({ lot, domain }) => JSON.stringify([domain, lot]);

/** The lots worth showing: templates that no domain uses yet only where there is nothing else. */
export function inUse(lots) {
  const used = lots.filter(({ domain }) => domain !== "*");
  return used.length > 0 ? used : lots;
}

/** Calls outlive their lot when a new configuration drops it: nobody who waits may be missing here. */
function withOrphans(lots, byLot) {
  const known = new Set(lots.map(key));
  const orphans = [...byLot].filter(([name]) => !known.has(name)).map(([, calls]) => calls);
  return [...lots, ...orphans.map((calls) => ({ ...calls[0], size: calls.length, used: calls.length, free: 0, service_level: 60, slots: [] }))];
}

export class Boards {
  #root;
  #hands;
  #none = make("p", { class: "empty", role: "status" });
  #wanted = "";
  #last = { lots: [], calls: [] };
  #boards = new Map();

  /** `hands` are what can be done with a call (see `Slot`), or null. */
  constructor(root, hands) {
    this.#root = root;
    this.#hands = hands;
  }

  /** Shows only the calls that match, of all lots. */
  find(wanted) {
    this.#wanted = wanted;
    this.show(this.#last.lots, this.#last.calls);
    this.tick(performance.now());
  }

  /** Draws again what may have changed without the server. */
  redraw() {
    this.find(this.#wanted);
  }

  show(lots, calls) {
    this.#last = { lots, calls };
    const byLot = Map.groupBy(calls, key);
    const all = withOrphans(inUse(lots), byLot);
    const wanted = new Map(all.map((lot) => [key(lot), lot]));
    for (const [name, board] of this.#boards) {
      if (wanted.has(name)) continue;
      board.element.remove();
      this.#boards.delete(name);
    }
    let found = 0;
    for (const [name, lot] of wanted) {
      if (!this.#boards.has(name)) this.#add(name, lot);
      found += this.#boards.get(name).show(lot, byLot.get(name) ?? [], this.#hands, this.#wanted);
    }
    write(this.#none, this.#wanted && found === 0 ? t("find.none") : "");
    if (all.length === 0) this.#root.replaceChildren(make("p", { class: "empty" }, t("lots.none")));
  }

  tick(now) {
    for (const board of this.#boards.values()) board.tick(now);
  }

  clear() {
    this.#boards.clear();
    this.#last = { lots: [], calls: [] };
    this.#root.replaceChildren();
  }

  #add(name, { lot, domain }) {
    if (this.#boards.size === 0) this.#root.replaceChildren(this.#none);
    const board = new Board(lot, domain === "*" ? "" : domain);
    this.#boards.set(name, board);
    this.#root.append(board.element);
  }
}
