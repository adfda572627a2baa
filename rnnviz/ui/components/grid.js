// A table of numbers. One of them is under the hand: it is dragged sideways, or an input stands in
// its cell. What the hand does is shown at once; one message is under way at most. While a number is
// dragged what is in sight follows by itself (see follow.js), and the page when the hand leaves it.
// Cells are made once for a shape.

const instances = new WeakMap();
let unsent = new Map(); // what was wanted while the server was away
const LOST = 3000; // milliseconds without a run of the script: what was sent has not arrived
const LONG = 5000; // milliseconds that a run may take before the next number breaks it off
const STILL = 4; // pixels within which a press is a click

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let grid = instances.get(parentElement);
  if (!grid) {
    grid = new Grid(parentElement);
    instances.set(parentElement, grid);
  }
  grid.send = (message) => setTriggerValue("changed", message);
  grid.update(data);
  // Streamlit calls this for an update that a newer one overtook, too.
  return () => setTimeout(() => grid.root.isConnected || grid.stop());
}

class Grid {
  constructor(parent) {
    this.root = element("div", "grid");
    const frame = element("div", "frame");
    this.table = element("table");
    this.said = element("p", "said");
    this.hint = element("p", "hint");
    this.told = element("output", "told");
    this.field = element("input");
    set(this.table, { role: "grid", "aria-describedby": "hint" });
    set(this.said, { id: "said", role: "alert" });
    set(this.hint, { id: "hint" });
    // not inputmode=decimal: an iPhone's keys have no minus then
    set(this.field, { enterkeyhint: "done", autocomplete: "off", maxlength: 40, spellcheck: false });
    frame.append(this.table);
    this.root.append(frame, this.said, this.hint, this.told);
    parent.appendChild(this.root);
    this.at = 0; // the cell that Tab reaches; cells are counted row by row
    this.flying = null; // the change under way: {place, message, answered, since}
    this.wanted = new Map(); // what to send next, by place
    this.again = false; // whether what is under way was lost before
    this.hand = null; // a pointer on a cell: {index, pointer, x, exact, first, value}
    this.typing = null; // the cell with the input, and its text there: {index, before}
    this.refusal = null; // {key, row, column, came, kept}
    this.follower = new Follower(() => undefined); // the page follows in any case
    this.listen();
  }

  listen() {
    const on = (name, heard) => this.table.addEventListener(name, heard);
    on("pointerdown", (event) => this.pressed(event));
    on("pointermove", (event) => this.dragged(event));
    on("lostpointercapture", () => this.released());
    on("click", (event) => this.clicked(event));
    on("keydown", (event) => this.keyed(event));
    on("focusin", (event) => this.reached(this.indexOf(event.target)));
    this.field.addEventListener("keydown", (event) => this.typed(event));
    this.field.addEventListener("blur", () => this.typing && (this.take(), this.close()));
    this.watcher = new MutationObserver(() => this.landed());
  }

  update(bytes) {
    const before = this.data;
    const data = JSON.parse(new TextDecoder().decode(bytes));
    this.data = data;
    if (this.number === undefined) this.wanted = unsent;
    this.number ??= data.answered; // of the last message sent
    this.stops = data.scale.map(([at, colour]) => [at, rgb(colour)]);
    const [rows, columns] = [data.values.length, data.values[0].length];
    const reshaped = rows !== this.rows || columns !== this.columns;
    if (before && (reshaped || before.of !== data.of)) {
      this.refusal = this.hand = null;
      this.settle();
      this.close();
    }
    if (reshaped) this.make(rows, columns);
    this.table.setAttribute("aria-label", data.label);
    this.root.style.setProperty("--selected", data.selected);
    this.hint.textContent = data.hint;
    if (this.flying && data.answered === this.number) {
      this.flying.answered = true;
      this.again = false;
      unsent = new Map();
    }
    this.show();
    this.flush();
    this.landed();
  }

  make(rows, columns) {
    Object.assign(this, { rows, columns, at: 0 });
    this.root.style.setProperty("--columns", columns);
    const head = element("tr");
    head.append(element("td"), ...numbered(columns, "columnheader", "col"));
    const lines = numbered(rows, "rowheader", "row").map((first) => {
      const line = element("tr");
      const cells = Array.from({ length: columns }, () => set(element("td"), { role: "gridcell" }));
      for (const cell of cells) cell.append(element("span"));
      line.append(first, ...cells);
      return line;
    });
    for (const line of [head, ...lines]) line.setAttribute("role", "row");
    this.table.replaceChildren(head, ...lines);
    this.cells = [...this.table.querySelectorAll("[role=gridcell]")];
  }

