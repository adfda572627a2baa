// Updates the numbers of a drawn figure. Plotly.react recomputes everything, in 10–20 ms per figure; here
// Plotly recalculates and redraws only the traces that changed, and the axes and legend whose texts
// changed. All other differences are left to Plotly.react.
//
// This depends on internals that Plotly stores on a figure (calcdata, _fullData, _fullLayout) in versions 3
// and 4; a browser test compares every figure of the pages with a newly drawn one.

/** @import { Calculated, Figure, FullTrace, LayoutAxis, Packed, PackedValues, Plot, Plotly } from "../../instrument/static/plotly.d.ts" */
/**
 * A figure split into the parts that may change, and the rest as one text.
 *
 * @typedef {object} Parts
 * @property {Record<string, PackedValues>[]} numbers by trace
 * @property {(string | undefined)[]} names by trace
 * @property {Record<string, LayoutAxis>} axes
 * @property {string} rest
 */

export const AXIS = /^[xy]axis\d*$/;
const NUMBERS = ["x", "y", "z", "customdata"];
const AXIS_PARTS = ["range", "tickvals", "ticktext"];
const DTYPES = {
  i1: Int8Array,
  u1: Uint8Array,
  i2: Int16Array,
  u2: Uint16Array,
  i4: Int32Array,
  u4: Uint32Array,
  f4: Float32Array,
  f8: Float64Array,
};

/**
 * @param {Figure} figure
 * @returns {Parts}
 */
export function apart({ data, layout }) {
  const traces = data.map((trace) => {
    const [numbers, rest] = taken(trace, NUMBERS);
    return {
      numbers: /** @type {Parts["numbers"][0]} */ (numbers),
      rest: { ...rest, name: typeof trace.name },
    };
  });
  /** @type {Parts["axes"]} */
  const axes = {};
  const frame = { ...layout };
  for (const key of Object.keys(layout).filter((key) => AXIS.test(key))) {
    const [parts, rest] = taken(layout[key] ?? {}, AXIS_PARTS);
    axes[key] = parts;
    frame[key] = {
      ...rest,
      ...Object.fromEntries(AXIS_PARTS.map((name) => [name, typeof parts[name]])),
    };
  }
  // the names, dtypes and sizes of the arrays
  const shapes = traces.map(({ numbers }) =>
    Object.entries(numbers).map(([name, array]) => [name, array.dtype, sizeOf(array)]),
  );
  return {
    numbers: traces.map(({ numbers }) => numbers),
    names: data.map(({ name }) => name),
    axes,
    rest: JSON.stringify([traces.map(({ rest }) => rest), frame, shapes]),
  };
}

/**
 * The entries of these names, and the others.
 *
 * @param {Record<string, unknown>} whole
 * @param {string[]} names
 */
function taken(whole, names) {
  const rest = { ...whole };
  /** @type {Record<string, unknown>} */
  const parts = {};
  for (const name of names) {
    if (name in rest) parts[name] = rest[name];
    delete rest[name];
  }
  return [parts, rest];
}

/** @param {PackedValues} array */
function sizeOf(array) {
  return isPacked(array) ? [array.bdata.length, array.shape] : array.length;
}

/**
 * @param {unknown} array
 * @returns {array is Packed}
 */
function isPacked(array) {
  return typeof array === "object" && array !== null && "bdata" in array;
}

/**
 * @param {unknown} a
 * @param {unknown} b
 */
export function alike(a, b) {
  if (a === b) return true;
  if (isPacked(a)) return isPacked(b) && a.bdata === b.bdata && a.dtype === b.dtype;
  return JSON.stringify(a) === JSON.stringify(b);
}

/**
 * Updates a drawn figure from one state to the next; returns whether that was possible.
 *
 * @param {Plotly} Plotly
 * @param {Plot} plot
 * @param {Parts | undefined} before
 * @param {Parts} now
 * @returns {boolean}
 */
export function retouch(Plotly, plot, before, now) {
  try {
    return retouched(Plotly, plot, before, now);
  } catch {
    return false; // a version of Plotly with other internals
  }
}

