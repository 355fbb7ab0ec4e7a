/** People to whom a parked caller can be transferred: as targets for dragging, and as suggestions where an extension is typed. */

import { local } from "./calls.js";
import { make, theirs } from "./dom.js";

const MOST_SHOWN = 12;

/** The users who have parked or taken calls lately, the most frequent first: `[extension, domain]`. */
export function seenUsers(history, calls, own) {
  const times = new Map();
  const note = (user) => user && user !== own && times.set(user, (times.get(user) ?? 0) + 1);
  for (const { parker } of calls) note(parker);
  for (const { parker, retriever } of history) [parker, retriever].forEach(note);
  const users = [...times].filter(([user]) => /^[A-Za-z0-9_.*#+-]{1,64}@/.test(user)).sort(([, a], [, b]) => b - a);
  return users.slice(0, MOST_SHOWN).map(([user]) => user).sort();
}

export class Colleagues {
  #list;
  #suggestions;
  #drawn = "";

  constructor(list, suggestions) {
    this.#list = list;
    this.#suggestions = suggestions;
  }

  show(users) {
    const drawn = JSON.stringify(users);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const extension = (user) => local(user, user.split("@")[1]);
    this.#list.replaceChildren(...users.map((user) =>
      make("li", { class: "colleague", "data-drop": "colleague", "data-user": user, "data-extension": extension(user) }, theirs(extension(user)))));
    this.#suggestions.replaceChildren(...users.map((user) => make("option", { value: extension(user) })));
  }

  clear() {
    this.show([]);
  }
}
