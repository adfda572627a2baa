// The server's state, as the DOM of Streamlit's page shows it.

const SCRIPT_STATE = "data-test-script-state";
export const CONNECTION_STATE = "data-test-connection-state";

/** The base URL of the server's addresses, which a page's address does not tell. */
export function served() {
  /** @type {HTMLScriptElement | null} */
  const script = document.querySelector('script[src*="static/js/"]');
  return new URL(script ? "../../" : "/", script ? script.src : document.baseURI);
}

/** Whether the page's script is running. */
export function runs() {
  const state = document.querySelector(`[${SCRIPT_STATE}]`)?.getAttribute(SCRIPT_STATE);
  return state === "running" || state === "rerunRequested";
}

/**
 * Calls back when the script starts or ends; returns a function that stops that.
 * @param {() => void} callback
 */
export function watchScript(callback) {
  return watchAttribute(SCRIPT_STATE, callback);
}

/** Whether the server is away: messages sent before it is back and has run the page are lost. */
export function isAway() {
  const app = document.querySelector(`[${CONNECTION_STATE}]`);
  return Boolean(app) && app?.getAttribute(CONNECTION_STATE) !== "CONNECTED";
}

/**
 * @param {string} name
 * @param {() => void} callback
 */
export function watchAttribute(name, callback) {
  const app = document.querySelector(`[${name}]`);
  const watcher = new MutationObserver(callback);
  if (app) watcher.observe(app, { attributes: true, attributeFilter: [name] });
  return () => watcher.disconnect();
}
