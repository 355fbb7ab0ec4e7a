/** A fetch that takes long, because there is much to fetch and to show, leaves this multiple of its time to everything else. */
const REST = 2;
const LONGEST_REST_MS = 5_000;

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
  #rest = 0;

  constructor(fetch, { soon, every }) {
    this.#fetch = fetch;
    this.#soon = soon;
    this.#every = every;
  }

  ask() {
    if (this.#busy) this.#again = true;
    else this.#timer ??= setTimeout(() => this.#run(), Math.max(this.#soon, this.#last + Math.max(this.#every, this.#rest) - performance.now()));
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
      this.#rest = Math.min(LONGEST_REST_MS, REST * (performance.now() - this.#last));
      if (this.#again) {
        this.#again = false;
        this.ask();
      }
    }
  }
}
