/** Shapes that say what the colours say, for those who do not see the colours. */

import { draw } from "./dom.js";

const PATHS = {
  fresh: "M3.5 8.5l3 3 6-7",
  soon: "M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13M8 4.5V8l2.5 2",
  late: "M8 2L14.5 13.5H1.5ZM8 6.5v3M8 11.6v.1",
  "ringing-back": "M3.5 11.5h9L11 9V6.5a3 3 0 0 0-6 0V9ZM7 13.7h2M1.6 6.5A5 5 0 0 1 3 3.2M14.4 6.5A5 5 0 0 0 13 3.2",
  retrieving: "M2 8h10M8.5 4.5L12 8l-3.5 3.5M14.2 3.5v9",
  "waiting-for-slot": "M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13M8 4.5V8l2.5 2",
  reserved: "M4 2h8M4 14h8M5 2c0 4 6 8 6 12M11 2c0 4-6 8-6 12",
};

export function icon(name) {
  return draw("svg", { class: `icon icon-${name}`, viewBox: "0 0 16 16", "aria-hidden": "true" }, draw("path", { d: PATHS[name] }));
}
