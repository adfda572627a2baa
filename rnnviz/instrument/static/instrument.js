// One instrument a page, in as many places as Streamlit gives it. It steps by itself; the server is
// told where it has come to rest, one message at a time, and may say something else meanwhile.

const REST = 150; // milliseconds without a change until the server is told
const LOST = 4000; // milliseconds until a message counts as lost
const EASE = 180; // milliseconds from one step to the next, at most
const FIELDS = ["t", "unit", "gate", "speed"];
// Where keys have a meaning of their own.
const TAKES_KEYS =
  "input, textarea, select, [contenteditable=true], [role=slider], [role=combobox], [role=listbox]," +
  "[role=radiogroup], [role=grid], [role=tablist], [role=menu], [role=dialog], [data-testid=stDataFrame]";

class Instrument {
  constructor() {
    Object.assign(this, { t: 1, unit: 0, gate: "", speed: 1, playing: false, isMean: false });
    this.told = {}; // what the server and this agree on
    this.seen = {}; // what the server's cards show
    this.places = new Map(); // that Streamlit gave, and the part that each is for
    this.number = 0; // of the last message
    this.flying = false;
    this.strip = new Strip(this);
    this.player = new Player(this);
    this.drawing = new Drawing(this);
    this.gates = new Rows(this, "gates");
    this.states = new Rows(this, "states");
    this.cells = new Cells(this);
    this.figures = new Figures(this);
    this.keyed = this.keyed.bind(this);
    this.pointed = this.pointed.bind(this);
  }

  // An input of no network in particular has a strip and a player alone.
  get parts() {
    const always = [this.strip, this.player, this.cells];
    return this.recording?.cell ? [...always, this.drawing, this.gates, this.states] : always;
  }

  roots(part) {
    if (part === "text") return [this.strip.note, this.strip.root, this.player.root];
    return part === "step" ? [] : [this[part].root];
  }

  attach(part, parent) {
    parent.classList.add("rnnviz-instrument");
    const roots = this.roots(part);
    if (roots.length && roots[0].parentElement !== parent) parent.append(...roots);
    this.places.delete(parent); // the newest stands last
    this.places.set(parent, part);
    if (this.listening) return;
    this.listening = true;
    document.addEventListener("keydown", this.keyed);
    document.addEventListener("pointerover", this.pointed);
    document.addEventListener("focusin", this.pointed);
  }

  // Where a part moves on the page, Streamlit may fill its old place once more before it goes.
  left() {
    for (const [place, part] of this.places) {
      const roots = this.roots(part);
      if (!place.isConnected) {
        this.places.delete(place);
        continue;
      }
      this.send = senders.get(place) ?? this.send;
      if (roots.length && !roots[0].isConnected) {
        place.append(...roots);
        const bytes = part === "text" && messages.get(place);
        if (bytes && !alike(this.bytes, bytes)) this.take(bytes);
      }
    }
    this.leave();
  }

  // The page was left: what is on it stays as it is, for when the reader comes back.
  leave() {
    if (this.strip.root.isConnected) return;
    this.playing = this.listening = false;
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    clearTimeout(this.timer);
    clearTimeout(this.lost);
    if (this.flying) this.told = { ...this.seen }; // it is told again if it did not arrive
    this.flying = false;
    document.removeEventListener("keydown", this.keyed);
    document.removeEventListener("pointerover", this.pointed);
    document.removeEventListener("focusin", this.pointed);
    document.documentElement.removeAttribute("data-rnnviz-behind");
    this.figures.stop();
  }

  take(bytes) {
    this.bytes = bytes;
    this.record(bytes);
    this.figures.follow();
  }

  record(bytes) {
    const recording = new Recording(bytes);
    const before = this.recording;
    this.recording = recording;
    // another language or theme leaves it playing
    if (before?.version !== recording.version || before.steps !== recording.steps) this.playing = false;
    const { colours } = recording;
    // on the parts and not on the page, which outlives them
    for (const { style } of this.parts.map((part) => part.root)) {
      style.setProperty("--rnnviz-ink", colours.ink);
      for (const name of ["gate", "signed"]) style.setProperty(`--rnnviz-scale-${name}`, colours[name].join(", "));
    }
    this.draw();
  }

