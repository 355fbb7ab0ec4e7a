/** Asks for the token, and keeps it for as long as this tab is open; on a wallboard a token that may only view is kept for good. */

import { Api, Refused } from "./api.js";
import { write } from "./dom.js";
import { inWords, t } from "./text.js";

const KEY = "callpark-token";

const at = (id) => document.getElementById(id);

/** Visible ASCII is all that a header can carry and a token file can hold. */
const possible = (token) => /^[\x21-\x7e]+$/.test(token);

async function holderOf(api) {
  const me = await api.me();
  if (!me.rights.includes("view")) throw new Refused(403, t("sign-in.may-not-view"));
  return me;
}

const reason = (error) => (error.status === 401 ? t("sign-in.unknown") : inWords(error));

/** `enter(api, me)` is called with what the token opens. */
export class SignIn {
  #enter;
  #isWall;

  constructor(enter, isWall) {
    this.#enter = enter;
    this.#isWall = isWall;
    at("sign-in").onsubmit = (event) => {
      event.preventDefault();
      this.#try(at("token").value.trim());
    };
  }

  async start() {
    const token = (this.#isWall && localStorage.getItem(KEY)) || sessionStorage.getItem(KEY);
    if (token) await this.#try(token);
    else this.ask("");
  }

  ask(why) {
    at("sign-in").hidden = false;
    at("token").value = "";
    write(at("sign-in-error"), why);
    at("token").focus();
  }

  forget() {
    sessionStorage.removeItem(KEY);
    if (this.#isWall) localStorage.removeItem(KEY);
  }

  async #try(token) {
    const api = new Api(token);
    try {
      if (!possible(token)) throw new Refused(401, "");
      const me = await holderOf(api);
      const forGood = this.#isWall && !me.rights.includes("act");
      (forGood ? localStorage : sessionStorage).setItem(KEY, token);
      at("sign-in").hidden = true;
      at("token").value = "";
      this.#enter(api, me);
    } catch (error) {
      if (error.status === 401 || error.status === 403) this.forget();
      this.ask(reason(error));
    }
  }
}
