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

/** Against the lot's service level (seconds): up to half, up to all of it, beyond. */
export function urgency(waitMs, serviceLevel) {
  const share = waitMs / 1000 / serviceLevel;
  return share > 1 ? "late" : share >= 0.5 ? "soon" : "fresh";
}

/** `1001@example.com` is just 1001 where the domain is understood. */
export const local = (user, domain) => (user.endsWith(`@${domain}`) ? user.slice(0, -domain.length - 1) : user);

export const callerOf = (call) => call.caller_name || call.caller_number || t("caller.unknown");
