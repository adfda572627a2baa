// A range input over the indices of its notches. Its courier sends the values during a drag, and the last
// one after the release.
//
// On a page with live updates (see live_updates.js), the figures are updated during the drag. The slider
// debounces its value and sends it together with whether everything in sight was updated, in which case
// the page need not run. If nothing else on the page depends on the value, it is sent later still, because
// the address has it already: this halves the load of many visitors who keep dragging.

import { element, placeBeside } from "../../instrument/static/elements.js";
import { Courier, REST_MS, RUN_PATIENCE_MS } from "./courier.js";
import { LiveUpdates, SETTLED_MS } from "./live_updates.js";
import { unfold } from "./notches.js";
import { page, settle, writeAddress } from "./pending.js";
import { applyStyles } from "./styles.js";

const instances = new WeakMap();
const SEND_ALONE_AFTER_MS = 1500; // further delay of a value for which the page need not run

/** @import { Reader } from "./live_updates.js" */
/** @import { Folded } from "./notches.js" */

/**
 * @typedef {object} SliderData from Python
 * @property {string} key
 * @property {string} label
 * @property {string} help
 * @property {Folded} texts of the notches
 * @property {Folded} [values] their texts in the address
 * @property {Reader} [live] of a page with live updates
 * @property {boolean} [alone] whether the page need not run once all live updates are shown
 * @property {number} [run] of the page
 * @property {number} at the index of the notch, or a fraction between two
 * @property {string} text
 * @property {number} answered
 * @property {{ places: [at: number, name: string][], follow: string[] }} [marks] see slider.py
 */

/** @param {import("./types.d.ts").ComponentArguments<any>} component */
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  applyStyles(parentElement);
  /** @type {Slider} */
  const slider = instances.get(parentElement) ?? new Slider(parentElement);
  instances.set(parentElement, slider);
  slider.trigger = (message) => setTriggerValue("moved", message);
  slider.update(JSON.parse(new TextDecoder().decode(data)));
  // Streamlit calls this for an update that a newer one overtook, too.
  return () => setTimeout(() => slider.root.isConnected || slider.stop());
}

class Slider {
  /** @param {HTMLElement} parent */
  constructor(parent) {
    this.root = element("div", "slider");
    this.label = element("label");
    this.label.htmlFor = "input";
    this.output = element("output");
    this.output.setAttribute("for", "input");
    this.input = element("input");
    Object.assign(this.input, { type: "range", id: "input", min: 0 });
    this.help = element("button", "help");
    Object.assign(this.help, { type: "button", textContent: "?" });
    this.tip = element("div", "tip");
    Object.assign(this.tip, { id: "tip", popover: "manual", role: "tooltip" });
    const head = element("div", "head");
    head.append(this.label, this.help, this.output);
    this.marks = element("div", "marks");
    this.root.append(head, this.input, this.marks, this.tip);
    parent.appendChild(this.root);
    /** @type {SliderData | undefined} */
    this.data = undefined;
    /** @type {string[]} */
    this.texts = [];
    /** @type {string[]} */
    this.values = [];
    /** @type {number | undefined} */
    this.at = undefined; // the index of the notch, or a fraction between two
    this.mustSend = false; // whether the last value has not been posted yet
    /** @type {(message: object) => void} */
    this.trigger = () => {};
    /** @type {Set<string>} the pointer and the keys that are pressed on the slider */
    this.activePointers = new Set();
    /** @type {Courier<number>} */
    this.courier = new Courier({
      send: (at, number) => this.send(at, number),
      holdsForRun: () => this.activePointers.size > 0 || Boolean(this.data?.live),
      isConnected: () => this.root.isConnected,
      onFree: () => this.onFree(),
    });
    this.updates = new LiveUpdates(() => this.setMustSend());
    page.senders.add(this);
    // an action elsewhere on the page may depend on this value
    this.onElsewhere = (/** @type {Event} */ event) =>
      event.composedPath().includes(this.root) || this.collect();
    this.onChange = () => this.hideMarks();
    this.listen();
  }

