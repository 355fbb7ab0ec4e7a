// A Verto phone in the browser that a test controls (webphone.py): it logs in, calls, answers, transfers and hangs up.
import { MEDIA, listenTo, loudest, received, stopListening } from "./media.js";

const session = crypto.randomUUID();
const waiting = new Map(); // the requests without an answer, by id
let socket, user, call;

function send(message) {
  socket.send(JSON.stringify({ jsonrpc: "2.0", ...message }));
}

let requests = 0;
function request(method, params) {
  const id = ++requests;
  send({ id, method, params: { sessid: session, ...params } });
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

const dialog = (more) => ({ callID: call.id, caller_id_name: user, caller_id_number: user, destination_number: call.number, ...more });

async function connect(id, number) {
  const connection = new RTCPeerConnection();
  connection.addEventListener("track", (event) => listenTo(event.streams[0] ?? new MediaStream([event.track])));
  call = { id, number, connection, answered: false };
  const microphone = await navigator.mediaDevices.getUserMedia(MEDIA);
  microphone.getTracks().forEach((track) => connection.addTrack(track, microphone));
  return connection;
}

// Verto has no messages for candidates: the description must have all of them.
async function described(connection, description) {
  await connection.setLocalDescription(description);
  while (connection.iceGatheringState !== "complete") {
    await new Promise((resolve) => connection.addEventListener("icegatheringstatechange", resolve, { once: true }));
  }
  return connection.localDescription.sdp;
}

function forget() {
  call?.connection.close();
  call = null;
  stopListening();
}

const hear = (type, sdp) => call.connection.setRemoteDescription({ type, sdp });

const events = {
  async "verto.invite"({ callID, sdp }) {
    const connection = await connect(callID, user);
    await hear("offer", sdp);
    const answer = await described(connection, await connection.createAnswer());
    await request("verto.answer", { sdp: answer, dialogParams: dialog() });
    call.answered = true;
  },
  async "verto.media"({ sdp }) {
    await hear("answer", sdp);
  },
  async "verto.answer"({ sdp }) {
    if (sdp) await hear("answer", sdp);
    call.answered = true;
  },
  "verto.bye": () => forget(),
};

function receive({ id, method, params, result, error }) {
  if (!method) {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    return error ? reject(new Error(error.message)) : resolve(result);
  }
  if (id !== undefined) send({ id, result: { method } });
  return events[method]?.(params);
}

async function until(condition) {
  for (let n = 0; n < 200; n++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`not within 10 s: ${condition}`);
}

window.phone = {
  async register(port, name, domain) {
    user = name;
    socket = new WebSocket(`ws://127.0.0.1:${port}`);
    socket.addEventListener("message", ({ data }) => receive(JSON.parse(data)));
    await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }));
    await request("login", { login: `${name}@${domain}`, passwd: name });
  },

  async call(number) {
    const connection = await connect(crypto.randomUUID(), number);
    const sdp = await described(connection, await connection.createOffer());
    await request("verto.invite", { sdp, dialogParams: dialog() });
    await until(() => call?.answered);
  },

  transfer: (number) => request("verto.modify", { action: "transfer", destination: number, dialogParams: dialog() }),

  press: (keys) => request("verto.info", { dtmf: keys, dialogParams: dialog() }),

  hangUp() {
    request("verto.bye", { dialogParams: dialog() });
    forget();
  },

  talks: () => Boolean(call?.answered),
  received: () => received(call.connection),
  loudest,
};
