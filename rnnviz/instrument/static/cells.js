// The cells of several networks as drawings side by side, each one unit of its own record, at the
// step where the player is.

class Cells {
  constructor(instrument) {
    this.instrument = instrument;
    this.root = element("div", "cells");
    this.all = [];
  }

  take(bytes) {
    const end = bytes.indexOf(10);
    const { sizes } = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
    let from = end + 1;
    this.all = sizes.map((size) => {
      const recording = new Recording(bytes.subarray(from, from + size));
      from += size;
      return new Drawing(new Looked(this, recording));
    });
    const { colours } = this.all[0].instrument.recording;
    this.root.style.setProperty("--rnnviz-ink", colours.ink);
    this.root.replaceChildren(...this.all.map((drawing) => drawing.root));
    for (const drawing of this.all) drawing.draw();
  }

  draw() {}

  mark() {
    if (this.root.isConnected) for (const drawing of this.all) drawing.mark();
  }

  ease(share) {
    if (this.root.isConnected) for (const drawing of this.all) drawing.ease(share);
  }

  choose(gate) {
    for (const { instrument } of this.all) instrument.gate = gate === instrument.gate ? "" : gate;
    this.mark();
  }
}

// What a drawing asks of an instrument, for one of several records.
class Looked {
  constructor(cells, recording) {
    Object.assign(this, { cells, recording, unit: 0, isMean: false, gate: "" });
  }

  get t() {
    return Math.max(1, Math.min(this.recording.steps, this.cells.instrument.t));
  }

  get playing() {
    return this.cells.instrument.playing;
  }

  choose(gate) {
    this.cells.choose(gate);
  }
}
