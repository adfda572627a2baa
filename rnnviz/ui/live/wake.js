// A server that comes back after it was away knows nothing of this page until it runs it, and what is
// a part of the page cannot ask for that: this does.

let asked = 0;

export default function (component) {
  const { parentElement, setTriggerValue } = component;
  const app = document.querySelector(STATE);
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

const STATE = "[data-test-connection-state]";