  // What differs from what both agreed on is the server's wish; all else is the visitor's.
  position(data) {
    if (data.answered === this.number) {
      this.flying = false;
      clearTimeout(this.lost);
    } else if (!this.flying) this.number = data.answered;
    for (const field of FIELDS) {
      // the server may not have read, or have lost, what is under way
      const known = this.flying && data[field] === this.seen[field];
      this.seen[field] = data[field];
      if (known || data[field] === this.told[field]) continue;
      this.told[field] = this[field] = data[field];
      if (field === "t") this.playing = false;
    }
    if (!this.drawnAs) this.draw();
    this.changed({ ease: false });
  }

  draw() {
    if (!this.recording || this.told.t === undefined) return;
    this.drawnAs = this.recording;
    this.keepWithin();
    for (const part of this.parts) part.draw();
    this.figures.follow();
    this.changed({ ease: false });
  }

  keepWithin() {
    this.t = Math.max(1, Math.min(this.recording.steps, this.t));
    if (!this.recording.units.includes(this.unit)) this.unit = this.recording.units[0];
  }

  // What the visitor does

  go(t, unit = this.unit) {
    if (!this.recording || !Number.isFinite(t)) return;
    this.playing = false;
    this.t = t;
    this.unit = unit;
    this.changed();
  }

  look(unit) {
    this.unit = unit;
    this.changed();
  }

  choose(gate) {
    this.gate = gate;
    this.changed();
  }

  hurry(speed) {
    this.speed = speed;
    this.changed();
  }

  average(isMean) {
    this.isMean = isMean;
    this.changed();
  }

  toggle() {
    if (!this.recording) return;
    this.playing = !this.playing;
    if (this.playing && this.t === this.recording.steps) this.t = 1;
    this.since = performance.now();
    this.changed();
  }

  // From here to the next frame, and from there to rest

  changed({ ease = true } = {}) {
    if (!this.drawnAs) return;
    this.keepWithin();
    if (this.strip.unit !== this.unit) {
      this.strip.unit = this.unit;
      this.strip.colour();
    }
    for (const part of this.parts) part.mark();
    this.figures.mark();
    const still = !ease || matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.easing = still ? 0 : Math.min(EASE, 600 / this.speed);
    this.began = performance.now();
    if (still) this.ease(1);
    this.frame ||= requestAnimationFrame((now) => this.tick(now));
    this.behind();
    clearTimeout(this.timer);
    if (!this.playing) this.timer = setTimeout(() => this.tell(), REST);
  }

  tick(now) {
    this.frame = 0;
    if (!this.strip.root.isConnected) return;
    const between = 1000 / this.speed;
    if (this.playing && now - this.since >= between) {
      // one step a frame: after a pause, as in another tab, it goes on from where it was
      this.since = now - this.since < 2 * between ? this.since + between : now;
      this.t += 1;
      if (this.t >= this.recording.steps) this.playing = false;
      this.changed();
    }
    const share = this.easing ? Math.max(0, Math.min(1, (now - this.began) / this.easing)) : 1;
    if (this.easing) this.ease(1 - (1 - share) ** 3);
    if (share === 1) this.easing = 0;
    if (this.playing || this.easing) this.frame ||= requestAnimationFrame((now) => this.tick(now));
  }

  ease(share) {
    this.cells.ease(share);
    if (!this.recording.cell) return;
    this.drawing.ease(share);
    this.gates.ease(share);
    this.states.ease(share);
  }

  // Whether the server's cards show another step or unit than this.
  behind() {
    const behind = this.seen.t !== this.t || this.seen.unit !== this.unit;
    document.documentElement.toggleAttribute("data-rnnviz-behind", behind);
  }

