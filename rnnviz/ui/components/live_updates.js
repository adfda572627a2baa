// Live updates: while a value is dragged, the figures and texts that depend on it are requested over a
// separate WebSocket, without a run of the page's script. Those in sight are requested at once, the others
// when the value has not changed for a while. At most one request is in flight; the next one is for the
// newest value, and is sent before the last answer is drawn.

import { REST_MS } from "./courier.js";
import { address, page, setPending } from "./pending.js";
import { isAway, runs, served } from "./server.js";

const SLOW_MS = 50; // time for all parts in sight, above which the first figure is updated more often
const SHARE = 4; // multiple of that time during which only the first figure is updated
const FAST_MS = 250; // below this interval between two changes, the value changes fast
const OUT_OF_SIGHT_MS = 1000; // delay until the parts out of sight are updated
const SILENT_MS = 20_000; // without a message, after which an answer is given up
const RETRY_MS = 10_000; // until a failed connection is tried again
const NOTICE_MS = 1000; // in which Streamlit notices that the server is away
const LOOK_FOR_END_MS = 50; // polling interval for the end of a run
export const SETTLED_MS = 400; // time after the end of a run until its figures are on the page

/** @typedef {{page: string, language: string, dark: boolean}} Reader whose page it is, as Python gave it */

/**
 * The keys of all parts that can be updated; only of those in sight, unless all is true.
 * @param {boolean} [all]
 */
function liveKeys(all) {
  /** @type {NodeListOf<HTMLElement>} */
  const parts = document.querySelectorAll("[data-rnnviz-live]");
  const found = [...parts].filter((part) => {
    const { top, bottom, width } = part.getBoundingClientRect();
    return width && (all || (bottom > 0 && top < innerHeight));
  });
  return found.map((part) => part.dataset.rnnvizLive ?? "");
}

/** @param {string} key */
function isStale(key) {
  return (page.shownAt.get(key) ?? page.pageVersion) < page.changes;
}

export class LiveUpdates {
  /** @param {() => void} onMissing called when something cannot be updated, so that the page has to run */
  constructor(onMissing) {
    this.onMissing = onMissing;
    this.tookMs = 0; // the last time for all parts in sight
    this.cameAt = -Infinity;
    this.changedAt = -Infinity;
    this.isComplete = false;
    this.isAsking = false;
    this.isFilling = false;
    this.isMissing = false;
    /** @type {number | undefined} `changes` of the last request; undefined once the page runs for it */
    this.version = undefined;
    this.onScroll = () => this.fillAfter(REST_MS);
    addEventListener("scroll", this.onScroll, { capture: true, passive: true });
  }

  /**
   * Called when a setting has a new value.
   * @param {string} name
   * @param {string} value
   * @param {Reader} reader
   */
  change(name, value, reader) {
    setPending(name, value);
    page.unrun.add(name);
    const now = performance.now();
    this.isFast = now - this.changedAt < FAST_MS;
    this.changedAt = now;
    this.renew(reader);
  }

  /**
   * Requests all parts in sight for the new settings.
   * @param {Reader} reader
   */
  renew(reader) {
    page.changes += 1;
    this.version = page.changes;
    this.reader = reader;
    this.isDue = true;
    this.isComplete = this.isMissing = false;
    if (!this.isAsking) this.ask();
  }

  /**
   * Requests everything again after the end of a run for another setting, which the parts do not show yet.
   * The address has that setting by then.
   * @param {Reader} reader
   */
  renewAfterRun(reader) {
    clearTimeout(this.ending);
    this.ending = setTimeout(
      () => (runs() ? this.renewAfterRun(reader) : this.renew(reader)),
      LOOK_FOR_END_MS,
    );
  }

  /** Cancels further requests, because the page will run. */
  detach() {
    clearTimeout(this.timer);
    clearTimeout(this.ending);
    this.isFilling = false;
    this.version = undefined;
  }

  async ask() {
    this.isAsking = true;
    clearTimeout(this.timer);
    let showLast = () => {}; // shows the last answer, while the server computes the next
    while (this.isDue) {
      this.isDue = false;
      const begun = performance.now();
      const isShort =
        this.isFast && this.tookMs > SLOW_MS && begun - this.cameAt < SHARE * this.tookMs;
      const seen = liveKeys();
      const first = seen.find((key) => key.startsWith("figure_")) ?? seen[0];
      const coming = this.fetch(isShort && first ? [first] : seen);
      showLast();
      showLast = await coming;
      if (isShort) continue;
      this.cameAt = performance.now();
      this.tookMs = this.cameAt - begun;
    }
    showLast();
    this.isAsking = false;
    this.check();
    this.fillAfter(REST_MS);
  }

