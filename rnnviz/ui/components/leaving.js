// Before the page is left by a link or the browser's Back and Forward, the server gets every pending value,
// in a message that also carries the values of Streamlit's own widgets.
//
// On navigation Streamlit runs the other page at once and drops the messages that it has not begun to
// handle. So navigation is delayed until the server has answered one message, which interrupts a run of the
// page. Reloading and closing need nothing, because the address has all values.

import { Courier } from "./courier.js";
import { page, settle, writeAddress } from "./pending.js";
import { isAway } from "./server.js";

const LEAVE_AFTER_MS = 10000; // the longest delay
const TOUCHED_WITHIN_MS = 1000; // in which a change of one of Streamlit's widgets may be in flight
const PASSING = ["t", "speed"]; // settings whose changes the browser's history does not keep apart
const LINKS = "a[href]:not([download]), [data-testid=stLogoLink]";

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
    this.left = ""; // the path of the page that a link leaves
    this.leftUntil = -Infinity;
    this.hasActed = false; // whether the reader has done anything on this page since it was opened
    document.addEventListener("click", (event) => this.clicked(event), true);
    window.addEventListener("popstate", (event) => this.popped(event), true);
    for (const name of ["pointerdown", "keydown", "input"]) {
      document.addEventListener(name, (event) => this.touch(event), true);
    }
    for (const name of /** @type {const} */ (["pushState", "replaceState"])) {
      const write = history[name];
      const isPush = name === "pushState";
      history[name] = (...args) => {
        if (isPush && this.isOfNextPage(args[2])) return;
        if (isPush && this.isSameView(args[2])) return history.replaceState(...args);
        if (addressOf(args[2]).pathname !== location.pathname) this.hasActed = false;
        write.apply(history, args);
        writeAddress(); // Streamlit's address lacks the pending values
      };
    }
  }

  /** @param {Event} event */
  touch(event) {
    if (event instanceof KeyboardEvent && (event.key === "F5" || event.ctrlKey || event.metaKey))
      writeAddress(); // it may reload the page
    this.hasActed = true;
    if (!linkOf(event)) this.touched = performance.now();
  }

  /**
   * Whether an address needs no entry of its own in the history: it differs by the step alone, or is what
   * the page makes of the address by which it was opened.
   * @param {string | URL | null | undefined} url
   */
  isSameView(url) {
    const next = addressOf(url);
    if (next.pathname !== location.pathname) return false;
    return !this.hasActed || viewOf(next.search) === viewOf(location.search);
  }

  /** @param {MouseEvent} event */
  clicked(event) {
    const link = linkOf(event);
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)
      return;
    if (link.target === "_blank") return;
    const goOn = () => (link.isConnected ? link : sameAs(link))?.click();
    if (!this.isReleased && this.hold(event, goOn)) return;
    this.left = link.pathname === location.pathname ? "" : location.pathname;
    this.leftUntil = performance.now() + LEAVE_AFTER_MS;
  }

  /**
   * Whether an address has the query of the next page and still the path of the one that a link leaves.
   * Streamlit changes the path when it has drawn the next page, and adds the query itself; a query that
   * arrives before would be a wrong entry in the history.
   * @param {string | URL | null | undefined} url
   */
  isOfNextPage(url) {
    if (location.pathname !== this.left || performance.now() > this.leftUntil) return false;
    return addressOf(url).pathname === this.left;
  }

  /** @param {PopStateEvent} event */
  popped(event) {
    this.left = "";
    this.hasActed = false;
    if (this.isReleased) return;
    page.leaving = true; // the address is already that of the other page
    if (!this.hold(event, () => this.navigate())) page.leaving = false;
  }

  /** Makes Streamlit run the page of the address. */
  navigate() {
    const before = this.isReleased;
    this.isReleased = true;
    window.dispatchEvent(new PopStateEvent("popstate", { state: history.state }));
    this.isReleased = before;
  }

  /**
   * Delays a navigation until pending values are delivered; returns false if there can be none.
   * @param {Event} event
   * @param {() => void} goOn
   */
  hold(event, goOn) {
    if (isAway()) {
      clearTimeout(this.late);
      this.goOn = null; // the reader has asked again, and nothing can be delivered
      return false;
    }
    if (!this.goOn) for (const sender of page.senders) sender.collect();
    const isPending = page.pending.size > 0 || [...page.senders].some((sender) => !sender.isIdle);
    if (!this.goOn && !isPending && performance.now() - this.touched > TOUCHED_WITHIN_MS)
      return false;
    event.preventDefault();
    event.stopImmediatePropagation();
    const isFirst = !this.goOn;
    this.goOn = goOn;
    if (!isFirst) return true;
    this.silence();
    // after Streamlit's own messages at the end of this task
    setTimeout(() => this.courier.post(Object.fromEntries(page.pending)));
    this.late = setTimeout(() => this.release(), LEAVE_AFTER_MS);
    return true;
  }

  // A message that any of them sent after the wish for another page would bring this one back.
  silence() {
    for (const sender of page.senders) sender.abandon();
    page.unrun.clear();
  }

  release() {
    const { goOn } = this;
    if (!goOn) return;
    clearTimeout(this.late);
    this.courier.abandon();
    this.goOn = null;
    this.touched = -Infinity;
    this.silence();
    page.pending.clear();
    settle();
    page.leaving = false;
    this.isReleased = true;
    goOn();
    this.isReleased = false;
  }
}

/** @param {string | URL | null | undefined} url */
function addressOf(url) {
  return new URL(url ?? "", location.href);
}

/**
 * A query without the settings that pass.
 * @param {string} query
 */
function viewOf(query) {
  const settings = new URLSearchParams(query);
  for (const name of PASSING) settings.delete(name);
  return String(settings);
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
