// The ends and ticks of axes.

/** @import { Recording } from "./recording.js" */

const NARROWEST = 7; // pixels of a character
const APART = [5, 10, 20, 50, 100, 200, 500]; // steps between numbers

/**
 * The ticks of a time axis: every character where they fit, else about ten step numbers.
 *
 * @param {Recording} recording
 * @param {number} width of the axis, in pixels
 */
export function timeTicks(recording, width) {
  const { steps } = recording;
  const each = width / steps >= NARROWEST;
  const apart = each ? 1 : (APART.find((n) => steps / n <= 12) ?? Infinity);
  /** @type {{ t: number, text: string }[]} */
  const ticks = [];
  for (let t = apart; t <= steps; t += apart) {
    const text = each ? recording.character(t) : String(t);
    ticks.push({ t, text: each && text.length > 2 ? "□" : text });
  }
  return { each, ticks, name: recording.say(each ? "plot.time_characters" : "plot.time") };
}

/**
 * A value rounded up to half of its first digit, so that the axis ends at a round number; 1 for 0.
 *
 * @param {number} value
 */
export function endOfAxis(value) {
  if (!(value > 0) || !Number.isFinite(value)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return Number(((Math.ceil((2 * value) / power) / 2) * power).toPrecision(2));
}