  show() {
    const numbers = this.cells.map((_, index) => this.value(index));
    const most = Math.max(...numbers.map(Math.abs)) || 1;
    this.cells.forEach((cell, index) => {
      const marked = this.isMarked(index);
      const text = brief(numbers[index]);
      const ground = between(this.stops, (numbers[index] / most + 1) / 2);
      cell.tabIndex = index === this.at ? 0 : -1;
      cell.style.background = `rgb(${ground})`;
      cell.style.color = [this.data.ink, "#ffffff", "#000000"].find(
        (ink) => contrast(rgb(ink), ground) >= 4.5,
      );
      cell.classList.toggle("marked", marked);
      cell.classList.toggle("held", this.hand?.value !== undefined && this.hand.index === index);
      if (cell.firstChild.textContent !== text) cell.firstChild.textContent = text;
      const label = marked ? fill(this.data.marked, { value: text }) : text;
      if (cell.getAttribute("aria-label") !== label) cell.setAttribute("aria-label", label);
    });
    const said = this.refusal ? fill(this.data[this.refusal.key], this.refusal) : "";
    if (this.said.textContent !== said) this.said.textContent = said;
    set(this.field, { "aria-invalid": this.typing?.index === this.refusal?.index && !!said });
  }

  // What the visitor made of a cell and Python has not shown yet: a number, null to put back the
  // first one, undefined for nothing.
  own(index) {
    const place = `${this.data.of} ${index}`;
    if (this.hand?.index === index && this.hand.value !== undefined) return this.hand.value;
    if (this.wanted.has(place)) return this.wanted.get(place).value;
    if (this.flying?.place === place && !this.flying.answered) return this.flying.message.value;
  }

  value(index) {
    return this.own(index) ?? this.data.values[this.row(index)][this.column(index)];
  }

  isMarked(index) {
    const own = this.own(index);
    if (own !== undefined) return own !== null;
    return this.data.changed.includes(`${this.row(index)} ${this.column(index)}`);
  }

  // A number for a cell, or null to put the first one back.
  change(index, value) {
    this.refusal = null;
    clearTimeout(this.settling);
    const message = { of: this.data.of, row: this.row(index), column: this.column(index), value };
    if (this.data.live && this.hand?.value !== undefined) this.lead(message);
    else this.wanted.set(`${message.of} ${index}`, message);
    this.show();
    this.flush();
  }

  // Under the hand: the edits as the address will have them.
  lead({ of, row, column, value }) {
    const place = `${of}.${row}.${column}:`;
    const others = setting("edit").split(",").filter((edit) => edit && !edit.startsWith(place));
    this.follower.follow("edit", [...others, `${place}${value}`].join(), this.data.live);
  }

  pressed(event) {
    const index = this.indexOf(event.target);
    this.moved = false;
    if (event.button || index === undefined || event.target === this.field || this.hand) return;
    const first = this.isMarked(index) ? this.value(index) : null;
    const exact = this.value(index);
    this.hand = { index, pointer: event.pointerId, x: event.clientX, first, exact, step: step(exact) };
    this.cells[index].setPointerCapture(event.pointerId);
  }

  dragged(event) {
    const { hand } = this;
    if (hand?.pointer !== event.pointerId) return;
    const way = event.clientX - hand.x;
    if (!this.moved) {
      if (Math.abs(way) < STILL) return;
      this.moved = true;
    }
    const size = event.shiftKey ? hand.step / 10 : hand.step;
    const value = rounded(hand.exact + way * size, size);
    if (!Number.isFinite(value)) return;
    hand.exact += way * size;
    hand.x = event.clientX;
    if (value === this.value(hand.index)) return;
    hand.value = value;
    this.change(hand.index, value);
  }

  released() {
    const { index, value } = this.hand ?? {};
    this.hand = null;
    if (value === undefined) this.show();
    else this.change(index, value);
  }

  clicked(event) {
    const index = this.indexOf(event.target);
    if (index !== undefined && event.target !== this.field && !this.moved) this.open(index);
  }

  keyed(event) {
    if (event.isComposing || event.target === this.field || event.metaKey) return;
    const { key, altKey, ctrlKey, shiftKey } = event;
    const index = this.indexOf(event.target);
    if (index === undefined || !this.does(index, key, { altKey, ctrlKey, shiftKey })) return;
    event.preventDefault();
    event.stopPropagation(); // the page has shortcuts of its own
  }

  // Does what a key does on a cell; whether it does anything.
  does(index, key, { altKey, ctrlKey, shiftKey }) {
    const first = index - this.column(index); // of its row
    const ways = altKey ? { ArrowUp: 1, ArrowDown: -1 } : { PageUp: 1, PageDown: -1 };
    const nudge = ways[key];
    if (nudge) this.nudge(index, nudge, shiftKey);
    else if (altKey) return false;
    else if (key === "Home") this.focus(ctrlKey ? 0 : first);
    else if (key === "End") this.focus((ctrlKey ? this.cells.length : first + this.columns) - 1);
    else if (ctrlKey) return false;
    else if (key === "ArrowLeft") this.column(index) && this.focus(index - 1);
    else if (key === "ArrowRight") (index + 1) % this.columns && this.focus(index + 1);
    else if (key === "ArrowUp") this.focus(index - this.columns);
    else if (key === "ArrowDown") this.focus(index + this.columns);
    else if (key === "Enter" || key === "F2") this.open(index);
    else if (key === "Delete" || key === "Backspace") this.putBack(index);
    else if (key === "Escape" && this.hand) this.putBackDragged();
    else if (/^[-−+.\d]$/.test(key)) this.open(index, key);
    else return false;
    return true;
  }