  tell() {
    if (this.playing || this.flying || !this.send || !this.listening) return;
    if (FIELDS.every((field) => this[field] === this.told[field])) return;
    for (const field of FIELDS) this.told[field] = this[field];
    this.number += 1;
    this.flying = true;
    this.send({ ...this.told, number: this.number });
    this.lost = setTimeout(() => this.unanswered(), LOST);
  }

  // Once more if it was lost.
  unanswered() {
    if (runs() || isAway()) {
      this.lost = setTimeout(() => this.unanswered(), LOST);
      return;
    }
    this.flying = false;
    if (this.again === this.number) return;
    this.again = this.number + 1;
    this.told = { ...this.seen };
    this.tell();
  }

  keyed(event) {
    const { key, target } = event;
    if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (!this.drawnAs || !this.strip.root.isConnected) return;
    const own = target.closest?.(".rnnviz-instrument");
    const takes = target.closest?.(TAKES_KEYS);
    if (takes && (!own || takes === this.player.speed)) return;
    const presses = target.closest?.("button, a, summary, label, input[type=checkbox], [role=button]:not(g)");
    const { steps } = this.recording;
    const act = {
      " ": () => this.toggle(),
      ArrowLeft: () => this.go(this.t - 1),
      ArrowRight: () => this.go(this.t + 1),
      Home: () => this.go(1),
      End: () => this.go(steps),
      Escape: () => this.playing && this.toggle(),
    }[key];
    if (!act || (key === " " && presses && !presses.closest(".strip"))) return;
    if (key === " " && event.repeat) return event.preventDefault();
    if (key !== "Escape") event.preventDefault();
    act();
  }

  // The gate under the pointer, or with the focus, is lit wherever it is on the page.
  pointed(event) {
    const gate = gateOf(event.target) ?? gateOf(document.activeElement);
    if (gate === this.lit && event.type === "pointerover") return;
    this.lit = gate;
    for (const part of document.querySelectorAll(".rnnviz-lit")) part.classList.remove("rnnviz-lit");
    if (!gate) return;
    for (const part of document.querySelectorAll(`[data-gate="${CSS.escape(gate)}"]`)) part.classList.add("rnnviz-lit");
  }
}

function gateOf(place) {
  const card = place?.closest?.("[class*=st-key-equation_]")?.querySelector("[data-gate]");
  return (place?.closest?.("[data-gate]") ?? card)?.dataset.gate;
}

let instrument;
const messages = new WeakMap(); // by place, what came there last
const senders = new WeakMap(); // by place, what tells the server

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  instrument ??= new Instrument();
  if (data instanceof Uint8Array && isOfCells(data)) {
    instrument.attach("cells", parentElement);
    if (!messages.has(parentElement) || !alike(messages.get(parentElement), data)) instrument.cells.take(data);
    messages.set(parentElement, data);
    instrument.changed({ ease: false });
  } else if (data instanceof Uint8Array) {
    instrument.attach("text", parentElement);
    const before = messages.get(parentElement);
    messages.set(parentElement, data);
    if (!instrument.recording || !alike(before ?? instrument.bytes, data)) instrument.record(data);
    else instrument.changed({ ease: false });
    instrument.bytes = data;
    instrument.figures.follow();
  } else {
    instrument.attach(data.part, parentElement);
    if (data.part === "drawing" || data.part === "step") {
      instrument.send = (message) => setTriggerValue("told", message);
      senders.set(parentElement, instrument.send);
      instrument.position(data);
    }
  }
  // Streamlit calls this for an update that a newer one overtook, too.
  return () => setTimeout(() => instrument.left());
}

// Whether a message brings several networks' cells, and not an input.
function isOfCells(bytes) {
  return new TextDecoder().decode(bytes.subarray(0, 24)).includes('"cells"');
}

// The same message: its first line holds a digest of all that follows.
function alike(a, b) {
  if (a === b) return true;
  if (a?.length !== b.length) return false;
  for (let i = 0; i < b.length; i++) {
    if (a[i] !== b[i]) return false;
    if (b[i] === 10) return true;
  }
  return true;
}
