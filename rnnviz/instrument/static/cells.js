// Drawings of the cells of several networks. Each shows one unit of its own trace at the
// player's step.

import { Drawing } from "./drawing.js";
import { element } from "./elements.js";
import { Recording, splitPayload } from "./recording.js";

/** @import { InstrumentView } from "./types.d.ts" */

export class Cells {
  /** @param {InstrumentView} instrument */
  constructor(instrument) {
    this.instrument = instrument;
    this.root = element("div", "cells");
    /** @type {CellState[]} */
    this.states = [];
    /** @type {Drawing[]} */
    this.drawings = [];
  }

  /** @param {Uint8Array} bytes */
  take(bytes) {
    const { header, body } = splitPayload(bytes);
    let from = 0;
    /** @type {{ sizes: number[] }} */
    const { sizes } = header;
    this.states = sizes.map((size) => {
      const recording = new Recording(body.subarray(from, from + size));
      from += size;
      return new CellState(this, recording);
    });
    this.drawings = this.states.map((state) => new Drawing(state));
    this.root.style.setProperty("--rnnviz-ink", this.states[0].recording.colours.ink);
    this.root.replaceChildren(...this.drawings.map((drawing) => drawing.root));
    for (const drawing of this.drawings) drawing.draw();
  }

  draw() {}

  mark() {
    if (this.root.isConnected) for (const drawing of this.drawings) drawing.mark();
  }

  /** @param {number} share */
  ease(share) {
    if (this.root.isConnected) for (const drawing of this.drawings) drawing.ease(share);
  }

  /** @param {string} gate */
  choose(gate) {
    for (const state of this.states) state.gate = gate === state.gate ? "" : gate;
    this.mark();
  }
}

// The state of one drawing: unit 0 of its own recording, at the shared step.
class CellState {
  /**
   * @param {Cells} cells
   * @param {Recording} recording
   */
  constructor(cells, recording) {
    this.cells = cells;
    this.recording = recording;
    this.unit = 0;
    this.isMean = false;
    this.gate = "";
  }

  get t() {
    return Math.max(1, Math.min(this.recording.steps, this.cells.instrument.t));
  }

  get playing() {
    return this.cells.instrument.playing;
  }

  /** @param {string} gate */
  choose(gate) {
    this.cells.choose(gate);
  }
}
