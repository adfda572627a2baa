// Formatting, parsing and colouring of the grid's numbers.

/** @typedef {number[]} Colour red, green and blue, from 0 to 255 */
/** @typedef {[at: number, colour: Colour]} Stop */

/**
 * The change per dragged pixel: 0.01, or one unit of the third digit for numbers from 10 on.
 *
 * @param {number} value
 */
export function step(value) {
  const digits = Math.floor(Math.log10(Math.abs(value)));
  return digits > 0 ? Number(`1e${digits - 2}`) : 0.01;
}

/**
 * The nearest multiple of a size.
 *
 * @param {number} value
 * @param {number} size
 */
export function rounded(value, size) {
  return Number((Math.round(value / size) * size).toPrecision(12)) + 0; // never −0
}

/**
 * The number in seven characters at most: with four decimals from 0.001 to 10, so that the numbers of a
 * matrix can be compared, and else with four digits, or with three or two.
 *
 * @param {number} value
 */
export function brief(value) {
  if (Math.abs(value) >= 1e-3 && Math.abs(value) < 9.99995) return signed(value.toFixed(4));
  for (const digits of [4, 3]) {
    const text = short(value, digits);
    if (text.length <= 7) return text;
  }
  return short(value, 2);
}

/**
 * @param {number} value
 * @param {number} digits
 */
function short(value, digits) {
  const plain = !value || (Math.abs(value) >= 1e-3 && Math.abs(value) < 1e5);
  return signed(plain ? String(+value.toPrecision(digits)) : scientific(value, digits));
}

/**
 * @param {number} value
 * @param {number} digits
 */
function scientific(value, digits) {
  const [digit, power] = value.toExponential(digits - 1).split("e");
  return `${+digit}e${+power}`;
}

/**
 * The number with six digits, for the input.
 *
 * @param {number} value
 */
export function written(value) {
  return signed(String(+value.toPrecision(6)));
}

/**
 * The text with minus signs instead of hyphens.
 *
 * @param {string} text
 */
export function signed(text) {
  return text.replaceAll("-", "−");
}

const NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;

/**
 * The number of a text, or null if it is none; also full-width digits and signs, as in Korean input.
 *
 * @param {string} text
 */
export function read(text) {
  const plain = text
    .replace(/[！-～]/g, (letter) => String.fromCharCode(letter.charCodeAt(0) - 0xfee0))
    .replaceAll("−", "-");
  const value = Number(plain) + 0; // never −0
  return NUMBER.test(plain) && Number.isFinite(value) ? value : null;
}

/**
 * @param {string} colour as #rrggbb
 * @returns {Colour}
 */
export function rgb(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

/**
 * The colour at a share of a scale.
 *
 * @param {Stop[]} stops
 * @param {number} share
 * @returns {Colour}
 */
export function between(stops, share) {
  const reached = stops.findIndex(([at]) => at >= share);
  const next = Math.max(1, reached);
  const [[low, from], [high, to]] = [stops[next - 1], stops[next]];
  return from.map((part, k) => Math.round(part + ((share - low) / (high - low)) * (to[k] - part)));
}

/**
 * The contrast ratio of WCAG 2, from 1 to 21.
 *
 * @param {...Colour} colours two
 */
export function contrast(...colours) {
  const luminances = colours.map((colour) => {
    const [r, g, b] = colour.map((part) =>
      part <= 10 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4,
    );
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  });
  return (Math.max(...luminances) + 0.05) / (Math.min(...luminances) + 0.05);
}

/**
 * A number as Python's repr has it and so an address.
 * @param {number} value
 */
export function pythonText(value) {
  const [digits, power] = value.toExponential().split("e");
  const exponent = Number(power);
  if (exponent >= -4 && exponent < 16)
    return Number.isInteger(value) ? value.toFixed(1) : String(value);
  return `${digits}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}
