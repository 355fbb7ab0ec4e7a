/** Says whether what is on the screen is true now. */

import { make, write } from "./dom.js";
import { t } from "./text.js";
import { clock, moment } from "./time.js";

const at = (id) => document.getElementById(id);

export class Connection {
  #since = null;

  connecting = () => this.#show("connecting", t("connection.connecting"));

  live() {
    this.#since = null;
    this.#show("live", t("connection.live"));
  }

  lost() {
    this.#since ??= Date.now();
    this.#show("lost", t("connection.lost", { time: moment(this.#since) }));
  }

  none() {
    this.#show("none", "");
    at("clock").hidden = true;
  }

  tick() {
    const now = new Date();
    at("clock").hidden = false;
    at("clock").dateTime = now.toISOString();
    write(at("clock"), clock(now));
  }

  #show(state, words) {
    document.body.dataset.connection = state;
    const node = at("connection");
    if (node.textContent !== words) node.replaceChildren(...(words ? [make("span", { class: "lamp" }), words] : []));
  }
}
