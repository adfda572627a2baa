// The equations of the selected unit with the numbers of the current step. They are laid out once per
// unit; a step writes only the numbers.

import { classifyWidth, element, write } from "./elements.js";
import { filled } from "./recording.js";

/** @import { EquationTemplate, InstrumentView } from "./types.d.ts" */

export class Equations {
  /** @param {InstrumentView} instrument */
  constructor(instrument) {
    this.instrument = instrument;
    this.root = element("div", "equations");
    this.heading = element("h2", "rnnviz-heading");
    this.list = element("div", "list");
    this.root.append(this.heading, this.list);
    // tight: the names stand above the equations
    classifyWidth(this.root, { narrow: [0, 30], double: [50, Infinity], tight: [50, 68] });
    /** @type {[place: Element, slot: string][]} */
    this.slots = [];
  }

  draw() {
    const { explained } = this.instrument;
    if (!explained) return;
    this.list.replaceChildren(...explained.header.equations.map(equationRow));
    this.slots = Array.from(this.root.querySelectorAll("[data-slot]"), (place) => [
      place,
      /** @type {HTMLElement} */ (place).dataset.slot ?? "",
    ]);
  }

  mark() {
    const { explained, recording, t } = this.instrument;
    this.root.classList.toggle("behind", explained?.unit !== this.instrument.unit);
    if (!explained) return;
    const cell = recording.cell.toUpperCase();
    const { unit, words } = explained;
    write(this.heading, filled(words["instrument.equations"], { cell, unit, t }));
    const text = explained.writer(recording, t);
    for (const [place, slot] of this.slots) write(place, text(slot));
  }
}

/** @param {EquationTemplate} template */
function equationRow({ name, label, symbol, rule, numbers, value }) {
  const row = element("div", "equation");
  row.dataset.gate = name;
  const parts = [...numbers.split(" = "), `<b>${value}</b>`].map((part) => `= ${withSlots(part)}`);
  row.append(
    element("span", "label", { textContent: label }),
    element("span", "symbol", { innerHTML: withSlots(symbol) }),
    element("span", "rule", { innerHTML: `= ${withSlots(rule)}` }),
    element("span", "numbers", {
      innerHTML: `<span>${parts[0]} </span><span>${parts.slice(1).join(" ")}</span>`,
    }),
  );
  return row;
}

/** @param {string} html */
const withSlots = (html) => html.replace(/\[([^\]]+)\]/g, '<span data-slot="$1"></span>');
