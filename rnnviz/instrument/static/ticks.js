// The ticks of a time axis: every character where they fit, else about ten step numbers.

/** @import { Recording } from "./recording.js" */

const NARROWEST = 7; // pixels of a character
const APART = [5, 10, 20, 50, 100, 200, 500]; // steps between numbers

/**
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
