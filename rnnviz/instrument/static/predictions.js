// The most likely next characters at the current step, from 0 to 100%, and the one that came.

import { Bars } from "./bars.js";
import { element, roomyNote, write } from "./elements.js";
import { filled } from "./recording.js";

/** @import { InstrumentView, PredictionsData } from "./types.d.ts" */

export class Predictions {
  /** @param {InstrumentView} instrument */
  constructor(instrument) {
    this.instrument = instrument;
    this.root = element("div", "predictions");
    this.heading = element("h2", "rnnviz-heading");
    this.note = roomyNote();
    this.bars = new Bars("chances");
    this.root.append(this.heading, this.note.root, this.bars.root);
  }

  draw() {
    const { predictions } = this.instrument.recording;
    if (!predictions) return;
    const { words, codes } = predictions;
    write(this.heading, words["card.next"]);
    const notes = codes.map((_, i) => this.sentence(predictions, i + 1));
    write(
      this.note.room,
      notes.reduce((a, b) => (b.length > a.length ? b : a)),
    );
    this.bars.draw(codes[0].length, [
      [0, "0"],
      [50, "50%"],
      [100, "100%"],
    ]);
  }

  /**
   * @param {PredictionsData} predictions
   * @param {number} t
   */
  sentence({ words, rank, bits }, t) {
    const character = this.instrument.recording.character(t);
    const what = { rank: rank[t - 1], bits: bits[t - 1] };
    const key = what.rank ? "card.surprise" : "card.end_of_text";
    return `${filled(words["strip.step"], { t, character })}. ${filled(words[key], what)}`;
  }

  mark() {
    const { recording, t } = this.instrument;
    if (!recording.predictions) return;
    const { names, codes, shares, place, words } = recording.predictions;
    write(this.note.note, this.sentence(recording.predictions, t));
    this.bars.show(
      codes[t - 1].map((code, i) => ({
        label: names[code],
        value: parseFloat(shares[t - 1][i]),
        text: shares[t - 1][i],
        mark: place[t - 1] === i ? words["plot.came"] : undefined,
      })),
    );
  }
}
