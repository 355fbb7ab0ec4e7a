/** Short messages at the edge of the screen: what this page did, and what went wrong. */

import { make } from "./dom.js";
import { t } from "./text.js";

const SHOWN_MS = 6_000;
const MOST_AT_ONCE = 3;

export class Notices {
  #root;

  constructor(root) {
    this.#root = root;
  }

  tell(words) {
    const notice = this.#add(words, "status");
    setTimeout(() => notice.remove(), SHOWN_MS);
  }

  /** An error stays until it is closed: whoever looked away must not miss it. */
  fail(words) {
    const notice = this.#add(words, "alert");
    const close = make("button", { type: "button", class: "close", "aria-label": t("close") }, "×");
    close.onclick = () => notice.remove();
    notice.append(close);
  }

  clear() {
    this.#root.replaceChildren();
  }

  /** What is said again replaces what was said before: three times the same error would only cover the callers. */
  #add(words, role) {
    for (const notice of [...this.#root.children]) if (notice.querySelector("p").textContent === words) notice.remove();
    const notice = make("div", { class: `notice ${role}`, role }, make("p", {}, words));
    this.#root.append(notice);
    while (this.#root.childElementCount > MOST_AT_ONCE) (this.#root.querySelector(".status") ?? this.#root.firstElementChild).remove();
    return notice;
  }
}
