/** What can be done with a parked call, in a dialog: label, ring back, transfer, a later time-out. */

import { callerOf, local, timeoutOf, urgency, waiting } from "./calls.js";
import { make, theirs, write } from "./dom.js";
import { inWords, pieces, t } from "./text.js";
import { duration, moment } from "./time.js";

const MOST_SECONDS = 86_400;
/** The events with which a parked call ends. */
const ENDS = ["retrieve", "return", "fallback", "transfer", "abandon"];

export class Actions {
  #dialog;
  #api;
  #takes;
  #done;
  #call = null;
  /** The call as it is now; null once it has ended. */
  #live = null;
  /** How the call has ended, in words, where an event has told it. */
  #end = "";
  #levels = new Map();
  #opener = null;
  #board = null;
  #error = make("p", { class: "error", role: "alert" });
  #wait = make("span", { class: "wait" });
  #due = make("span", { class: "due" });

  /** `done(verb, words)` is told what was done. */
  constructor(dialog, api, takes, done) {
    this.#dialog = dialog;
    this.#api = api;
    this.#takes = takes;
    this.#done = done;
    dialog.onclose = () => this.#closed();
    // A click beside the dialog lands on the dialog element itself, and closes it as people expect.
    dialog.onclick = (event) => {
      if (event.target === dialog) dialog.close();
    };
  }

  open(call, opener) {
    this.#call = call;
    this.#live = call;
    this.#end = "";
    this.#opener = opener;
    this.#board = opener.closest("section").querySelector("h2");
    write(this.#error, "");
    this.#dialog.replaceChildren(make("div", { class: "sheet" }, this.#head(), this.#facts(), ...this.#forms(), this.#error));
    this.tick(performance.now());
    this.#dialog.showModal();
  }

  /** The calls are new: the one in hand may have ended meanwhile. */
  follow(calls, lots) {
    this.#levels = new Map(lots.map(({ lot, domain, service_level }) => [`${lot}@${domain}`, service_level]));
    if (!this.#dialog.open) return;
    this.#live = calls.find((call) => call.uuid === this.#call.uuid) ?? null;
    if (this.#live !== null) return;
    for (const button of this.#dialog.querySelectorAll("form button")) button.disabled = true;
    this.#fail(`${t("error.gone")} ${this.#end}`.trim());
  }

  event({ action, slot, call }) {
    if (call?.uuid === this.#call?.uuid && ENDS.includes(action)) this.#end = `${t(`said.${action}`, { caller: callerOf(call), slot })}.`;
  }

  tick(now) {
    const call = this.#live;
    const sheet = this.#dialog.firstElementChild;
    if (call === null || sheet === null) return;
    const ms = waiting(call, now);
    write(this.#wait, duration(ms));
    write(this.#due, timeoutOf(call, now));
    sheet.dataset.urgency = urgency(ms, this.#levels.get(`${call.lot}@${call.domain}`) ?? Infinity, call.late);
  }

  close() {
    this.#dialog.close();
  }

  /** On a phone, the place of the error is below the edge of the screen. */
  #fail(why) {
    if (this.#error.textContent === why) return;
    write(this.#error, why);
    this.#error.scrollIntoView({ block: "nearest" });
  }

  #closed() {
    this.#dialog.replaceChildren();
    if (this.#opener?.isConnected) this.#opener.focus();
    else this.#board?.focus();
  }

  #head() {
    const close = make("button", { type: "button", class: "close", "aria-label": t("close") }, "×");
    close.onclick = () => this.close();
    const title = make("h2", { id: "actions-title" }, make("span", { class: "number" }, this.#call.slot), " ", theirs(callerOf(this.#call)));
    return make("header", {}, title, make("p", { class: "times" }, this.#wait, this.#due), close);
  }

  #facts() {
    const { caller_number, lot, domain, parker, parked_at, node } = this.#call;
    const facts = [
      ["call.number", caller_number],
      ["call.lot", `${lot}@${domain}`],
      ["call.parker", local(parker, domain)],
      ["call.since", moment(parked_at)],
      ["call.node", node],
    ];
    const shown = facts.filter(([, value]) => value);
    return make("dl", {}, ...shown.map(([name, value]) => make("div", {}, make("dt", {}, t(name)), make("dd", {}, theirs(value)))));
  }

  #forms() {
    const { parker, domain, label } = this.#call;
    const text = field(t("label"), { type: "text", maxlength: "200", autocomplete: "off" });
    text.input.value = label;
    const extension = field(t("transfer.to"), {
      type: "text", required: "", maxlength: "64", autocomplete: "off", autocapitalize: "off", spellcheck: "false",
      placeholder: t("transfer.hint"), list: "extensions",
    });
    const phone = field(t("take.at"), {
      type: "text", maxlength: "64", autocomplete: "off", autocapitalize: "off", spellcheck: "false",
      placeholder: t("take.my-phone"), list: "extensions",
    });
    const seconds = field(t("extend.by"), { type: "number", min: "1", max: String(MOST_SECONDS), step: "1", required: "" });
    seconds.input.value = "60";
    const who = parker ? pieces("ringback.parker", { parker: theirs(local(parker, domain)) }) : [t("ringback.someone")];
    return [
      // What is done most comes first: by keyboard, each control before it is one more key.
      this.#form("retrieve", "take", [phone.box], () => phone.input.value.trim()),
      this.#form("transfer", "transfer", [extension.box], () => ({ extension: extension.input.value.trim() })),
      this.#form("label", "label.save", [text.box], () => ({ text: text.input.value })),
      this.#form("extend", "extend", [seconds.box], () => ({ seconds: seconds.input.valueAsNumber })),
      this.#form("ringback", "ringback", [make("p", {}, ...who)], () => ({})),
    ];
  }

  #form(verb, title, content, body) {
    const button = make("button", { type: "submit", class: verb === "retrieve" ? "primary" : "" }, t(title));
    const form = make("form", { class: "action", "data-verb": verb }, ...content, button);
    form.onsubmit = (event) => {
      event.preventDefault();
      this.#act(verb, body(), button);
    };
    return form;
  }

  async #act(verb, body, button) {
    const call = this.#call;
    write(this.#error, "");
    // Not disabled: a disabled button would lose the focus of who works by keyboard. A second press is ignored.
    if (button.ariaBusy === "true") return;
    button.ariaBusy = "true";
    try {
      if (verb === "retrieve") await this.#takes.take(call, body);
      else await this.#api.act(call, verb, body);
      if (this.#call === call) this.close();
      this.#done(verb, words(verb, body, call));
    } catch (error) {
      this.#fail(inWords(error));
    } finally {
      button.ariaBusy = "false";
    }
  }
}

function words(verb, body, call) {
  if (verb === "retrieve") return t(body ? "take.rings-at" : "take.rings", { phone: body });
  if (verb === "transfer") return t("transfer.done-to", { caller: callerOf(call), to: body.extension });
  return t(`${verb}.done`, { slot: call.slot });
}

function field(title, attributes) {
  const input = make("input", attributes);
  return { input, box: make("label", {}, make("span", {}, title), input) };
}
