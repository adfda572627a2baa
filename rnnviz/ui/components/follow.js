// For what is moved by hand and followed by figures and words elsewhere on the page. While the hand
// moves, they are asked for over a connection of their own, which Streamlit and the page's script know
// nothing of: first what is in sight, the rest when the hand has been still for a while.

const SLOW = 50; // milliseconds from which on the first figure follows more often than the rest
const SHARE = 4; // how much longer it then does so than all of them take
const FAST = 250; // milliseconds within which a hand that moves fast moves again
const RESTS = 150; // milliseconds until a hand that has left is taken to rest
const LATE = 1000; // milliseconds until what is out of sight follows
const ENDED = 50; // milliseconds between looks for the end of a run
const SETTLED = 400; // milliseconds after the script's end in which its figures reach their places

// One for all of the page. ahead: by name, what was moved and stands in the address not yet; behind:
// the names of what was moved since the page was run. moves: how often anything was; told: by key,
// the moves that a part stands for; base: those that the page itself does; runs: how often it ran.
const page = (window.rnnvizPage ??= {
  ahead: new Map(),
  behind: new Set(),
  moves: 0,
  told: new Map(),
  base: 0,
  runs: 0,
});

// The keys of all that can follow and, unless all is true, that is to be seen now.
function parts(all) {
  const found = [...document.querySelectorAll("[data-rnnviz-follows]")].filter((part) => {
    const { top, bottom, width } = part.getBoundingClientRect();
    return width && (all || (bottom > 0 && top < innerHeight));
  });
  return found.map((part) => part.dataset.rnnvizFollows);
}

function isStale(key) {
  return (page.told.get(key) ?? page.base) < page.moves;
}

// What a setting is now: as moved, or as the address has it.
function setting(name) {
  return page.ahead.get(name) ?? new URLSearchParams(location.search).get(name) ?? "";
}

// The address with all that was moved.
function address() {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of page.ahead) {
    if (value === "") query.delete(name);
    else query.set(name, value);
  }
  return query;
}

// The address says what was moved, also where the page's script has not heard of it.
function writeAddress() {
  if (page.ahead.size) history.replaceState(history.state, "", `?${address()}`);
}

// Asks for what follows. One question is under way at most; the next one is for the last value.
class Follower {
  // lacks: called when something cannot follow, so that the page has to.
  constructor(lacks) {
    this.lacks = lacks;
    this.whole = 0; // milliseconds that all that is in sight took last
    this.came = -Infinity; // when it came
    addEventListener("scroll", (this.scrolled = () => this.later(RESTS)), { capture: true, passive: true });
  }

  // name: of the setting that was moved. live: whose figures follow, as Python gave it.
  follow(name, value, live) {
    page.ahead.set(name, value);
    page.behind.add(name);
    const now = performance.now();
    this.fast = now - this.moved < FAST;
    this.moved = now;
    this.renew(live);
  }

  // What follows is of other settings now: of those that are moved, or that the page has been run with.
  renew(live) {
    page.moves += 1;
    this.moves = page.moves;
    this.live = live;
    this.due = true;
    this.complete = false;
    if (!this.asking) this.ask();
  }

  // The page is run for something else, and what has followed is not of that. What is stands in the
  // address by the end of the run.
  again(live) {
    clearTimeout(this.ending);
    this.ending = setTimeout(() => (runs() ? this.again(live) : this.renew(live)), ENDED);
  }

  // The page follows: nothing is left to ask for.
  leave() {
    clearTimeout(this.timer);
    clearTimeout(this.ending);
    this.filling = false;
    this.moves = undefined;
  }