  listen() {
    this.input.addEventListener("input", () => this.move(Math.round(this.input.valueAsNumber)));
    this.input.addEventListener("keydown", (event) => this.onKeyDown(event));
    this.input.addEventListener("keyup", (event) => this.release(event.key));
    this.input.addEventListener("blur", () => this.release());
    this.input.addEventListener("pointerdown", (event) => this.hold(event));
    this.help.addEventListener("pointerenter", () => this.explain(true));
    this.help.addEventListener("pointerleave", () => this.explain(false));
    this.help.addEventListener("focus", () => this.explain(true));
    this.help.addEventListener("blur", () => this.explain(false));
    this.help.addEventListener("keydown", (event) => event.key === "Escape" && this.explain(false));
    for (const name of ELSEWHERE) document.addEventListener(name, this.onElsewhere, true);
    for (const name of CHANGES) window.addEventListener(name, this.onChange);
  }

  /** @param {SliderData} data */
  update(data) {
    this.texts = unfold(data.texts);
    this.values = data.values ? unfold(data.values) : [];
    const hasRun = data.run !== this.data?.run; // the page, not this slider alone
    if (hasRun) this.ranWith = data.answered;
    this.data = data;
    this.label.textContent = data.label;
    this.help.hidden = !data.help;
    this.help.setAttribute("aria-label", data.label);
    this.tip.textContent = data.help;
    for (const described of [this.input, this.help])
      if (data.help) described.setAttribute("aria-describedby", "tip");
      else described.removeAttribute("aria-describedby");
    this.input.max = String(this.texts.length - 1);
    if (this.at !== undefined) this.at = Math.min(this.at, this.texts.length - 1);
    this.courier.answer(data.answered);
    if (this.at === undefined) this.takePending(data.key);
    this.noteRun();
    if (hasRun && data.live && page.unrun.has(data.key)) this.updates.renewAfterRun(data.live);
    this.takeFromServer();
    this.showMarks();
    this.show();
  }

  /** Shows the marks under the track, the later of two close ones on a line of its own. */
  showMarks() {
    const { places = [] } = this.data?.marks ?? {};
    const last = this.texts.length - 1;
    const marks = places.map(([at, name], index) => {
      const mark = element("span");
      mark.textContent = name;
      mark.style.setProperty("--at", String(at / last));
      mark.classList.toggle("left", at / last > LATE);
      mark.classList.toggle("low", index > 0 && (at - places[index - 1][0]) / last < CLOSE);
      return mark;
    });
    this.marks.replaceChildren(...marks);
    this.hideMarks();
  }

  /** Hides the marks while a setting changes on which they depend: they are the page's own. */
  hideMarks() {
    const { places = [], follow = [] } = this.data?.marks ?? {};
    const isOld = [...page.pending.keys()].some((name) => !follow.includes(name));
    this.marks.hidden = !places.length;
    this.marks.classList.toggle("old", isOld);
  }

  /**
   * Takes over the pending value of an earlier slider of this key, sent in vain while the server was away.
   * @param {string} key
   */
  takePending(key) {
    const at = this.values.indexOf(page.pending.get(key) ?? "none");
    if (!page.pending.has(key) || at < 0) return;
    this.at = at;
    this.mustSend = true;
    this.collect();
  }

  /** Whether the server has this slider's last value. */
  get isIdle() {
    return !this.mustSend && this.courier.isIdle;
  }

  /** Notes whether the page has run with the last value. */
  noteRun() {
    if (this.data && this.isIdle && this.ranWith === this.courier.number)
      page.unrun.delete(this.data.key);
  }

  /** Shows the server's value, unless the user's is newer. */
  takeFromServer() {
    if (!this.data || (this.activePointers.size && this.at !== undefined)) return;
    if (!this.isIdle || this.courier.inFlight) return;
    this.at = this.data.at;
    this.show();
  }

  show() {
    if (!this.data || this.at === undefined) return;
    const isNotch = Number.isInteger(this.at);
    const text = isNotch ? this.texts[this.at] : this.data.text;
    this.input.step = isNotch ? "1" : "any"; // only a value from the server is between two notches
    if (this.input.valueAsNumber !== this.at) this.input.valueAsNumber = this.at;
    const last = this.texts.length - 1;
    // the middle of the thumb, which stays within the track
    const share = last > 0 ? this.at / last : 0;
    this.input.style.setProperty(
      "--fill",
      `calc(${share} * (100% - var(--thumb)) + var(--thumb) / 2)`,
    );
    this.input.setAttribute("aria-valuetext", text);
    this.output.textContent = text;
  }

