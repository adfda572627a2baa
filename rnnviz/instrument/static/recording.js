// The payload of a trace (payload.py): a line of JSON, then float32 arrays of (step, unit).
// Only means and colours are computed here.

/** @import { Header, RGB, Row, Scale } from "./types.d.ts" */

export class Recording {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    /** @type {{ header: Header, body: Uint8Array }} */
    const { header, body } = splitPayload(bytes);
    const { rows, steps, units, initial, colours } = header;
    this.version = header.version;
    this.reading = header.reading;
    this.cell = header.cell ?? ""; // empty for a signal
    this.plan = header.plan ?? "";
    this.activations = header.activations ?? {};
    this.letters = header.letters ?? {};
    this.predictions = header.predictions ?? undefined;
    this.unitStory = header.unitStory;
    this.writes = header.writes ?? 0;
    this.comparedStory = header.comparedStory;
    this.rows = rows;
    this.steps = steps;
    this.units = units;
    this.width = units.length;
    this.characters = header.characters;
    this.unknown = new Set(header.unknown);
    this.breaks = new Set(header.breaks);
    this.words = header.words;
    this.fastest = header.fastest;
    this.title = header.title;
    this.note = header.note;
    this.label = header.label;
    this.plain = header.plain ?? false;
    this.colours = colours;
    this.isDark = Number(`0x${colours.ground.slice(1, 3)}`) < 128;
    this.scales = { gate: shades(colours.gate), signed: shades(colours.signed) };
    // a copy, because the bytes may not be aligned for floats
    const all = new Float32Array(body.slice().buffer);
    const size = steps * this.width;
    this.arrays = new Map(rows.map((row, i) => [row.name, all.subarray(i * size, (i + 1) * size)]));
    const states = all.subarray(rows.length * size);
    this.initial = new Map(
      initial.map((name, i) => [name, states.subarray(i * this.width, (i + 1) * this.width)]),
    );
    if (header.output) this.arrays.set("cell_output", states.subarray(initial.length * this.width));
  }

  /**
   * A value at step t, from 1; at step 0 the initial state.
   *
   * @param {string} name
   * @param {number} t
   * @param {number} unit
   * @returns {number}
   */
  at(name, t, unit) {
    // sent only where it is not tanh
    if (name === "cell_output" && !this.arrays.has(name))
      return Math.tanh(this.at("cell_state", t, unit));
    return t > 0
      ? this.array(name)[(t - 1) * this.width + unit]
      : (this.initial.get(name)?.[unit] ?? 0);
  }

  /**
   * The values of all units at step t, from 1; at step 0 the initial state.
   *
   * @param {string} name
   * @param {number} t
   * @returns {Float32Array}
   */
  all(name, t) {
    if (t > 0) return this.array(name).subarray((t - 1) * this.width, t * this.width);
    return /** @type {Float32Array} */ (this.initial.get(name));
  }

  /** @param {string} name */
  array(name) {
    return /** @type {Float32Array} */ (this.arrays.get(name));
  }

  /** @param {string} name */
  row(name) {
    return /** @type {Row} */ (this.rows.find((row) => row.name === name));
  }

  /**
   * A text with its placeholders filled.
   *
   * @param {string} key
   * @param {Record<string, unknown>} [values]
   */
  say(key, values = {}) {
    return filled(this.words[key], values);
  }

  /** @param {number} t */
  character(t) {
    return this.characters[t - 1] ?? "";
  }

  /**
   * @param {Scale} scale
   * @param {number} value
   */
  colour(scale, value) {
    const [r, g, b] = this.shade(scale, value);
    return `rgb(${r} ${g} ${b})`;
  }

  /**
   * The colour of letters on the colour of a value.
   *
   * @param {Scale} scale
   * @param {number} value
   */
  ink(scale, value) {
    const [r, g, b] = this.shade(scale, value).map((part) => (part / 255) ** 2.2);
    // the contrast is at least 4.5 (WCAG): black and white have the same at a luminance of 0.179
    const luminance = 0.2126 * r + 0.7152 * g + 0.0722 * b;
    return luminance > 0.26 ? "#1c2330" : luminance > 0.179 ? "#000000" : "#ffffff";
  }

  /**
   * @param {Scale} scale
   * @param {number} value
   */
  shade({ signed, most }, value) {
    const colours = signed ? this.scales.signed : this.scales.gate;
    const share = signed ? (value / most + 1) / 2 : value / most;
    return colours[Math.round(Math.max(0, Math.min(1, share || 0)) * (colours.length - 1))];
  }

  /**
   * Means over columns × rows blocks of steps and units, with units in display order.
   *
   * @param {string} name
   * @param {number} columns
   * @param {number} rows
   */
  pooled(name, columns, rows) {
    const values = this.array(name);
    const means = new Float32Array(columns * rows);
    for (let r = 0; r < rows; r++) {
      const [top, bottom] = block(r, rows, this.width);
      for (let c = 0; c < columns; c++) {
        const [left, right] = block(c, columns, this.steps);
        let sum = 0;
        for (let k = top; k < bottom; k++)
          for (let t = left; t < right; t++) sum += values[t * this.width + this.units[k]];
        means[r * columns + c] = sum / ((bottom - top) * (right - left));
      }
    }
    return means;
  }
}

