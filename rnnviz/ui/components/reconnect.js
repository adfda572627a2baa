// A server that comes back after it was away knows nothing of this page until it runs it, and what is
// a part of the page cannot ask for that: this does. It also hears of every run of the page, and
// has Plotly loaded while the first is under way.

let asked = 0;
let run;

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  if (data.run !== run) settleWhenDone();
  run = data.run;
  library(data.chunk);
  const app = document.querySelector(CONNECTION);
  let away = false;
  const watcher = new MutationObserver(() => {
    if (!parentElement.isConnected) return watcher.disconnect();
    const connected = app.dataset.testConnectionState === "CONNECTED";
    if (connected && away) setTriggerValue("woken", (asked += 1));
    away = !connected;
  });
  if (app) watcher.observe(app, { attributes: true, attributeFilter: ["data-test-connection-state"] });
  return () => watcher.disconnect();
}

// When the script has ended, and its figures have had the time to reach their places: those of the
// run before may be of settings that have been moved since.
function settleWhenDone(ended = false) {
  setTimeout(() => {
    if (runs()) settleWhenDone();
    else if (!ended) settleWhenDone(true);
    else {
      writeAddress(); // the script may have written it without what it has not heard of
      settle();
    }
  }, SETTLED);
}

const CONNECTION = "[data-test-connection-state]";
