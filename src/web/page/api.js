/** The module's JSON API. Addresses are relative, so that the page also works below a path of a reverse proxy. */

const ANSWER_WITHIN_MS = 10_000;

/** The server answered, and the answer is no. */
export class Refused extends Error {
  constructor(status, why) {
    super(why);
    this.status = status;
  }
}

/** encodeURIComponent leaves `*` as it is, which the API wants encoded: slots are often written `*5901`. */
const part = (text) => encodeURIComponent(text).replaceAll("*", "%2A");

async function why(response) {
  try {
    return (await response.json()).error ?? response.statusText;
  } catch {
    return response.statusText || `The server answered ${response.status}.`;
  }
}

export class Api {
  #token;

  constructor(token) {
    this.#token = token;
  }

  me = () => this.#json("me");
  calls = () => this.#json("calls");
  lots = () => this.#json("lots");
  today = () => this.#json("stats?days=1");
  history = (count) => this.#json(`history?count=${count}`);
  report = (query) => this.#json(`report?${query}`);
  reportCsv = async (query) =>
    (await this.#fetch(`report?${query}`, { headers: { Accept: "text/csv" }, signal: AbortSignal.timeout(ANSWER_WITHIN_MS) })).blob();

  channels = () => this.#json("channels");
  users = () => this.#json("users");

  act = (call, verb, body) => this.#post(`calls/${part(call.domain)}/${part(call.slot)}/${verb}`, body);
  park = (body) => this.#post("park", body);

  /** The open stream of changes; it has no end of its own, so the caller brings the signal that ends it. */
  events = (signal) => this.#fetch("events", { signal });

  #post(path, body) {
    return this.#json(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  }

  async #json(path, options = {}) {
    return (await this.#fetch(path, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS), ...options })).json();
  }

  async #fetch(path, options) {
    const headers = { ...options.headers, Authorization: `Bearer ${this.#token}` };
    const response = await fetch(`api/v1/${path}`, { ...options, headers, cache: "no-store", redirect: "error" });
    if (!response.ok) throw new Refused(response.status, await why(response));
    return response;
  }
}
