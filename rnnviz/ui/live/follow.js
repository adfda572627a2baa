// For what is moved by hand and followed by figures and words elsewhere on the page. While the hand
// moves, they are asked for in one request of their own, which Streamlit and the page's script know
// nothing of; the page follows when the hand rests.

const STATE = "[data-test-script-state]";
const SLOW = 80; // milliseconds from which on the first figure follows more often than the rest
const SHARE = 3; // how much longer it then does so than all of them take
const RESTS = 150; // milliseconds until a hand that has left is taken to rest

// By name, what was moved and stands in the address not yet; for all of the page.
const ahead = (window.rnnvizAhead ??= new Map());

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

// What a setting is now: as moved, or as the address has it.
function setting(name) {
  return ahead.get(name) ?? new URLSearchParams(location.search).get(name) ?? "";
}

// Asks for what follows. One request is under way at most; the next one is for the last value.
class Follower {
  constructor() {
    this.whole = 0; // milliseconds that all that is in sight took last
    this.came = -Infinity; // when it came
  }

  // name: of the setting that was moved. live: whose figures follow, as Python gave it.
  follow(name, value, live) {
    ahead.set(name, value);
    this.live = live;
    this.due = true;
    clearTimeout(this.later);
    if (!this.asking) this.ask();
  }

  async ask() {
    this.asking = true;
    let last = []; // lines to be shown while the server is at work on the next
    while (this.due) {
      this.due = false;
      const begun = performance.now();
      const brief = this.whole > SLOW && begun - this.came < SHARE * this.whole;
      const seen = brief ? inSight().slice(0, 1) : inSight();
      // a server that is away, or that fails: the page says it when the hand rests
      const coming = seen.length && !isAway() ? this.bring(seen).catch(() => []) : [];
      lead(last);
      last = await coming;
      if (brief && !this.due) this.later = setTimeout(() => this.again(), RESTS);
      if (brief) continue;
      this.came = performance.now();
      this.whole = this.came - begun;
    }
    this.asking = false;
    lead(last);
  }

  // What was left out while the hand moved fast.
  again() {
    if (!ahead.size || this.asking) return;
    this.due = true;
    this.came = -Infinity;
    this.ask();
  }

  // Hands parts on as they come, but for the last ones, which it returns.
  async bring(seen) {
    const query = Object.fromEntries([...new URLSearchParams(location.search), ...ahead]);
    for (const [name, value] of ahead) if (value === "") delete query[name];
    const body = JSON.stringify({ ...this.live, query, seen });
    const answer = await fetch("/rnnviz/follow", { method: "POST", body });
    if (!answer.ok) return [];
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let unread = "";
    let left = seen.length;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return [];
      const lines = (unread + value).split("\n");
      unread = lines.pop();
      left -= lines.length;
      if (left <= 0) return lines;
      lead(lines);
    }
  }
}

// Hands figures and words to their places, each line a key and what it now is.
function lead(lines) {
  if (!ahead.size) return; // the page has caught up meanwhile
  const parts = lines.map((line) => {
    const end = line.indexOf(" ");
    return [line.slice(0, end), line.slice(end + 1)];
  });
  if (parts.length)
    window.dispatchEvent(new CustomEvent("rnnviz-live", { detail: Object.fromEntries(parts) }));
}

// The page has caught up with what was moved: when that is all, its own stand again.
function settle(name) {
  ahead.delete(name);
  if (!ahead.size) window.dispatchEvent(new CustomEvent("rnnviz-settled"));
}