  async ask() {
    this.asking = true;
    clearTimeout(this.timer);
    let last = () => {}; // shows what came last, while the server is at work on the next
    while (this.due) {
      this.due = false;
      const begun = performance.now();
      const brief = this.fast && this.whole > SLOW && begun - this.came < SHARE * this.whole;
      const seen = parts();
      const first = seen.find((key) => key.startsWith("figure_")) ?? seen[0];
      const coming = this.bring(brief ? [first] : seen);
      last();
      last = await coming;
      if (brief) continue;
      this.came = performance.now();
      this.whole = this.came - begun;
    }
    last();
    this.asking = false;
    this.check();
    this.later(RESTS);
  }

  // What was left out while the hand moved fast, and after a while what is out of sight.
  later(time) {
    clearTimeout(this.timer);
    this.filling = false;
    if (this.moves !== page.moves || page.base === page.moves) return; // others', or the page's own
    this.filling = time !== LATE;
    this.timer = setTimeout(async () => {
      if (this.asking) return;
      const stale = parts(time === LATE).filter(isStale);
      if (stale.length) (await this.bring(stale))();
      this.filling = false;
      this.check();
      if (this.lacking) this.lacks();
      else if (time !== LATE) this.later(LATE);
    }, time);
  }

  // Whether what is in sight is still on its way.
  get busy() {
    return Boolean(this.asking || this.filling);
  }

  check() {
    this.complete = !this.lacking && !parts().some(isStale);
  }

  // Hands parts on as they come, but for the last ones: returns what does that.
  bring(seen) {
    const { moves, runs } = page;
    this.lacking = false;
    let left = seen.length;
    const lead = (lines) => {
      if (runs !== page.runs) return; // the page itself has followed meanwhile
      const detail = {};
      for (const line of lines) {
        const end = line.indexOf(" ");
        const key = line.slice(0, end);
        if (page.told.get(key) > moves) continue; // it stands for a later move
        detail[key] = line.slice(end + 1);
        this.lacking ||= !detail[key];
        page.told.set(key, moves);
      }
      window.dispatchEvent(new CustomEvent("rnnviz-live", { detail }));
    };
    return new Promise((resolve) => {
      // a server that is away, or that fails: the page says it when the hand rests
      const lacks = () => {
        this.lacking ||= left > 0;
        resolve(() => {});
      };
      if (!left || isAway()) return lacks();
      const { page: name, language, dark } = this.live;
      const question = { page: name, language, dark, query: Object.fromEntries(address()), seen };
      theWire().ask(JSON.stringify(question), (text) => {
        if (text === END) return lacks();
        const lines = text.split("\n").slice(0, -1);
        left -= lines.length;
        if (left > 0) lead(lines);
        else resolve(() => lead(lines));
      });
    });
  }

  stop() {
    this.leave();
    removeEventListener("scroll", this.scrolled, { capture: true });
  }
}

// One connection for all that asks. Answers come in the order of the questions, each in messages of
// whole lines, the last of them one that is empty.
const END = "\n";

class Wire {
  constructor() {
    this.hearers = []; // who hears the answers to come, in their order
    this.socket = new WebSocket(new URL("rnnviz/follow", served()).href.replace("http", "ws"));
    this.opened = new Promise((open) => this.socket.addEventListener("open", open));
    this.socket.addEventListener("message", ({ data }) => {
      const [hear] = this.hearers;
      if (data === END) this.hearers.shift();
      hear(data);
    });
    this.socket.addEventListener("close", () => {
      for (const hear of this.hearers.splice(0)) hear(END);
    });
  }

  // hear: called with each message, and with END where no more will come.
  ask(question, hear) {
    this.hearers.push(hear);
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(question);
    else this.opened.then(() => this.socket.send(question));
  }
}

let wire;
function theWire() {
  if (!(wire?.socket.readyState <= WebSocket.OPEN)) wire = new Wire();
  return wire;
}

// The address has caught up with what was moved, or name is none; where the page has, too, its own
// figures and words stand again.
function settle(name) {
  page.ahead.delete(name);
  if (page.ahead.size || page.behind.size) return;
  page.base = page.moves;
  page.told.clear();
  page.runs += 1;
  window.dispatchEvent(new CustomEvent("rnnviz-settled"));
}