/** @type {typeof retouch} */
function retouched(Plotly, plot, before, now) {
  if (!before || before.rest !== now.rest || !plot.calcdata) return false;
  const full = plot._fullData;
  if (!full.every(isPlain)) return false;
  const changed = changedNumbers(before, now);
  if (full.length !== changed.length) return false;
  if (changed.some((names, k) => setsARange(full[k], names, now.axes))) return false;
  changed.forEach((names, k) => {
    if (names.length) calculate(plot, k, names, now.numbers[k]);
  });
  const layout = changedLayout(before, now);
  const legend = plot._fullLayout.legend?._height;
  const named = now.names.flatMap((name, k) =>
    name === before.names[k] || renamed(plot, k, name) ? [] : [k],
  );
  if (named.length) Plotly.update(plot, { name: named.map((k) => now.names[k]) }, layout, named);
  else if (Object.keys(layout).length) Plotly.relayout(plot, layout);
  // if a range changes, Plotly draws the traces itself
  if (!Object.keys(layout).some((key) => key.endsWith(".range"))) drawTraces(plot);
  return plot._fullLayout.legend?._height === legend; // another height needs other margins
}

/**
 * The names of each trace's arrays that differ.
 *
 * @param {Parts} before
 * @param {Parts} now
 */
export function changedNumbers(before, now) {
  return now.numbers.map((numbers, k) =>
    Object.keys(numbers).filter((name) => !alike(numbers[name], before.numbers[k][name])),
  );
}

/**
 * The differences in the axes, as an argument of Plotly.relayout.
 *
 * @param {Parts} before
 * @param {Parts} now
 */
export function changedLayout(before, now) {
  /** @type {Record<string, unknown>} */
  const layout = {};
  for (const [axis, parts] of Object.entries(now.axes))
    for (const [name, value] of Object.entries(parts))
      if (!alike(value, before.axes[axis][name])) layout[`${axis}.${name}`] = value;
  return layout;
}

/**
 * Whether an axis without a given range depends on the changed numbers.
 *
 * @param {FullTrace} trace
 * @param {string[]} changed
 * @param {Parts["axes"]} axes
 */
function setsARange(trace, changed, axes) {
  return /** @type {const} */ (["x", "y"]).some((letter) => {
    const axis = trace[`${letter}axis`] ?? letter;
    return changed.includes(letter) && !axes[axisName(axis)]?.range;
  });
}

/**
 * Has Plotly recalculate a trace with new arrays.
 *
 * @param {Plot} plot
 * @param {number} k
 * @param {string[]} changed
 * @param {Record<string, PackedValues>} numbers
 */
function calculate(plot, k, changed, numbers) {
  const trace = plot._fullData[k];
  for (const name of changed) trace[name] = plot.data[k][name] = decodeArray(numbers[name]);
  if (trace.visible !== true) return;
  const calculated = trace._module.calc(plot, trace);
  calculated[0].t ??= {};
  calculated[0].trace = trace;
  /** @type {Calculated[]} */ (plot.calcdata)[k] = calculated;
}

/**
 * Replaces a name in the legend if only its digits differ; digits have equal widths (chart.css), so the
 * legend need not be measured again, as Plotly would do. Returns whether that was possible.
 *
 * @param {Plot} plot
 * @param {number} k
 * @param {string | undefined} name
 */
function renamed(plot, k, name) {
  const trace = plot._fullData[k];
  if (name?.replace(/\d/g, "0") !== trace.name.replace(/\d/g, "0")) return false;
  /** @type {(Element & { __data__?: Calculated })[]} */
  const entries = [...plot.querySelectorAll(".legendtext")];
  const entry = entries.find((text) => text.__data__?.[0]?.trace === trace);
  if (entry?.textContent !== trace.name || entry.childElementCount) return false;
  entry.textContent = name;
  entry.setAttribute("data-unformatted", name);
  trace.name = plot.data[k].name = name;
  return true;
}

/**
 * Whether the drawing of a trace depends only on its own numbers and on given scales.
 *
 * @param {FullTrace} trace
 */
function isPlain(trace) {
  if (trace.type === "heatmap") return trace.zauto === false && !trace.coloraxis;
  return trace.type === "scatter" && !trace.stackgroup;
}

/** @param {Plot} plot */
function drawTraces(plot) {
  for (const module of plot._fullLayout._basePlotModules) module.plot(plot);
  plot.emit("plotly_afterplot");
}

/** @param {string} id */
function axisName(id) {
  return `${id[0]}axis${id.slice(1)}`;
}

/**
 * An array as Plotly stores it: typed, or an array of typed rows.
 *
 * @param {PackedValues} array
 */
export function decodeArray(array) {
  if (!isPacked(array)) return array;
  const bytes = Uint8Array.from(atob(array.bdata), (letter) => letter.charCodeAt(0));
  const values = new DTYPES[/** @type {keyof typeof DTYPES} */ (array.dtype)](bytes.buffer);
  if (array.shape === undefined) return values;
  const [rows, columns] = array.shape.split(",").map(Number);
  return Array.from({ length: rows }, (_, row) =>
    values.subarray(row * columns, (row + 1) * columns),
  );
}
