// The text: a button per character, coloured by the state of the selected unit.

import { closest, element } from "./elements.js";

/** @import { InstrumentView, Row } from "./types.d.ts" */

export class Strip {
  /** @param {InstrumentView} instrument */
  constructor(instrument) {
    this.instrument = instrument;
    this.unit = -1; // the unit whose state colours the characters
    this.note = element("p", "rnnviz-note");
    this.root = element("div", "strip");
    this.root.setAttribute("role", "listbox");
    this.root.addEventListener("click", (event) => {
      const cell = closest(event.target, "button");
      if (cell) instrument.go(Number(cell.dataset.step));
    });
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(this.root);
    this.from = 0; // the scroll position
    this.root.addEventListener("scroll", () => (this.from = this.root.scrollTop), {
      passive: true,
    });
    /** @type {HTMLButtonElement[]} */
    this.cells = [];
    /** @type {HTMLButtonElement | undefined} */
    this.now = undefined;
    this.frame = element("div", "frame");
    this.forgetPlaces();
  }

  draw() {
    const { recording } = this.instrument;
    const { characters, plain } = recording;
    this.root.classList.toggle("small", characters.length > 240);
    this.root.classList.toggle("plain", plain);
    this.root.style.setProperty("--steps", String(characters.length));
    this.root.setAttribute("aria-label", recording.label ?? recording.say("strip.label"));
    this.cells = characters.map((character, i) => this.cell(character, i));
    const parts = this.cells.flatMap((cell, i) =>
      recording.breaks.has(i) ? [cell, element("span", "break")] : [cell],
    );
    this.root.replaceChildren(...parts, this.frame);
    this.now = undefined;
    this.forgetPlaces();
    this.colour();
  }

  /**
   * @param {string} character
   * @param {number} i
   */
  cell(character, i) {
    const { recording } = this.instrument;
    const isUnknown = recording.unknown.has(i);
    const cell = element("button", isUnknown ? "unknown" : "", { type: "button", tabIndex: -1 });
    cell.textContent = recording.plain ? "" : character;
    cell.title = recording.say(isUnknown ? "strip.unknown" : "strip.step", { t: i + 1, character });
    cell.setAttribute("role", "option");
    cell.setAttribute("aria-label", cell.title);
    cell.dataset.step = String(i + 1);
    return cell;
  }

  colour() {
    const { recording, unit } = this.instrument;
    const row = /** @type {Row} */ (recording.rows.find((row) => row.kind === "states"));
    const coloured = { state: row.label, unit };
    this.note.textContent = recording.note ?? recording.say("strip.coloured", coloured);
    const values = this.cells.map((_, i) => recording.at(row.name, i + 1, unit));
    const scale = recording.cell
      ? { signed: true, most: Math.max(1, ...values.map(Math.abs)) }
      : row;
    this.cells.forEach((cell, i) => {
      cell.style.background = recording.colour(scale, values[i]);
      cell.style.color = recording.ink(scale, values[i]);
    });
  }

  mark() {
    const now = this.cells[this.instrument.t - 1];
    if (!now || now === this.now) return;
    const focused = this.now && this.now === document.activeElement;
    if (this.now) {
      this.now.classList.remove("now");
      this.now.tabIndex = -1;
      this.now.setAttribute("aria-selected", "false");
    }
    this.now = now;
    now.classList.add("now");
    now.tabIndex = 0;
    now.setAttribute("aria-selected", "true");
    if (focused) now.focus({ preventScroll: true });
    this.reveal();
  }

  // The frame around the character is a separate element, because a frame on the button would repaint
  // all buttons. Positions are measured once, because every measurement causes a layout.
  reveal() {
    this.places ??= this.cells.map((cell) => [cell.offsetLeft, cell.offsetTop, cell.offsetWidth]);
    this.visible ??= this.root.clientHeight;
    this.height ??= this.cells[0].offsetHeight;
    const [left, top, width] = this.places[this.instrument.t - 1];
    Object.assign(this.frame.style, { width: `${width}px`, height: `${this.height}px` });
    this.frame.style.transform = `translate(${left}px, ${top}px)`;
    if (top < this.from || top + this.height > this.from + this.visible)
      this.root.scrollTop = this.from = Math.max(0, top - this.visible / 2);
  }

  forgetPlaces() {
    /** @type {number[][] | undefined} left, top and width of each character */
    this.places = undefined;
    /** @type {number | undefined} the visible height */
    this.visible = undefined;
    /** @type {number | undefined} the height of a character */
    this.height = undefined;
  }

  resized() {
    this.forgetPlaces();
    if (this.now && this.root.clientWidth) this.reveal();
  }
}
