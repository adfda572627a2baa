// New numbers in a figure that is drawn already. Plotly.react works everything out anew, 10–20 ms a
// figure; here Plotly calculates the traces that changed and draws them, and its axes and legend
// where these say something else. What differs in any other way is left to Plotly.react.
//
// This leans on what Plotly keeps on a figure (calcdata, _fullData, _fullLayout) as of version 3 and
// 4; a browser test holds every figure of the pages equal to one that is drawn anew.

const NUMBERS = ["x", "y", "z", "customdata"];
const TEXTS = ["tickvals", "ticktext"]; // of an axis
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

// A figure in parts: what may differ, and all the rest as one text.
function apart({ data, layout }) {
  const traces = data.map((trace) => {
    const rest = { ...trace };
    const numbers = {};
    for (const name of NUMBERS) {
      if (name in rest) numbers[name] = rest[name];
      delete rest[name];
    }
    rest.name = typeof rest.name;
    return { numbers, rest, name: trace.name };
  });
  const axes = {};
  const frame = { ...layout };
  for (const key of Object.keys(layout).filter((key) => AXIS.test(key))) {
    const rest = { ...layout[key] };
    axes[key] = {};
    for (const name of ["range", ...TEXTS]) {
      if (name in rest) axes[key][name] = rest[name];
      rest[name] = typeof rest[name];
    }
    frame[key] = rest;
  }
  // which numbers there are, and of what shape
  const shapes = traces.map(({ numbers }) =>
    Object.entries(numbers).map(([name, array]) => [name, array.dtype, size(array)]),
  );
  const rest = JSON.stringify([traces.map(({ rest }) => rest), frame, shapes]);
  return { numbers: traces.map(({ numbers }) => numbers), names: traces.map(({ name }) => name), axes, rest };
}

function size(array) {
  return array.bdata ? [array.bdata.length, array.shape] : array.length;
}

function alike(a, b) {
  if (a === b) return true;
  if (a?.bdata !== undefined) return a.bdata === b?.bdata && a.dtype === b.dtype;
  return JSON.stringify(a) === JSON.stringify(b);
}

// Brings a drawn figure from before to now, both as apart() gives them; whether it could.
function retouch(...given) {
  try {
    return renewed(...given);
  } catch {
    return false; // another Plotly, which keeps other things
  }
}

function renewed(Plotly, plot, before, now) {
  if (!before || before.rest !== now.rest || !plot.calcdata) return false;
  const full = plot._fullData;
  if (!full.every(isPlain)) return false;
  const changed = now.numbers.map((numbers, k) =>
    Object.keys(numbers).filter((name) => !alike(numbers[name], before.numbers[k][name])),
  );
  if (full.length !== changed.length) return false;
  // a range that Plotly is to find needs all of its work
  const found = changed.some((names, k) =>
    ["x", "y"].some((letter) => {
      const axis = full[k][`${letter}axis`] ?? letter;
      return names.includes(letter) && !now.axes[axisName(axis)]?.range;
    }),
  );
  if (found) return false;
  changed.forEach((names, k) => {
    if (!names.length) return;
    for (const name of names) full[k][name] = plot.data[k][name] = decoded(now.numbers[k][name]);
    if (full[k].visible !== true) return;
    const cd = full[k]._module.calc(plot, full[k]);
    cd[0].t ??= {};
    cd[0].trace = full[k];
    plot.calcdata[k] = cd;
  });
  const layout = {};
  for (const [axis, parts] of Object.entries(now.axes)) {
    for (const [name, value] of Object.entries(parts)) {
      if (!alike(value, before.axes[axis][name])) layout[`${axis}.${name}`] = value;
    }
  }
  const { legend } = plot._fullLayout;
  const named = now.names.map((_, k) => k).filter((k) => now.names[k] !== before.names[k] && !renamed(plot, k, now.names[k]));
  const height = legend?._height;
  if (named.length) Plotly.update(plot, { name: named.map((k) => now.names[k]) }, layout, named);
  else if (Object.keys(layout).length) Plotly.relayout(plot, layout);
  // Plotly itself draws them where a range changes
  if (!Object.keys(layout).some((key) => key.endsWith(".range"))) drawTraces(plot);
  return plot._fullLayout.legend?._height === height; // else it wants other margins
}

// A name with other digits in it, written over the one in the legend: Plotly would measure all of
// them anew, and digits are as wide as one another there (chart.css). Whether it could be.
function renamed(plot, k, name) {
  const trace = plot._fullData[k];
  if (name.replace(/\d/g, "0") !== trace.name.replace(/\d/g, "0")) return false;
  const entries = [...plot.querySelectorAll(".legendtext")];
  const entry = entries.find((text) => text.__data__?.[0]?.trace === trace);
  if (entry?.textContent !== trace.name || entry.childElementCount) return false;
  entry.textContent = name;
  entry.setAttribute("data-unformatted", name);
  trace.name = plot.data[k].name = name;
  return true;
}

// Whether a trace is drawn by its own numbers alone, on scales that are given.
function isPlain(trace) {
  if (trace.type === "heatmap") return trace.zauto === false && !trace.coloraxis;
  return trace.type === "scatter" && !trace.stackgroup;
}

function drawTraces(plot) {
  for (const module of plot._fullLayout._basePlotModules) module.plot(plot);
  plot.emit("plotly_afterplot");
}

function axisName(id) {
  return `${id[0]}axis${id.slice(1)}`;
}

// An array as Plotly has it: typed, or an array of rows of them.
function decoded(array) {
  if (array.bdata === undefined) return array;
  const bytes = Uint8Array.from(atob(array.bdata), (letter) => letter.charCodeAt(0));
  const values = new DTYPES[array.dtype](bytes.buffer);
  if (array.shape === undefined) return values;
  const [rows, columns] = array.shape.split(",").map(Number);
  return Array.from({ length: rows }, (_, row) => values.subarray(row * columns, (row + 1) * columns));
}
