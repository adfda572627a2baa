// What all pages have in common: reruns the page after a reconnect, delivers what is pending before the
// page is left, and notes every run of the page. Plotly is loaded while the first run is under way.
//
// A server that is new knows nothing of this page until it runs it, and Streamlit itself waits for the
// next change. Run as after a step in the history, the page is run from its address as it now is.

import { page, settle, writeAddress } from "./address.js";
import { Exit } from "./leaving.js";
import { library } from "./library.js";
import { SETTLED_MS } from "./live_updates.js";
import { CONNECTION_STATE, isAway, runs, watchAttribute } from "./server.js";

/** @type {number | undefined} */
let run;
/** @type {Exit | undefined} */
let exit;

/** @param {import("./types.d.ts").ComponentArguments<any>} component */
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  exit ??= new Exit();
  exit.trigger = (message) => setTriggerValue("leaving", message);
  exit.courier.answer(data.answered);
  page.names = data.names;
  for (const name of page.pending.keys()) if (!page.names.includes(name)) forget(name);
  if (data.run !== run) settleWhenDone();
  run = data.run;
  library(data.chunk);
  let wasAway = isAway();
  return watchAttribute(CONNECTION_STATE, () => {
    if (!parentElement.isConnected) return;
    if (wasAway && !isAway()) exit?.navigate();
    wasAway = isAway();
  });
}

/**
 * The page of this setting was left while the server was away.
 * @param {string} name
 */
function forget(name) {
  page.pending.delete(name);
  page.unrun.delete(name);
}

// When the script has ended and its figures have had the time to reach their places: those of the run
// before may be of settings that have been changed since.
function settleWhenDone(hasEnded = false) {
  setTimeout(() => {
    if (runs()) settleWhenDone();
    else if (!hasEnded) settleWhenDone(true);
    else {
      writeAddress(); // the script may have written it without what is pending
      settle();
    }
  }, SETTLED_MS);
}
