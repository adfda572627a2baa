// One instrument per page: its parts, its position, playing and keys. The host page attaches the parts
// to its elements, and is called back when the position changes.

import { Cells } from "./cells.js";
import { Drawing } from "./drawing.js";
import { closest } from "./elements.js";
import { Equations } from "./equations.js";
import { Explained } from "./explained.js";
import { Figures } from "./figures.js";
import { Lines } from "./lines.js";
import { Player } from "./player.js";
import { Predictions } from "./predictions.js";
import { Recording } from "./recording.js";
import { Rows } from "./rows.js";
import { Story } from "./story.js";
import { Strip } from "./strip.js";
import { Terms } from "./terms.js";

/** @import { Host, Position } from "./types.d.ts" */
/**
 * @typedef {"text" | "story" | "step" | "drawing" | "lines" | "terms" | "equations" | "predictions" | "gates" |
 *   "states" | "cells"} PartName
 */

const EASE_MS = 180; // the longest animation between two steps
// Elements that handle keys themselves.
const KEYED =
  "input, textarea, select, [contenteditable=true], [role=slider], [role=combobox], [role=listbox]," +
  "[role=radiogroup], [role=grid], [role=tablist], [role=menu], [role=dialog]";
const PRESSED = "button, a, summary, label, input[type=checkbox], [role=button]:not(g)";

export class Instrument {
  /** @param {Host} [host] */
  constructor({ page = "body", keyed = "", onChange = () => {}, onWrite = () => {} } = {}) {
    this.keyed = keyed ? `${KEYED}, ${keyed}` : KEYED;
    this.onChange = onChange;
    this.onWrite = onWrite;
    this.t = 1;
    this.unit = 0;
    this.gate = "";
    this.speed = 1;
    this.playing = false;
    this.isMean = false;
    this.isPlaced = false; // whether a position has been set
    /** @type {Recording | undefined} */
    this.current = undefined;
    /** @type {Recording | undefined} */
    this.drawnAs = undefined;
    /** @type {Explained | undefined} the last payload of a unit */
    this.unitNumbers = undefined;
    this.listening = false; // to the page's events
    this.frame = 0; // the animation frame that is requested
    this.easing = 0; // duration of the animation in progress, in milliseconds; 0 for none
    this.began = 0; // its start
    this.since = 0; // time of the player's last step
    /** @type {string | undefined} the highlighted gate */
    this.lit = undefined;
    this.story = new Story(this);
    this.strip = new Strip(this);
    this.player = new Player(this);
    this.drawing = new Drawing(this);
    this.lines = new Lines(this);
    this.terms = new Terms(this);
    this.equations = new Equations(this);
    this.predictions = new Predictions(this);
    this.gates = new Rows(this, "gates");
    this.states = new Rows(this, "states");
    this.cells = new Cells(this);
    this.figures = new Figures(this, page);
    this.onKeyDown = this.onKeyDown.bind(this);
    this.onPoint = this.onPoint.bind(this);
  }

  // Parts use it only after the first payload.
  get recording() {
    return /** @type {Recording} */ (this.current);
  }

  // A signal has only a story, a strip and a player.
  get parts() {
    const always = [this.story, this.strip, this.player, this.cells];
    if (!this.current?.cell) return always;
    const cards = [this.lines, this.terms, this.equations, this.predictions];
    return [...always, this.drawing, ...cards, this.gates, this.states];
  }

  // A payload of a unit comes after that of its text, and after a change of the unit.
  get explained() {
    return this.unitNumbers?.reading === this.current?.reading ? this.unitNumbers : undefined;
  }

  /**
   * The elements of a part.
   *
   * @param {PartName} part
   */
  roots(part) {
    if (part === "text") return [this.strip.note, this.strip.root, this.player.root];
    return part === "step" ? [] : [this[part].root];
  }

  /**
   * Puts a part into its place.
   *
   * @param {PartName} part
   * @param {HTMLElement} parent
   */
  attach(part, parent) {
    parent.classList.add("rnnviz-instrument");
    const roots = this.roots(part);
    if (roots.length && roots[0].parentElement !== parent) parent.append(...roots);
    if (this.listening) return;
    this.listening = true;
    document.addEventListener("keydown", this.onKeyDown);
    document.addEventListener("pointerover", this.onPoint);
    document.addEventListener("focusin", this.onPoint);
  }

  // Removes the listeners; the parts keep their content.
  detach() {
    this.playing = this.listening = false;
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    document.removeEventListener("keydown", this.onKeyDown);
    document.removeEventListener("pointerover", this.onPoint);
    document.removeEventListener("focusin", this.onPoint);
    this.figures.stop();
  }

  /**
   * Takes a payload (payload.py).
   *
   * @param {Uint8Array} bytes
   */
  record(bytes) {
    const recording = new Recording(bytes);
    const before = this.current;
    this.current = recording;
    // a change of language or theme does not stop playing
    if (before?.version !== recording.version || before.steps !== recording.steps)
      this.playing = false;
    const { colours } = recording;
    // on the parts rather than on the page, which outlives them
    for (const { style } of this.parts.map((part) => part.root)) {
      style.setProperty("--rnnviz-ink", colours.ink);
      style.setProperty("--rnnviz-likely", colours.gate[2]);
      style.setProperty("--rnnviz-came", colours.gate[4]);
      style.setProperty("--rnnviz-negative", colours.signed[0]);
      style.setProperty("--rnnviz-positive", colours.signed[4]);
      style.setProperty("--rnnviz-scale-gate", colours.gate.join(", "));
      style.setProperty("--rnnviz-scale-signed", colours.signed.join(", "));
    }
    this.draw();
  }

