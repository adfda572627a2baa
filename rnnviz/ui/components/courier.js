// Messages from one component to the server: numbered, at most one in flight.
//
//            post()                 send                answer(its number)
//   idle ─────────────▶ waiting ─────────▶ in flight ───────────────────▶ answered
//    ▲                   ▲  ▲                  │                             │
//    │                   │  └──────────────────┘                             │
//    │                   │   lost: no run of the page for LOST_AFTER_MS,     │
//    │                   │   doubled at every retry; the clock is            │
//    │                   │   paused while the page runs or the server is away│
//    │                   └───────────────────────────────────────────────────┤ if a message waits
//    └───────────────────────────────────────────────────────────────────────┘ else
//   answered lasts until the run of the page is over, or for RUN_PATIENCE_MS, where holdsForRun().
//
// A message is posted for a place and replaces a waiting message for the same place.

import { isAway, runs, watchScript } from "./server.js";

export const REST_MS = 150; // a value is sent after this long without a change
const LOST_AFTER_MS = 1000;
export const RUN_PATIENCE_MS = 2000; // after which the next message may interrupt a run of the page
const LOOK_EVERY_MS = 250;
const MAX_RETRIES = 6; // otherwise a page that fails before this component would run forever

/**
 * @template Message
 * @typedef {object} Ports the callbacks of a courier's component
 * @property {(message: Message, number: number) => void} send
 * @property {() => boolean} [holdsForRun] whether the next message waits for the end of a run
 * @property {() => boolean} [isConnected] whether the component is still on the page
 * @property {() => void} [onFree] called when nothing is in flight any more
 */

/** @template Message */
export class Courier {
  /** @param {Ports<Message>} ports */
  constructor({ send, holdsForRun = () => false, isConnected = () => true, onFree = () => {} }) {
    this.send = send;
    this.holdsForRun = holdsForRun;
    this.isConnected = isConnected;
    this.onFree = onFree;
    /** @type {Map<string, Message>} */
    this.waiting = new Map();
    /** @type {{place: string, message: Message, answered: boolean, since: number} | null} */
    this.inFlight = null;
    /** @type {(() => void) | undefined} */
    this.unwatch = undefined;
    /** @type {ReturnType<typeof setInterval> | undefined} */
    this.clock = undefined;
    this.number = 0; // of the last message sent
    this.retries = 0;
    /** @type {(() => void) | null} the debounced act */
    this.due = null;
  }

  /** Whether everything posted has been answered. */
  get isIdle() {
    return !this.due && !this.waiting.size && (!this.inFlight || this.inFlight.answered);
  }

  /**
   * Sends the message, or queues it until the one in flight is answered.
   * @param {Message} message
   */
  post(message, place = "") {
    this.cancel();
    this.waiting.set(place, message);
    this.flush();
  }

  /**
   * Calls act after a pause, unless another act is debounced or a message is posted before.
   * @param {() => void} act
   */
  debounce(act, delayMs = REST_MS) {
    this.cancel();
    this.due = act;
    this.timer = setTimeout(() => this.flushNow(), delayMs);
  }

  /** Calls the debounced act at once. */
  flushNow() {
    const act = this.due;
    this.cancel();
    act?.();
  }

  cancel() {
    clearTimeout(this.timer);
    this.due = null;
  }

  flush() {
    if (this.inFlight || !this.waiting.size) return;
    const [[place, message]] = this.waiting;
    this.waiting.delete(place);
    this.inFlight = { place, message, answered: false, since: performance.now() };
    this.number += 1;
    this.send(message, this.number);
    this.unwatch ??= watchScript(() => this.look());
    this.clock ??= setInterval(() => this.look(), LOOK_EVERY_MS);
  }

  /**
   * The server has read all messages up to this number.
   * @param {number} number
   */
  answer(number) {
    this.number = Math.max(this.number, number);
    if (!this.inFlight || number !== this.number) return;
    this.inFlight.answered = true;
    this.retries = 0;
    this.look();
  }

  /** Checks whether the message in flight is completed or lost. */
  look() {
    if (!this.isConnected()) return this.stop();
    if (!this.inFlight) return;
    const flown = performance.now() - this.inFlight.since;
    if (this.inFlight.answered) {
      if (!this.holdsForRun() || !runs() || flown > RUN_PATIENCE_MS) this.free();
    } else if (runs() || isAway()) this.inFlight.since = performance.now();
    else if (flown > LOST_AFTER_MS * 2 ** this.retries) this.retry();
  }

  retry() {
    const { place, message } = /** @type {NonNullable<typeof this.inFlight>} */ (this.inFlight);
    const isLast = this.retries >= MAX_RETRIES;
    if (!isLast && !this.waiting.has(place))
      this.waiting = new Map([[place, message], ...this.waiting]);
    this.retries = isLast ? 0 : this.retries + 1;
    this.free();
  }

  free() {
    this.rest();
    this.flush();
    this.onFree();
  }

  /** Drops all messages, which were sent in another way or are no longer needed. */
  abandon() {
    this.cancel();
    this.waiting.clear();
    this.retries = 0;
    this.rest();
  }

  rest() {
    this.inFlight = null;
    this.stopWatching();
  }

  stopWatching() {
    this.unwatch?.();
    this.unwatch = undefined;
    clearInterval(this.clock);
    this.clock = undefined;
  }

  /** The component is gone; what is in flight or waits stays known, for the one in its place. */
  stop() {
    this.cancel();
    this.stopWatching();
  }
}
