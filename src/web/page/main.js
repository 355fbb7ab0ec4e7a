/** Call parking's page: sign in, look, sign out. It is a dashboard, or a wallboard with `?view=wall`. */

import { Dashboard } from "./dashboard.js";
import { Report } from "./report.js";
import { SignIn } from "./sign_in.js";
import { t, translate } from "./text.js";
import { Wall } from "./wall.js";

const at = (id) => document.getElementById(id);
const isWall = new URLSearchParams(location.search).get("view") === "wall";

let view = null;
let report = null;

function show(shown) {
  at(isWall ? "wall" : "dashboard").hidden = !shown;
  at("sign-out").hidden = !shown;
}

function enter(api, me) {
  view = isWall ? new Wall(api, me, leave) : new Dashboard(api, me, leave);
  show(true);
  view.start();
  if (isWall) return;
  report = new Report(api, (error) => leave(error.status === 401 ? t("sign-in.expired") : error.message));
  report.start();
}

function leave(why) {
  if (view === null) return;
  view.stop();
  view = null;
  report?.stop();
  show(false);
  signIn.forget();
  signIn.ask(why);
}

translate(document);
if (isWall) document.body.dataset.view = "wall";
const signIn = new SignIn(enter, isWall);
at("sign-out").onclick = () => leave("");
signIn.start();
