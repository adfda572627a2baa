// For what is moved by hand and followed by figures and words elsewhere on the page.

const STATE = "[data-test-script-state]";

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

// The keys of all that can follow and that is to be seen now.
function inSight() {
  const all = [...document.querySelectorAll("[data-rnnviz-follows]")];
  const seen = all.filter((part) => {
    const { top, bottom, width } = part.getBoundingClientRect();
    return width && bottom > 0 && top < innerHeight;
  });
  return seen.map((part) => part.dataset.rnnvizFollows);
}

// A line of JSON, and a figure's in each line after it.
function unpacked(bytes) {
  const [header, ...figures] = new TextDecoder().decode(bytes).split("\n");
  const data = JSON.parse(header);
  return { ...data, figures: Object.fromEntries(data.figures.map((name, k) => [name, figures[k]])) };
}

// Hands figures and words to their places.
function lead({ figures, words }) {
  window.dispatchEvent(new CustomEvent("rnnviz-live", { detail: { figures, words } }));
}

// The page has caught up: their own stand again.
function settle() {
  window.dispatchEvent(new CustomEvent("rnnviz-settled"));
}
