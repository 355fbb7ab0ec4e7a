// A SIP phone in the browser that a test controls (webphone.py): it registers over WebSocket, calls, answers, transfers and hangs up, and
// it measures the audio that it receives.
import * as JsSIP from "jssip";
import { MEDIA as mediaConstraints, listenTo, loudest, received, stopListening } from "./media.js";

const MEDIA = { mediaConstraints };
let ua, session;

function take(call) {
  session = call;
  const hear = (connection) => connection.addEventListener("track", (event) => listenTo(event.streams[0]));
  if (call.connection) hear(call.connection);
  call.on("peerconnection", ({ peerconnection }) => hear(peerconnection));
  const over = () => {
    session = null;
    stopListening();
  };
  call.on("ended", over);
  call.on("failed", over);
}

// Resolves when one of `good` happens to `emitter`, and rejects when one of `bad` does.
function outcome(emitter, good, bad) {
  return new Promise((resolve, reject) => {
    good.forEach((name) => emitter.once(name, () => resolve(name)));
    bad.forEach((name) => emitter.once(name, (event) => reject(new Error(`${name}: ${event?.cause} ${event?.message?.status_code ?? ""}`))));
  });
}

window.phone = {
  register(port, user, domain) {
    ua = new JsSIP.UA({
      sockets: [new JsSIP.WebSocketInterface(`ws://127.0.0.1:${port}`)],
      uri: `sip:${user}@${domain}`,
      password: user,
      // JsSIP offers 90 seconds, and FreeSWITCH requires at least 120.
      session_timers: false,
    });
    ua.on("newRTCSession", ({ originator, session: call }) => {
      if (originator === "remote") {
        take(call);
        call.answer(MEDIA);
      }
    });
    ua.start();
    return outcome(ua, ["registered"], ["registrationFailed"]);
  },

  call(number) {
    const call = ua.call(number, MEDIA);
    take(call);
    return outcome(call, ["confirmed"], ["failed"]);
  },

  transfer(number) {
    return outcome(session.refer(number), ["requestSucceeded", "accepted"], ["requestFailed", "failed"]);
  },

  hangUp() {
    session?.terminate();
  },

  talks: () => Boolean(session?.isEstablished()),

  received: () => received(session.connection),
  loudest,
};
