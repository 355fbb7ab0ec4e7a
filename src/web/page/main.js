/** Call parking's dashboard: sign in, look, sign out. */

import { Dashboard } from "./dashboard.js";
import { SignIn } from "./sign_in.js";
import { translate } from "./text.js";

const at = (id) => document.getElementById(id);

let dashboard = null;

function enter(api, rights) {
  dashboard = new Dashboard(api, rights, leave);
  at("dashboard").hidden = false;
  at("sign-out").hidden = false;
  dashboard.start();
}

function leave(why) {
  if (dashboard === null) return;
  dashboard.stop();
  dashboard = null;
  at("dashboard").hidden = true;
  at("sign-out").hidden = true;
  signIn.forget();
  signIn.ask(why);
}

translate(document);
const signIn = new SignIn(enter);
at("sign-out").onclick = () => leave("");
signIn.start();