  /**
   * After a delay, requests the parts skipped while the value changed fast, then those out of sight.
   * @param {number} delayMs
   */
  fillAfter(delayMs) {
    clearTimeout(this.timer);
    this.isFilling = false;
    const isOthers = this.version !== page.changes || page.pageVersion === page.changes;
    if (isOthers) return;
    const isLast = delayMs === OUT_OF_SIGHT_MS;
    this.isFilling = !isLast;
    this.timer = setTimeout(async () => {
      if (this.isAsking) return;
      const stale = liveKeys(isLast).filter(isStale);
      if (stale.length) (await this.fetch(stale))();
      this.isFilling = false;
      this.check();
      if (this.isMissing) this.onMissing();
      else if (!isLast) this.fillAfter(OUT_OF_SIGHT_MS);
    }, delayMs);
  }

  /** Whether an update of something in sight is outstanding. */
  get isBusy() {
    return this.isAsking || this.isFilling;
  }

  check() {
    this.isComplete = !this.isMissing && !liveKeys().some(isStale);
  }

  /**
   * Forwards parts to the page as they arrive, except the last message; resolves to a function for that.
   * @param {string[]} seen
   * @returns {Promise<() => void>}
   */
  fetch(seen) {
    const { changes, runs } = page;
    let left = seen.length;
    const miss = () => {
      if (changes === page.changes) this.isMissing = true;
    };
    const forward = (/** @type {string[]} */ lines) => {
      if (runs !== page.runs) return; // the page itself shows this by now
      /** @type {Record<string, string>} */
      const detail = {};
      for (const line of lines) {
        const end = line.indexOf(" ");
        const key = line.slice(0, end);
        if ((page.shownAt.get(key) ?? -1) > changes) continue; // it shows a later value
        detail[key] = line.slice(end + 1);
        if (!detail[key]) miss();
        page.shownAt.set(key, changes);
      }
      window.dispatchEvent(new CustomEvent("rnnviz-live", { detail }));
    };
    return new Promise((resolve) => {
      // if the server is away or fails, the page shows the error when it runs
      const onEnd = () => {
        if (left > 0) miss();
        resolve(() => {});
      };
      const open = !left || isAway() ? undefined : openChannel();
      if (!open) return onEnd();
      const { page: name, language, dark } = /** @type {Reader} */ (this.reader);
      const question = { page: name, language, dark, query: Object.fromEntries(address()), seen };
      open.ask(JSON.stringify(question), (text) => {
        if (!text) return; // the question waits
        if (text === END) return onEnd();
        const lines = text.split("\n").slice(0, -1);
        left -= lines.length;
        if (left > 0) forward(lines);
        else resolve(() => forward(lines));
      });
    });
  }

  stop() {
    this.detach();
    removeEventListener("scroll", this.onScroll, { capture: true });
  }
}

// One connection for all LiveUpdates. Answers come in the order of the questions, each as messages of
// whole lines, the last of which is empty. While a question waits, the server sends empty messages.
//
//              open                          a message
//   opening ─────────▶ silent or answering ◀──────────┐
//      │                    │        └────────────────┘
//      └────────────────────┴──▶ failed: closed, or a question without any message for SILENT_MS
//
// A failed connection is tried again after RETRY_MS. Until then the page runs for every value, and says so.
const END = "\n";

class Channel {
  constructor() {
    /** @type {((text: string) => void)[]} the listeners of the outstanding answers, in order */
    this.listeners = [];
    this.hasFailed = false;
    this.socket = new WebSocket(new URL("rnnviz/live", served()).href.replace("http", "ws"));
    this.opened = new Promise((open) => this.socket.addEventListener("open", open));
    this.socket.addEventListener("message", ({ data }) => {
      const [listener] = this.listeners;
      if (data === END) this.listeners.shift();
      this.watch();
      setAvailable(true);
      listener?.(data);
    });
    this.socket.addEventListener("close", () => this.fail());
  }

  /**
   * @param {string} question
   * @param {(text: string) => void} listener called with each message, and with END after the last
   */
  ask(question, listener) {
    this.listeners.push(listener);
    this.watch();
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(question);
    else this.opened.then(() => this.socket.send(question));
  }

  /** Fails after a time without a message, while an answer is outstanding. */
  watch() {
    clearTimeout(this.silence);
    if (this.listeners.length) this.silence = setTimeout(() => this.fail(), SILENT_MS);
  }

  fail() {
    clearTimeout(this.silence);
    if (this.hasFailed) return;
    this.hasFailed = true;
    this.failedAt = performance.now();
    this.socket.close();
    for (const listener of this.listeners.splice(0)) listener(END);
    // if the whole server is away, Streamlit says so
    setTimeout(() => isAway() || channel !== this || setAvailable(false), NOTICE_MS);
  }
}

/** @param {boolean} isAvailable whether live updates arrive */
function setAvailable(isAvailable) {
  if (page.isLive === isAvailable) return;
  page.isLive = isAvailable;
  window.dispatchEvent(new CustomEvent("rnnviz-available"));
}

/** @type {Channel | undefined} */
let channel;

/** The connection; undefined for a while after it has failed. */
function openChannel() {
  if (channel?.hasFailed && performance.now() - (channel.failedAt ?? 0) < RETRY_MS) return;
  if (!channel || channel.hasFailed) channel = new Channel();
  return channel;
}
