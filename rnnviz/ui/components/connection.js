// The script of every page: reruns the page after a reconnect, delivers pending values before the page is
// left, notes every run of the page, and says when live updates do not arrive. It also loads Plotly during
// the first run, puts Streamlit's own texts into the reader's language, and
// has the list of keys.
//
// After a restart the server has no state of this page, and Streamlit would not run it until the next
// change. A simulated popstate makes Streamlit run the page from its current address.

import { offerKeys } from "./keys.js";
import { Exit } from "./leaving.js";
import { library } from "./library.js";
import { SETTLED_MS } from "./live_updates.js";
import { page, settle, writeAddress } from "./pending.js";
import { CONNECTION_STATE, isAway, runs, watchAttribute } from "./server.js";
import { speak } from "./streamlit_words.js";
import { applyStyles } from "./styles.js";

/** @type {number | undefined} */
let run;
/** @type {Exit | undefined} */
let exit;

/** @param {import("./types.d.ts").ComponentArguments<any>} component */
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  applyStyles(parentElement);
  exit ??= new Exit();
  exit.trigger = (message) => setTriggerValue("leaving", message);
  exit.courier.answer(data.answered);
  page.names = data.names;
  [page.firstView, page.defaultView] = data.first;
  for (const name of page.pending.keys()) if (!page.names.includes(name)) forget(name);
  if (data.run !== run) settleWhenDone();
  run = data.run;
  library(data.chunk);
  speak(data.language, data.words);
  offerKeys(parentElement, data.keys);
  const notice = showNotice(parentElement, data.unavailable);
  let wasAway = isAway();
  const unwatch = watchAttribute(CONNECTION_STATE, () => {
    if (!parentElement.isConnected) return;
    if (wasAway && !isAway()) exit?.navigate();
    wasAway = isAway();
  });
  return () => {
    unwatch();
    window.removeEventListener("rnnviz-available", notice);
  };
}

/**
 * Shows the text while live updates do not arrive; returns the listener that does.
 * @param {HTMLElement} parent
 * @param {string} text
 */
function showNotice(parent, text) {
  /** @type {HTMLElement} */
  const notice = parent.querySelector("[role=status]") ?? document.createElement("p");
  notice.setAttribute("role", "status");
  parent.append(notice);
  const show = () => {
    notice.textContent = page.isLive ? "" : text;
  };
  window.addEventListener("rnnviz-available", show);
  show();
  return show;
}

/**
 * The page of this setting was left while the server was away.
 * @param {string} name
 */
function forget(name) {
  page.pending.delete(name);
  page.unrun.delete(name);
}

// Settles once the script has ended and its figures have had time to reach the page; until then, the
// figures on the page may be those of older settings.
function settleWhenDone(hasEnded = false) {
  setTimeout(() => {
    if (runs()) settleWhenDone();
    else if (!hasEnded) settleWhenDone(true);
    else {
      writeAddress(); // the script may have overwritten the pending values
      settle();
    }
  }, SETTLED_MS);
}
