// How numbers are written, read and coloured; read together with grid.js.

// What a pixel is worth: 0.01, and of numbers from 10 on a unit of their third digit.
function step(value) {
  const digits = Math.floor(Math.log10(Math.abs(value)));
  return digits > 0 ? Number(`1e${digits - 2}`) : 0.01;
}

function rounded(value, size) {
  return Number((Math.round(value / size) * size).toPrecision(12)) + 0; // never −0
}

// As many of four digits as seven characters hold.
function brief(value) {
  const plain = Math.abs(value) >= 1e-3 && Math.abs(value) < 1e5;
  for (const digits of [4, 3, 2]) {
    const short = plain || !value ? String(+value.toPrecision(digits)) : scientific(value, digits);
    const text = signed(short);
    if (text.length <= 7 || digits === 2) return text;
  }
}

function scientific(value, digits) {
  const [digit, power] = value.toExponential(digits - 1).split("e");
  return `${+digit}e${+power}`;
}

function written(value) {
  return signed(String(+value.toPrecision(6)));
}

function signed(text) {
  return text.replaceAll("-", "−");
}

const NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;

// The number that a text is, or null; digits and signs may be of full width, as in Korean.
function read(text) {
  const plain = text
    .replace(/[！-～]/g, (letter) => String.fromCharCode(letter.charCodeAt(0) - 0xfee0))
    .replaceAll("−", "-");
  const value = Number(plain) + 0; // never −0
  return NUMBER.test(plain) && Number.isFinite(value) ? value : null;
}

function rgb(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

// The colour at a share of the scale.
function between(stops, share) {
  const next = Math.max(1, stops.findIndex(([at]) => at >= share));
  const [[low, from], [high, to]] = [stops[next - 1], stops[next]];
  return from.map((part, k) => Math.round(part + ((share - low) / (high - low)) * (to[k] - part)));
}

// WCAG 2: from 1 to 21.
function contrast(...colours) {
  const light = colours.map((colour) => {
    const [r, g, b] = colour.map((part) =>
      part <= 10 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4,
    );
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  });
  return (Math.max(...light) + 0.05) / (Math.min(...light) + 0.05);
}