  /**
   * Takes the payload of a unit (card_payload.py).
   *
   * @param {Uint8Array} bytes
   */
  explain(bytes) {
    this.unitNumbers = new Explained(bytes);
    for (const part of [this.terms, this.equations]) {
      part.draw();
      part.mark();
    }
  }

  /**
   * Changes the position; show() draws it.
   *
   * @param {Partial<Position>} position
   */
  setPosition(position) {
    Object.assign(this, position);
    if (position.t !== undefined) this.playing = false;
    this.isPlaced = true;
  }

  show() {
    if (!this.drawnAs) this.draw();
    this.changed({ ease: false });
  }

  draw() {
    if (!this.current || !this.isPlaced) return;
    this.drawnAs = this.current;
    this.keepWithin();
    for (const part of this.parts) part.draw();
    this.figures.watch();
    this.changed({ ease: false });
  }

  keepWithin() {
    const { steps, units } = this.recording;
    this.t = Math.max(1, Math.min(steps, this.t));
    if (!units.includes(this.unit)) this.unit = units[0];
  }

  // User actions

  /** @param {number} t */
  go(t, unit = this.unit) {
    if (!this.current || !Number.isFinite(t)) return;
    this.playing = false;
    this.t = t;
    this.unit = unit;
    this.changed();
  }

  /** @param {number} unit */
  look(unit) {
    this.unit = unit;
    this.changed();
  }

  /** @param {string} gate */
  choose(gate) {
    this.gate = gate;
    this.changed();
  }

  /** @param {number} speed */
  setSpeed(speed) {
    this.speed = speed;
    this.changed();
  }

  /** @param {boolean} isMean */
  average(isMean) {
    this.isMean = isMean;
    this.changed();
  }

  toggle() {
    if (!this.current) return;
    this.playing = !this.playing;
    if (this.playing && this.t === this.current.steps) this.t = 1;
    this.since = performance.now();
    this.changed();
  }

  write() {
    this.playing = false;
    this.changed();
    this.onWrite();
  }

  // Steps and frames

  changed({ ease = true } = {}) {
    if (!this.drawnAs) return;
    this.keepWithin();
    if (this.strip.unit !== this.unit) {
      this.strip.unit = this.unit;
      this.strip.colour();
    }
    for (const part of this.parts) part.mark();
    this.figures.mark();
    const still = !ease || matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.easing = still ? 0 : Math.min(EASE_MS, 600 / this.speed);
    this.began = performance.now();
    if (still) this.ease(1);
    this.frame ||= requestAnimationFrame((now) => this.tick(now));
    this.onChange();
  }

  /** @param {number} now */
  tick(now) {
    this.frame = 0;
    if (!this.strip.root.isConnected) return;
    const between = 1000 / this.speed;
    if (this.playing && now - this.since >= between) {
      // at most one step per frame: after a pause, as in a background tab, it continues where it was
      this.since = now - this.since < 2 * between ? this.since + between : now;
      this.t += 1;
      if (this.t >= this.recording.steps) this.playing = false;
      this.changed();
    }
    const share = this.easing ? Math.max(0, Math.min(1, (now - this.began) / this.easing)) : 1;
    if (this.easing) this.ease(1 - (1 - share) ** 3);
    if (share === 1) this.easing = 0;
    if (this.playing || this.easing) this.frame ||= requestAnimationFrame((now) => this.tick(now));
  }

  /** @param {number} share */
  ease(share) {
    this.cells.ease(share);
    if (!this.recording.cell) return;
    this.drawing.ease(share);
    this.lines.ease(share);
    this.gates.ease(share);
    this.states.ease(share);
  }

  // Keys and the pointer

  /** @param {KeyboardEvent} event */
  onKeyDown(event) {
    const { key, target } = event;
    if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey)
      return;
    if (!this.drawnAs || !this.strip.root.isConnected) return;
    const own = closest(target, ".rnnviz-instrument");
    const takes = closest(target, this.keyed);
    if (takes && (!own || takes === this.player.speed)) return;
    const act = this.actOf(key);
    const presses = closest(target, PRESSED);
    if (!act || (key === " " && presses && !presses.closest(".strip"))) return;
    if (key === " " && event.repeat) return event.preventDefault();
    if (key !== "Escape") event.preventDefault();
    act();
  }

  /** @param {string} key */
  actOf(key) {
    /** @type {Record<string, () => void>} */
    const acts = {
      " ": () => this.toggle(),
      ArrowLeft: () => this.go(this.t - 1),
      ArrowRight: () => this.go(this.t + 1),
      Home: () => this.go(1),
      End: () => this.go(this.recording.steps),
      Escape: () => (this.playing ? this.toggle() : this.drawing.marks?.close()),
    };
    return acts[key];
  }

  /**
   * Highlights the gate under the pointer or with the focus, everywhere on the page.
   *
   * @param {Event} event
   */
  onPoint(event) {
    const gate = this.gateOf(event.target) ?? this.gateOf(document.activeElement);
    if (gate === this.lit && event.type === "pointerover") return;
    this.lit = gate;
    for (const part of document.querySelectorAll(".rnnviz-lit"))
      part.classList.remove("rnnviz-lit");
    if (!gate) return;
    for (const part of document.querySelectorAll(`[data-gate="${CSS.escape(gate)}"]`))
      part.classList.add("rnnviz-lit");
  }

  /** @param {EventTarget | null} target */
  gateOf(target) {
    return closest(target, "[data-gate]")?.dataset.gate;
  }
}
