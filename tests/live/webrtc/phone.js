// A SIP phone in the browser that a test controls (webphone.py): it registers over WebSocket, calls, answers, transfers and hangs up, and
// it measures the audio that it receives.
import * as JsSIP from "jssip";

// The browser must send the microphone's audio unchanged.
const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const MEDIA = { mediaConstraints: { audio, video: false } };
const context = new AudioContext();
let ua, session, analyser;

function listenTo(stream) {
  // Chromium hands a remote stream to WebAudio only while something plays it.
  const player = document.getElementById("player");
  player.srcObject = stream;
  player.play();
  analyser = context.createAnalyser();
  analyser.fftSize = 8192;
  context.createMediaStreamSource(stream).connect(analyser);
}

function take(call) {
  session = call;
  const hear = (connection) => connection.addEventListener("track", (event) => listenTo(event.streams[0]));
  if (call.connection) hear(call.connection);
  call.on("peerconnection", ({ peerconnection }) => hear(peerconnection));
  call.on("ended", () => { session = null; });
  call.on("failed", () => { session = null; });
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

  // The number of received audio packets, and their energy as the browser measures it.
  async received() {
    const reports = [...(await session.connection.getStats()).values()];
    const { packetsReceived, totalAudioEnergy } = reports.find((one) => one.type === "inbound-rtp" && one.kind === "audio");
    return { packets: packetsReceived, energy: totalAudioEnergy };
  },

  // The loudest frequency at this moment, or 0 for silence.
  loudest() {
    if (!analyser) return 0;
    const levels = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(levels);
    const at = levels.indexOf(Math.max(...levels));
    return levels[at] > -60 ? (at * context.sampleRate) / analyser.fftSize : 0;
  },
};
