// Before the page is left by a link or the browser's Back and Forward, the server gets every pending
// value, and with the same message what Streamlit's own widgets hold.
//
// Streamlit runs another page at once and drops what it has not begun to handle. So the way out is held
// up until the server has answered: for one message, which interrupts a run of the page. Reload and close
// need nothing: the address has all.

import { page, settle, writeAddress } from "./address.js";
import { Courier } from "./courier.js";
import { isAway } from "./server.js";

const LEAVE_AFTER_MS = 10000; // at the latest
const TOUCHED_WITHIN_MS = 1000; // a change by one of Streamlit's widgets may still be on its way
const LINKS = "a[href], [data-testid=stLogoLink]";

export class Exit {
  constructor() {
    /** @type {(message: object) => void} */
    this.trigger = () => {};
    /** @type {Courier<Record<string, string>>} */
    this.courier = new Courier({
      send: (values, number) => this.trigger({ values, number }),
      onFree: () => this.courier.isIdle && this.release(),
    });
    this.isReleased = false;
    this.touched = -Infinity;
    /** @type {(() => void) | null} */
    this.goOn = null;
    document.addEventListener("click", (event) => this.clicked(event), true);
    window.addEventListener("popstate", (event) => this.popped(event), true);
    for (const name of ["pointerdown", "keydown", "input"]) {
      document.addEventListener(name, (event) => this.touch(event), true);
    }
    for (const name of /** @type {const} */ (["pushState", "replaceState"])) {
      const write = history[name];
      history[name] = function (...args) {
        write.apply(this, args);
        writeAddress(); // what Streamlit writes lacks what is pending
      };
    }
  }

  /** @param {Event} event */
  touch(event) {
    writeAddress(); // a key may reload the page
    if (!linkOf(event)) this.touched = performance.now();
  }

  /** @param {MouseEvent} event */
  clicked(event) {
    const link = linkOf(event);
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)
      return;
    if (link.target === "_blank" || this.isReleased) return;
    this.hold(event, () => (link.isConnected ? link : sameAs(link))?.click());
  }

  /** @param {PopStateEvent} event */
  popped(event) {
    if (this.isReleased) return;
    page.leaving = true; // the address is the other one already
    if (!this.hold(event, () => this.navigate())) page.leaving = false;
  }

  /** Has the page run from its address. */
  navigate() {
    const before = this.isReleased;
    this.isReleased = true;
    window.dispatchEvent(new PopStateEvent("popstate", { state: history.state }));
    this.isReleased = before;
  }

  /**
   * Delivers what is pending before going on; returns whether anything may be.
   * @param {Event} event
   * @param {() => void} goOn
   */
  hold(event, goOn) {
    if (isAway()) return false;
    if (!this.goOn) for (const sender of page.senders) sender.collect();
    const isPending = page.pending.size > 0 || [...page.senders].some((sender) => !sender.isIdle);
    if (!this.goOn && !isPending && performance.now() - this.touched > TOUCHED_WITHIN_MS)
      return false;
    event.preventDefault();
    event.stopImmediatePropagation();
    const isFirst = !this.goOn;
    this.goOn = goOn;
    if (!isFirst) return true;
    for (const sender of page.senders) sender.abandon();
    // after what Streamlit itself sends at the end of this task
    setTimeout(() => this.courier.post(Object.fromEntries(page.pending)));
    this.late = setTimeout(() => this.release(), LEAVE_AFTER_MS);
    return true;
  }

  release() {
    const { goOn } = this;
    if (!goOn) return;
    clearTimeout(this.late);
    this.courier.abandon();
    this.goOn = null;
    this.touched = -Infinity;
    page.pending.clear();
    page.unrun.clear();
    settle();
    page.leaving = false;
    this.isReleased = true;
    goOn();
    this.isReleased = false;
  }
}

/**
 * @param {Event} event
 * @returns {HTMLAnchorElement | undefined}
 */
function linkOf(event) {
  const found = event.composedPath().find((part) => part instanceof Element && part.matches(LINKS));
  return /** @type {HTMLAnchorElement | undefined} */ (found);
}

/**
 * @param {HTMLAnchorElement} link
 * @returns {HTMLAnchorElement | undefined}
 */
function sameAs(link) {
  /** @type {NodeListOf<HTMLAnchorElement>} */
  const links = document.querySelectorAll(LINKS);
  return [...links].find((other) => other.href === link.href);
}
