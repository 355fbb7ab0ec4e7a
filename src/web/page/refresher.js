/**
 * Fetches again after changes: soon after the first one, never more often than `every` allows, never twice at once.
 * It does not wait for the changes to stop: in a busy hour they never do.
 */
export class Refresher {
  #fetch;
  #soon;
  #every;
  #timer = null;
  #busy = false;
  #again = false;
  #last = -Infinity;

  constructor(fetch, { soon, every }) {
    this.#fetch = fetch;
    this.#soon = soon;
    this.#every = every;
  }

  ask() {
    if (this.#busy) this.#again = true;
    else this.#timer ??= setTimeout(() => this.#run(), Math.max(this.#soon, this.#last + this.#every - performance.now()));
  }

  /** At once, whatever was asked before: for a new connection. */
  now() {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#busy) this.#again = true;
    else this.#run();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#fetch = async () => {};
  }

  async #run() {
    this.#timer = null;
    this.#busy = true;
    this.#last = performance.now();
    try {
      await this.#fetch();
    } finally {
      this.#busy = false;
      if (this.#again) {
        this.#again = false;
        this.ask();
      }
    }
  }
}
