// The texts of a slider's notches, from what notches.py makes of them.

/**
 * @typedef {object} Folded
 * @property {number} decimals
 * @property {boolean} trimmed
 * @property {boolean} comma
 * @property {string} plus
 * @property {string} minus
 * @property {(string | [first: number, step: number, length: number])[]} parts
 */

/**
 * @param {Folded} folded
 * @returns {string[]}
 */
export function unfold(folded) {
  return folded.parts.flatMap((part) => {
    if (typeof part === "string") return [part];
    const [first, step, length] = part;
    return Array.from({ length }, (_, k) => textOf(first + k * step, folded));
  });
}

/**
 * @param {number} number in units of the last decimal
 * @param {Folded} style
 */
function textOf(number, { decimals, trimmed, comma, plus, minus }) {
  const digits = String(Math.abs(number)).padStart(decimals + 1, "0");
  const point = digits.length - decimals;
  const whole = digits.slice(0, point);
  const after = trimmed ? digits.slice(point).replace(/0+$/, "") : digits.slice(point);
  const grouped = comma ? whole.replace(/\B(?=(\d{3})+$)/g, ",") : whole;
  return (number < 0 ? minus : plus) + grouped + (after && `.${after}`);
}
