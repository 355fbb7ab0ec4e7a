// What the phones in the browser have in common: the microphone, and measuring the audio that they receive.

// The browser must send the microphone's audio unchanged.
export const MEDIA = { audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false }, video: false };
const context = new AudioContext();
let analyser;

export function listenTo(stream) {
  // Chromium hands a remote stream to WebAudio only while something plays it.
  const player = document.getElementById("player");
  player.srcObject = stream;
  player.play();
  analyser = context.createAnalyser();
  analyser.fftSize = 8192;
  context.createMediaStreamSource(stream).connect(analyser);
}

// The analyser of a call that is over would go on showing its last sound.
export function stopListening() {
  analyser = null;
}

// The number of received audio packets, and their energy as the browser measures it.
export async function received(connection) {
  const reports = [...(await connection.getStats()).values()];
  const { packetsReceived, totalAudioEnergy } = reports.find((one) => one.type === "inbound-rtp" && one.kind === "audio");
  return { packets: packetsReceived, energy: totalAudioEnergy };
}

// The loudest frequency at this moment, or 0 for silence.
export function loudest() {
  if (!analyser) return 0;
  const levels = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(levels);
  const at = levels.indexOf(Math.max(...levels));
  return levels[at] > -60 ? (at * context.sampleRate) / analyser.fftSize : 0;
}
