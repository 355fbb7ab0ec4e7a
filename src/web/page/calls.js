/** What a call on the board is: how long it waits, how urgent it is, what is said about it. */

import { t } from "./text.js";

/**
 * Fastens a call's times to this machine's monotonic clock. The server's clock is known by what it says itself
 * (`parked_at` + `wait_ms` is its now), so a wrong clock on either side changes nothing.
 */
export function anchor(call, now = performance.now()) {
  const left = call.timeout_at === null ? null : call.timeout_at - (call.parked_at + call.wait_ms);
  return { ...call, since: now - call.wait_ms, due: left === null ? null : now + left };
}

export const waiting = (call, now = performance.now()) => now - call.since;

/** A reserved slot is kept for a caller who is not in it yet. */
export const isWaiting = (call) => call.state !== "reserved";

/** Late is who the server says is late, or waits longer than the lot's service level (seconds); soon late, from half of it. */
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
