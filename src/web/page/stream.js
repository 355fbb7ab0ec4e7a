/**
 * Server-sent events, read with fetch(): EventSource cannot send the token's header.
 * Keeps the connection for as long as it is wanted; tells when it is open, lost, and refused.
 */

import { Refused } from "./api.js";

const SILENCE_MS = 25_000;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 10_000;

/** Turns pieces of text, cut anywhere, into the `data` of whole events. */
export class EventParser {
  #rest = "";
  #data = [];

  *feed(text) {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop();
    for (const line of lines.map((line) => line.replace(/\r$/, ""))) {
      if (line.startsWith("data:")) this.#data.push(line.slice(5).trimStart());
      if (line === "" && this.#data.length > 0) yield this.#data.splice(0).join("\n");
    }
  }
}

export class Stream {
  #api;
  #tell;
  #wanted = true;
  #attempt = new AbortController();

  /** `tell` has `open()`, `change(event)`, `lost()` and `refused(error)`. */
  constructor(api, tell) {
    this.#api = api;
    this.#tell = tell;
  }

  async run() {
    let wait = FIRST_WAIT_MS;
    while (this.#wanted) {
      const began = performance.now();
      try {
        await this.#read();
      } catch (error) {
        if (!this.#wanted) return;
        if (error instanceof Refused && [401, 403].includes(error.status)) return this.#tell.refused(error);
      }
      if (!this.#wanted) return;
      this.#tell.lost();
      // Only a connection that held resets the pace: one that opens and breaks at once must not be tried every second.
      if (performance.now() - began > LONGEST_WAIT_MS) wait = FIRST_WAIT_MS;
      await new Promise((resolve) => setTimeout(resolve, wait));
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    }
  }

  /** Drops a connection that does not serve any more; a new one is tried. */
  restart() {
    this.#attempt.abort();
  }

  close() {
    this.#wanted = false;
    this.#attempt.abort();
  }

  async #read() {
    this.#attempt = new AbortController();
    let watchdog;
    // A connection can die without a word, so silence counts as death; the server's pings break it.
    const heard = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => this.restart(), SILENCE_MS);
    };
    try {
      heard();
      const response = await this.#api.events(this.#attempt.signal);
      this.#tell.open();
      const parser = new EventParser();
      for (const reader = response.body.pipeThrough(new TextDecoderStream()).getReader(); ; ) {
        const { done, value } = await reader.read();
        if (done) return;
        heard();
        for (const data of parser.feed(value)) this.#tell.change(JSON.parse(data));
      }
    } finally {
      clearTimeout(watchdog);
    }
  }
}
