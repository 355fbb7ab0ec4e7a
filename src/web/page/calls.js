/** What a call on the board is: how long it waits, how urgent it is, what is said about it. */

import { t } from "./text.js";
import { duration } from "./time.js";

/** A newer answer that differs by less is the same time, measured worse. */
const SAME_MS = 3_000;

/**
 * Fastens a call's times to this machine's monotonic clock. The server's clock is known by what it says itself
 * (`parked_at` + `wait_ms` is its now), so a wrong clock on either side changes nothing. An answer is old by the time it took, so of two
 * answers the earlier time is right; `before` is the call as it was known. Otherwise each slow answer would set a wait back by a second.
 */
export function anchor(call, now = performance.now(), before = null) {
  const left = call.timeout_at === null ? null : call.timeout_at - (call.parked_at + call.wait_ms);
  const [since, due] = [now - call.wait_ms, left === null ? null : now + left];
  const known = before !== null && before.parked_at === call.parked_at;
  return {
    ...call,
    since: known ? earlier(since, before.since) : since,
    due: known && due !== null && before.timeout_at === call.timeout_at ? earlier(due, before.due) : due,
  };
}

const earlier = (time, before) => (Math.abs(time - before) < SAME_MS ? Math.min(time, before) : time);

export const waiting = (call, now = performance.now()) => now - call.since;

/** When the time-out comes, in words; an empty text where there is none. */
export function timeoutOf(call, now) {
  if (call.due === null) return "";
  return call.due > now ? t("slot.due", { time: duration(call.due - now) }) : t("slot.due-now");
}

/** A reserved slot is kept for a caller who is not in it yet. */
export const isWaiting = (call) => call.state !== "reserved";

/** Late is who the server says is late, or waits longer than the lot's service level (seconds); almost late, from half of it. */
export function urgency(waitMs, serviceLevel, late = false) {
  const share = late ? Infinity : waitMs / 1000 / serviceLevel;
  return share > 1 ? "late" : share >= 0.5 ? "soon" : "fresh";
}

/** `1001@example.com` is just 1001 where the domain is understood. */
export const local = (user, domain) => (user.endsWith(`@${domain}`) ? user.slice(0, -domain.length - 1) : user);

/** Whether what somebody types is in the call's slot, name, number, label or parker; a number also without its spaces. */
export function matches({ slot, caller_name, caller_number, label, parker }, wanted) {
  const text = [slot, caller_name, caller_number, caller_number.replace(/[\s()-]/g, ""), label, parker].join("\n");
  return text.toLocaleLowerCase().includes(wanted.toLocaleLowerCase());
}

export const callerOf = (call) => call.caller_name || call.caller_number || t("caller.unknown");