  /** @param {number} at */
  move(at) {
    if (!this.data) return;
    if (at === this.at) return this.show();
    this.at = at;
    this.mustSend = true;
    clearTimeout(this.settling);
    const { key, live } = this.data;
    // first, before changes to the page would force a layout
    if (live) this.updates.change(key, this.values[at], live);
    else this.collect();
    this.show();
    this.sendAfterRest();
  }

  /** Posts the last value. */
  collect() {
    if (!this.mustSend || this.at === undefined) return;
    this.mustSend = false;
    this.courier.post(this.at);
  }

  /** Drops the last value, which was sent to the server in another way. */
  abandon() {
    this.mustSend = false;
    clearTimeout(this.settling);
    this.updates.detach();
    this.courier.abandon();
  }

  setMustSend() {
    this.mustSend = true;
    this.sendAfterRest();
  }

  /** @param {number} patienceMs time left for live updates before the page must run */
  sendAfterRest(patienceMs = RUN_PATIENCE_MS) {
    this.courier.cancel();
    if (!this.mustSend || this.activePointers.size) return;
    this.courier.debounce(() => {
      if (this.data?.live && this.updates.isBusy && patienceMs > 0)
        this.sendAfterRest(patienceMs - REST_MS);
      else if (!this.data?.alone || !this.updates.isComplete) this.collect();
      else this.courier.debounce(() => this.collect(), SEND_ALONE_AFTER_MS);
    });
  }

  /**
   * @param {number} at
   * @param {number} number
   */
  send(at, number) {
    clearTimeout(this.settling);
    const updated = Boolean(this.updates.isComplete);
    if (!updated) this.updates.detach();
    this.trigger({ at, number, updated });
  }

  onFree() {
    this.noteRun();
    const { key, live } = /** @type {SliderData} */ (this.data);
    if (live && this.isIdle) this.settling = setTimeout(() => settle(key), SETTLED_MS);
    this.takeFromServer();
  }

  /** @param {PointerEvent} event */
  hold(event) {
    if (event.button) return;
    this.activePointers.add(POINTER);
    const onEnd = (/** @type {Event} */ event) => {
      if (event.type === "blur" && event.target !== window) return; // another element's
      for (const name of ENDS) window.removeEventListener(name, onEnd, true);
      this.release(POINTER);
    };
    for (const name of ENDS) window.addEventListener(name, onEnd, true);
  }

  /** @param {string} [pointer] without it: all */
  release(pointer) {
    if (pointer === undefined) this.activePointers.clear();
    else this.activePointers.delete(pointer);
    if (this.data?.live) writeAddress();
    this.sendAfterRest();
    this.courier.look();
    this.takeFromServer();
  }

  /** @param {KeyboardEvent} event */
  onKeyDown(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || this.at === undefined) return;
    const last = this.texts.length - 1;
    const far = Math.max(1, Math.round(last / 10));
    const up = Math.floor(this.at) + 1;
    const down = Math.ceil(this.at) - 1;
    /** @type {Record<string, number>} */
    const keys = {
      ArrowLeft: down,
      ArrowDown: down,
      ArrowRight: up,
      ArrowUp: up,
      PageDown: down + 1 - far,
      PageUp: up - 1 + far,
      Home: 0,
      End: last,
    };
    const to = keys[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation(); // the page has its own shortcuts
    this.activePointers.add(event.key);
    this.move(Math.max(0, Math.min(last, to)));
  }

  /** @param {boolean} isShown */
  explain(isShown) {
    if (!this.tip.isConnected) return;
    this.tip.togglePopover(isShown);
    if (isShown) placeBeside(this.tip, this.help);
  }

  stop() {
    for (const name of ELSEWHERE) document.removeEventListener(name, this.onElsewhere, true);
    for (const name of CHANGES) window.removeEventListener(name, this.onChange);
    page.senders.delete(this);
    const { isIdle } = this;
    this.courier.stop();
    this.updates.stop();
    if (!this.data) return;
    page.unrun.delete(this.data.key);
    if (isIdle) settle(this.data.key); // else the next slider of this key takes the value over
  }
}

const POINTER = "pointer";
const ENDS = ["pointerup", "pointercancel", "blur"];
const ELSEWHERE = ["pointerdown", "keydown"];
const CHANGES = ["rnnviz-live", "rnnviz-settled"];
const LATE = 0.8; // of the track's length: a name stands on the left of its mark
const CLOSE = 0.2; // of the track's length: two names would touch
