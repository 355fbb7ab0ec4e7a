/** A sound and a notification for callers who wait too long: asked for by a button, and remembered in this browser. */

import { callerOf, isWaiting, urgency, waiting } from "./calls.js";
import { write } from "./dom.js";
import { t } from "./text.js";
import { duration } from "./time.js";

const KEY = "callpark-alerts";
const LOOK_EVERY_MS = 1_000;
const NOTES_HZ = [880, 1175];
const NOTE_SECONDS = 0.18;

export class Alerts {
  #button;
  #notices;
  #open;
  #on = localStorage.getItem(KEY) === "on";
  #told = new Set();
  #calls = [];
  #levels = new Map();
  #looked = 0;
  #sound = null;

  /** `open(uuid)` shows a call whose notification somebody chose. */
  constructor(button, notices, open) {
    this.#button = button;
    this.#notices = notices;
    this.#open = open;
    button.onclick = () => this.#switch();
    button.title = t("alerts.hint");
    // Browsers play no sound before somebody has touched the page.
    for (const name of ["pointerdown", "keydown"]) document.addEventListener(name, () => this.#on && this.#prepare(), { once: true });
    this.#show();
  }

  event({ action, call }) {
    if (action === "remind" && call) this.#alert(call, call.wait_ms);
  }

  follow(calls, lots) {
    this.#calls = calls;
    this.#levels = new Map(lots.map(({ lot, domain, service_level }) => [`${lot}@${domain}`, service_level]));
    const there = new Set(calls.map((call) => call.uuid));
    for (const uuid of this.#told) if (!there.has(uuid)) this.#told.delete(uuid);
  }

  /** Where the lot reminds nobody, its service level is the time after which a caller is late. */
  tick(now) {
    if (now - this.#looked < LOOK_EVERY_MS) return;
    this.#looked = now;
    for (const call of this.#calls) {
      if (this.#told.has(call.uuid) || !isWaiting(call)) continue;
      const level = this.#levels.get(`${call.lot}@${call.domain}`) ?? Infinity;
      if (urgency(waiting(call, now), level, call.late) === "late") this.#alert(call, waiting(call, now));
    }
  }

  clear() {
    this.#calls = [];
    this.#told.clear();
  }

  #alert(call, ms) {
    this.#told.add(call.uuid);
    if (!this.#on) return;
    this.#play();
    if (!("Notification" in window) || Notification.permission !== "granted") return;
    try {
      const notification = new Notification(t("alerts.title", { caller: callerOf(call), time: duration(ms) }), {
        body: t("alerts.body", { slot: call.slot, lot: call.lot }), tag: call.uuid, renotify: true, icon: "icon-192.png",
      });
      notification.onclick = () => {
        window.focus();
        notification.close();
        this.#open(call.uuid);
      };
    } catch {
      // Browsers of phones show notifications of service workers only; the sound remains.
    }
  }

  async #switch() {
    this.#on = !this.#on;
    if (this.#on) localStorage.setItem(KEY, "on");
    else localStorage.removeItem(KEY);
    this.#show();
    if (!this.#on) return;
    this.#prepare();
    this.#play(); // what it will sound like
    if ("Notification" in window && (await Notification.requestPermission()) === "denied") this.#notices.fail(t("alerts.blocked"));
  }

  #show() {
    write(this.#button, t(this.#on ? "alerts.on" : "alerts.off"));
    this.#button.ariaPressed = String(this.#on);
  }

  #prepare() {
    this.#sound ??= new AudioContext();
    this.#sound.resume();
  }

  #play() {
    const sound = this.#sound;
    if (sound === null) return;
    NOTES_HZ.forEach((hertz, place) => {
      const begin = sound.currentTime + place * NOTE_SECONDS;
      const tone = new OscillatorNode(sound, { frequency: hertz });
      const volume = new GainNode(sound, { gain: 0 });
      volume.gain.setValueAtTime(0.25, begin);
      volume.gain.exponentialRampToValueAtTime(0.001, begin + NOTE_SECONDS);
      tone.connect(volume).connect(sound.destination);
      tone.start(begin);
      tone.stop(begin + NOTE_SECONDS);
    });
  }
}