  nudge(index, way, finely) {
    const now = this.value(index);
    const size = step(now) * (finely ? 1 : 10);
    const value = rounded(now + way * size, size / 100);
    if (!Number.isFinite(value)) return;
    this.change(index, value);
    this.told.textContent = brief(value);
  }

  putBack(index) {
    if (this.isMarked(index)) this.change(index, null);
  }

  putBackDragged() {
    const { index, first, value } = this.hand;
    this.hand = null;
    if (value !== undefined) this.change(index, first);
  }

  open(index, text) {
    this.close();
    this.refusal = null;
    const before = text ?? written(this.value(index));
    this.typing = { index, before: text === undefined ? before : undefined };
    this.field.value = before;
    const name = `${this.data.label}: ${this.row(index)}, ${this.column(index)}`;
    set(this.field, { "aria-label": name });
    this.field.classList.toggle("right", this.column(index) >= this.columns / 2);
    this.cells[index].append(this.field);
    this.field.focus();
    if (text === undefined) this.field.select();
    this.show();
  }

  close() {
    if (!this.typing) return;
    this.typing = null; // before the input goes: it loses the focus
    this.field.remove();
  }

  typed(event) {
    event.stopPropagation();
    if (event.isComposing) return;
    const { index } = this.typing;
    if (event.key === "Escape") {
      this.refusal = null;
      this.focus(index);
      this.show();
    } else if (event.key === "Enter" || event.key === "Tab") {
      const next = event.key === "Enter" ? index : index + (event.shiftKey ? -1 : 1);
      event.preventDefault();
      if (this.take()) this.focus(this.cells[next] ? next : index);
      else this.field.select();
    }
  }

  // Takes the number that was typed, or says why it is none; whether it is one.
  take() {
    const { index, before } = this.typing;
    const came = this.field.value.trim();
    const value = came === before ? this.value(index) : read(came);
    const kept = brief(this.value(index));
    if (value === null) {
      const key = came ? "refused" : "emptied";
      this.refusal = { key, index, row: this.row(index), column: this.column(index), came, kept };
      this.show();
    } else if (value !== this.value(index)) this.change(index, value);
    return value !== null;
  }

  focus(index) {
    if (!this.cells[index]) return;
    this.close();
    this.cells[index].focus();
  }

  reached(index) {
    if (index === undefined || index === this.at) return;
    this.cells[this.at].tabIndex = -1;
    this.cells[index].tabIndex = 0;
    this.at = index;
  }

  flush() {
    if (this.flying || !this.wanted.size) return;
    const [[place, message]] = this.wanted;
    this.wanted.delete(place);
    clearTimeout(this.settling);
    this.flying = { place, message, answered: false, since: performance.now() };
    this.number += 1;
    this.send({ ...message, number: this.number });
    const app = document.querySelector(STATE);
    if (app) this.watcher.observe(app, { attributes: true, attributeFilter: ["data-test-script-state"] });
    this.clock ??= setInterval(() => this.checked(), 250);
  }

  // The message under way is done with, or not yet.
  landed() {
    if (!this.flying?.answered) return;
    if (runs() && performance.now() - this.flying.since < LONG) return;
    if (this.data.live && !this.wanted.size && this.hand?.value === undefined)
      this.settling = setTimeout(() => this.settle(), SETTLED);
    this.free();
  }

  free() {
    this.flying = null;
    this.unwatch();
    this.show();
    this.flush();
  }

  checked() {
    if (!this.root.isConnected) return this.stop();
    const { place, message, answered, since } = this.flying;
    if (answered) this.landed();
    else if (isAway()) {
      unsent = new Map([[place, message], ...this.wanted]);
      this.flying.since = performance.now();
    } else if (runs()) this.flying.since = performance.now();
    else if (performance.now() - since > LOST) {
      // once more; a page that fails before it comes to this grid would be run for ever
      if (!this.again && !this.wanted.has(place)) this.wanted.set(place, message);
      this.again = !this.again;
      this.free();
    }
  }

  settle() {
    page.behind.delete("edit");
    settle("edit");
  }

  stop() {
    this.follower.stop();
    this.settle();
    this.unwatch();
  }

  unwatch() {
    this.watcher.disconnect();
    clearInterval(this.clock);
    this.clock = undefined;
  }

  row(index) {
    return Math.floor(index / this.columns);
  }

  column(index) {
    return index % this.columns;
  }

  indexOf(target) {
    const index = this.cells.indexOf(target.closest("[role=gridcell]"));
    return index < 0 ? undefined : index;
  }
}

function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

function numbered(count, role, scope) {
  return Array.from({ length: count }, (_, at) =>
    Object.assign(set(element("th"), { role, scope }), { textContent: at }),
  );
}

function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function element(tag, name = "") {
  const made = document.createElement(tag);
  made.className = name;
  return made;
}
