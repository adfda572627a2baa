// Horizontal bars on a fixed axis: a label, a bar and its value per row.

import { element, write } from "./elements.js";

/** @import { Bar } from "./types.d.ts" */

export class Bars {
  /** @param {string} name its class */
  constructor(name) {
    this.root = element("div", `bars ${name}`);
    /** @type {ReturnType<typeof barRow>[]} */
    this.rows = [];
    this.from = 0;
    this.to = 1;
  }

  /**
   * Lays out rows, which keep their place while they are empty, and the axis.
   *
   * @param {number} count
   * @param {[value: number, text: string][]} ticks from the start of the axis to its end
   */
  draw(count, ticks) {
    [this.from, this.to] = [ticks[0][0], ticks[ticks.length - 1][0]];
    this.rows = Array.from({ length: count }, barRow);
    const axis = element("div", "scale-of-bars");
    axis.setAttribute("aria-hidden", "true");
    const place = element("span", "track");
    for (const [value, text] of ticks) {
      const tick = element("span", "", { textContent: text });
      tick.style.left = `${this.share(value)}%`;
      place.append(tick);
    }
    axis.append(element("span"), place, element("span"));
    const lines = ticks.map(([value]) => `${this.share(value)}%`);
    this.root.style.setProperty("--middle", lines[1]);
    this.root.setAttribute("role", "list");
    this.root.replaceChildren(...this.rows.map(({ row }) => row), axis);
  }

  /** @param {number} value */
  share(value) {
    return (100 * (value - this.from)) / (this.to - this.from);
  }

  /** @param {Bar[]} bars */
  show(bars) {
    this.rows.forEach(({ row, name, mark, fill, text }, i) => {
      const bar = bars[i];
      row.classList.toggle("empty", !bar);
      if (!bar) return;
      write(name, bar.label);
      write(mark, bar.mark ?? "");
      write(text, bar.text);
      row.classList.toggle("marked", bar.mark !== undefined);
      row.classList.toggle("negative", bar.value < 0);
      const [zero, end] = [this.share(Math.max(0, this.from)), this.share(bar.value)];
      fill.style.left = `${Math.min(zero, end)}%`;
      fill.style.width = `${Math.abs(end - zero)}%`;
    });
  }
}

function barRow() {
  const row = element("div", "bar-row empty");
  row.setAttribute("role", "listitem");
  const [label, track] = [element("span", "bar-label"), element("span", "track")];
  const [name, mark] = [element("bdi"), element("b")];
  const [fill, text] = [element("i"), element("span", "bar-text")];
  label.append(name, mark);
  track.append(fill);
  row.append(label, track, text);
  return { row, name, mark, fill, text };
}
