// What Streamlit tells the page of its server.

const STATE = "[data-test-script-state]";

// Where the server's own addresses begin, which a page's address need not tell.
function served() {
  const script = document.querySelector('script[src*="static/js/"]');
  return new URL(script ? "../../" : "/", script ? script.src : document.baseURI);
}

// Whether the page's script runs, as Streamlit itself knows it.
function runs() {
  const state = document.querySelector(STATE)?.dataset.testScriptState;
  return state === "running" || state === "rerunRequested";
}

// The server that is away knows the page only when it has run it anew (see wake.js): what is sent
// before that is lost, and what stands on the page may be put there anew.
function isAway() {
  const app = document.querySelector("[data-test-connection-state]");
  return Boolean(app) && app.dataset.testConnectionState !== "CONNECTED";
}