/**
 * The header of a payload, and the bytes after it.
 *
 * @param {Uint8Array} bytes
 */
export function splitPayload(bytes) {
  const end = bytes.indexOf(10);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
  return { header, body: bytes.subarray(end + 1) };
}

/**
 * Start and end of block i of `whole` items; no block is empty.
 *
 * @param {number} i
 * @param {number} blocks
 * @param {number} whole
 */
function block(i, blocks, whole) {
  const from = Math.floor((i * whole) / blocks);
  return [from, Math.max(from + 1, Math.floor(((i + 1) * whole) / blocks))];
}

/**
 * 256 colours, interpolated between those given, which are evenly spaced.
 *
 * @param {string[]} stops
 */
function shades(stops) {
  const known = stops.map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
  return Array.from({ length: 256 }, (_, i) => {
    const at = (i / 255) * (known.length - 1);
    const low = Math.min(Math.floor(at), known.length - 2);
    const mixed = known[low].map((value, k) =>
      Math.round(value + (known[low + 1][k] - value) * (at - low)),
    );
    return /** @type {RGB} */ (mixed);
  });
}

/**
 * A text with its placeholders filled.
 *
 * @param {string} text
 * @param {Record<string, unknown>} values
 */
export const filled = (text, values) =>
  text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));

const LONGEST = 1e15; // from which a number is written as a power of ten, as by locale/numbers.py

/**
 * Two decimals, with a sign on request; never a negative zero.
 *
 * @param {number} value
 */
export function number(value, signed = false) {
  let text = Number.isNaN(value) ? "NaN" : "∞";
  if (value === -Infinity) text = "-∞";
  else if (Math.abs(value) < LONGEST) text = hundredths(value);
  else if (Number.isFinite(value)) text = power(value);
  if (signed && value > 0 && text !== "0.00") text = `+${text}`;
  return text.replace("-", "−");
}

/**
 * Two decimals; a value halfway between two is rounded to the even one, as in Python.
 *
 * @param {number} value
 */
function hundredths(value) {
  const isHalfway = Number.isInteger(8 * value) && !Number.isInteger(4 * value);
  const below = Math.floor(100 * value);
  const text = (isHalfway ? (below % 2 ? below + 1 : below) / 100 : value).toFixed(2);
  return Number(text) === 0 ? "0.00" : text;
}

/** @param {number} value */
function power(value) {
  const [digits, exponent] = value.toExponential(2).split("e+");
  return `${digits} · 10${exponent.replace(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)])}`;
}

/**
 * A number in subscript digits.
 *
 * @param {number} n
 */
export const below = (n) => String(n).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[Number(digit)]);
