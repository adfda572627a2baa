// The trace as it came: one line of JSON, then float32 of (step, unit). Nothing is worked out here
// but means, and colours.

class Recording {
  constructor(bytes) {
    const end = bytes.indexOf(10);
    Object.assign(this, JSON.parse(new TextDecoder().decode(bytes.subarray(0, end))));
    // a copy: the bytes come at an odd address
    const all = new Float32Array(bytes.slice(end + 1).buffer);
    this.width = this.units.length;
    const size = this.steps * this.width;
    this.arrays = new Map(this.rows.map((row, i) => [row.name, all.subarray(i * size, (i + 1) * size)]));
    const from = this.rows.length * size;
    this.before = new Map(
      this.initial.map((name, i) => [name, all.subarray(from + i * this.width, from + (i + 1) * this.width)]),
    );
    this.by = new Map(this.rows.map((row) => [row.name, row]));
    this.gates = [...new Set(this.rows.filter((row) => row.kind === "gates").map((row) => row.gate))];
    this.odd = new Set(this.unknown);
    this.isDark = Number(`0x${this.colours.ground.slice(1, 3)}`) < 128;
    this.scales = { gate: shades(this.colours.gate), signed: shades(this.colours.signed) };
  }

  // A value at step t, from 1; at step 0 a state is as it began.
  at(name, t, unit) {
    return t > 0 ? this.arrays.get(name)[(t - 1) * this.width + unit] : (this.before.get(name)?.[unit] ?? 0);
  }

  say(key, values = {}) {
    return this.words[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
  }

  character(t) {
    return this.characters[t - 1] ?? "";
  }

  // The colour of a value in a row: of 0 to most, or of −most to most.
  colour(row, value) {
    const [r, g, b] = this.shade(row, value);
    return `rgb(${r} ${g} ${b})`;
  }

  // That of letters on this colour.
  ink(row, value) {
    const [r, g, b] = this.shade(row, value).map((part) => (part / 255) ** 2.2);
    // where both stand out as well as one another (WCAG's relative luminance)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.206 ? "#1c2330" : "#ffffff";
  }

  // Whether the page's own letters are as light or dark as this ink.
  isOwn(ink) {
    return this.isDark === (ink === "#ffffff");
  }

  shade(row, value) {
    const scale = row.signed ? this.scales.signed : this.scales.gate;
    const share = row.signed ? (value / row.most + 1) / 2 : value / row.most;
    return scale[Math.round(Math.max(0, Math.min(1, share || 0)) * (scale.length - 1))];
  }

  // Means of blocks of steps and units, in the order of the rows: what fits into columns × rows.
  pooled(name, columns, rows) {
    const values = this.arrays.get(name);
    const found = new Float32Array(columns * rows);
    for (let r = 0; r < rows; r++) {
      const [top, bottom] = block(r, rows, this.width);
      for (let c = 0; c < columns; c++) {
        const [left, right] = block(c, columns, this.steps);
        let sum = 0;
        for (let k = top; k < bottom; k++)
          for (let t = left; t < right; t++) sum += values[t * this.width + this.units[k]];
        found[r * columns + c] = sum / ((bottom - top) * (right - left));
      }
    }
    return found;
  }
}

function block(i, blocks, whole) {
  const from = Math.floor((i * whole) / blocks);
  return [from, Math.max(from + 1, Math.floor(((i + 1) * whole) / blocks))];
}

// 256 colours between those given, which are as far apart as one another.
function shades(stops) {
  const known = stops.map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
  return Array.from({ length: 256 }, (_, i) => {
    const at = (i / 255) * (known.length - 1);
    const low = Math.min(Math.floor(at), known.length - 2);
    return known[low].map((value, k) => Math.round(value + (known[low + 1][k] - value) * (at - low)));
  });
}

// Two decimals, always with a sign where asked; never a negative zero.
function number(value, signed = false) {
  let text = value.toFixed(2);
  if (Number(text) === 0) text = "0.00";
  if (signed && value > 0 && text !== "0.00") text = `+${text}`;
  return text.replace("-", "−");
}

const below = (n) => String(n).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);

function element(tag, name = "", rest = {}) {
  const made = document.createElement(tag);
  made.className = name;
  return Object.assign(made, rest);
}

function drawn(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
