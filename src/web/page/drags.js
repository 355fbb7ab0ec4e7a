/**
 * Drags calls by mouse or pen: an element with `data-drag` (what it is, such as `parked`) onto one with `data-drop`.
 * Own code instead of the browser's drag and drop, which does not start on buttons everywhere. A finger scrolls; it uses the menus.
 */

import { make } from "./dom.js";

const BEGIN_PX = 6;
/** Near the edges of the screen, a drag scrolls the page. */
const EDGE_PX = 30;

export class Drags {
  #rules;
  #drag = null;
  #stopped = new AbortController();
  #ghost = make("div", { class: "ghost", "aria-hidden": "true" });

  /** `rules` are `{ "parked colleague": (source, target) => ... }`: what happens when which kind is dropped where. */
  constructor(rules) {
    this.#rules = rules;
    const on = (name, run) => document.addEventListener(name, run, { signal: this.#stopped.signal });
    on("pointerdown", (event) => this.#press(event));
    on("pointermove", (event) => this.#move(event));
    on("pointerup", () => this.#release());
    on("pointercancel", () => this.#end());
    on("keydown", (event) => event.key === "Escape" && this.#end());
  }

  stop() {
    this.#end();
    this.#stopped.abort();
  }

  #press({ target, pointerType, button, clientX, clientY }) {
    const source = target.closest?.("[data-drag]");
    if (!source || pointerType === "touch" || button !== 0 || target.closest("select, input, .take, .park")) return;
    this.#drag = { source, kind: source.dataset.drag, x: clientX, y: clientY, target: null, begun: false };
  }

  #move({ clientX, clientY, buttons }) {
    const drag = this.#drag;
    if (drag === null) return;
    if (buttons === 0) return this.#end();
    if (!drag.begun && Math.hypot(clientX - drag.x, clientY - drag.y) < BEGIN_PX) return;
    if (!drag.begun) this.#begin();
    if (clientY < EDGE_PX || clientY > innerHeight - EDGE_PX) scrollBy(0, clientY < EDGE_PX ? -EDGE_PX : EDGE_PX);
    this.#ghost.style.translate = `${clientX}px ${clientY}px`;
    const below = document.elementFromPoint(clientX, clientY)?.closest("[data-drop]");
    const target = below && `${drag.kind} ${below.dataset.drop}` in this.#rules ? below : null;
    if (target === drag.target) return;
    drag.target?.classList.remove("over");
    target?.classList.add("over");
    drag.target = target;
  }

  #begin() {
    this.#drag.begun = true;
    this.#ghost.textContent = this.#drag.source.dataset.dragText;
    document.body.append(this.#ghost);
    document.body.dataset.dragging = this.#drag.kind;
    getSelection().removeAllRanges();
  }

  #release() {
    const drag = this.#drag;
    if (drag?.begun) {
      // The button on which the drag began is not pressed by its end.
      const swallow = (event) => event.stopPropagation();
      addEventListener("click", swallow, { capture: true, once: true });
      setTimeout(() => removeEventListener("click", swallow, { capture: true }));
    }
    const target = drag?.begun ? drag.target : null;
    this.#end();
    if (target) this.#rules[`${drag.kind} ${target.dataset.drop}`](drag.source, target);
  }

  #end() {
    this.#drag?.target?.classList.remove("over");
    this.#drag = null;
    this.#ghost.remove();
    delete document.body.dataset.dragging;
  }
}
