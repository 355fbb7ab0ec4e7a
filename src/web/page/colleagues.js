/** People to whom a parked caller can be transferred: as targets for dragging, and as suggestions where an extension is typed. */

import { local } from "./calls.js";
import { make, theirs } from "./dom.js";
import { t } from "./text.js";

const MOST_SHOWN = 12;
const EXTENSION = /^[A-Za-z0-9_.*#+-]{1,64}$/;

/** The users who have parked or taken calls lately, with how often. */
export function seenUsers(history, calls) {
  const times = new Map();
  const note = (user) => user && times.set(user, (times.get(user) ?? 0) + 1);
  for (const { parker } of calls) note(parker);
  for (const { parker, retriever } of history) [parker, retriever].forEach(note);
  return times;
}

/** Whether a user can take a call now: `free`, `busy`, `away`; an empty text where it is not known. */
const presence = ({ registered, talking }) => (registered === undefined ? "" : talking ? "busy" : registered ? "free" : "away");

export class Colleagues {
  #list;
  #suggestions;
  #own;
  #seen = new Map();
  #directory = [];
  #drawn = "";

  /** `own` is the user who looks, and is no colleague. */
  constructor(list, suggestions, own) {
    this.#list = list;
    this.#suggestions = suggestions;
    this.#own = own;
  }

  /** Who has parked or taken calls lately. */
  seen(users) {
    this.#seen = users;
    this.#show();
  }

  /** The users of the directory; it is empty where the directory cannot be listed. */
  known(users) {
    this.#directory = users;
    this.#show();
  }

  clear() {
    this.#directory = [];
    this.seen(new Map());
  }

  #show() {
    const all = this.#all();
    const times = ({ user }) => this.#seen.get(user) ?? 0;
    // Those who have to do with parked calls come first into the short list, which is then ordered by number.
    const shown = [...all].sort((a, b) => times(b) - times(a)).slice(0, MOST_SHOWN);
    shown.sort((a, b) => all.indexOf(a) - all.indexOf(b));
    const drawn = JSON.stringify([all, shown]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.#list.replaceChildren(...shown.map(chip));
    this.#suggestions.replaceChildren(...all.map(({ extension, name }) => make("option", { value: extension }, name)));
  }

  #all() {
    const seen = () => [...this.#seen.keys()].sort().map((user) => ({ user, extension: local(user, user.split("@")[1]), name: "" }));
    const users = this.#directory.length > 0 ? this.#directory : seen();
    return users.filter(({ user, extension }) => user !== this.#own && EXTENSION.test(extension));
  }
}

function chip(user) {
  const state = presence(user);
  const name = user.name && user.name !== user.extension ? [" ", theirs(user.name)] : [];
  const words = state ? [make("span", { class: "presence" }, t(`colleagues.${state}`))] : [];
  return make("li", { class: "colleague", "data-drop": "colleague", "data-extension": user.extension, "data-presence": state },
    theirs(user.extension, { class: "number" }), ...name, ...words);
}
