// One instrument per page, in as many places as Streamlit gives it. It steps by itself; its courier sends
// the position once it rests. The server may have another one meanwhile: what it changes wins.

const EASE_MS = 180; // from one step to the next, at most
const FIELDS = /** @type {const} */ (["t", "unit", "gate", "speed"]);

/**
 * @typedef {{t: number, unit: number, gate: string, speed: number}} Position
 * @typedef {Position & {part: string, answered: number, first: Position}} PositionData from Python;
 *   first: what the address leaves out
 */
// Where keys have a meaning of their own.
const TAKES_KEYS =
  "input, textarea, select, [contenteditable=true], [role=slider], [role=combobox], [role=listbox]," +
  "[role=radiogroup], [role=grid], [role=tablist], [role=menu], [role=dialog], [data-testid=stDataFrame]";

class Instrument {
  constructor() {
    Object.assign(this, { t: 1, unit: 0, gate: "", speed: 1, playing: false, isMean: false });
    /** @type {Partial<Position>} */
    this.agreed = {}; // with the server
    /** @type {Partial<Position>} */
    this.shown = {}; // by the server's cards
    /** @type {Position | undefined} */
    this.first = undefined;
    this.mustSend = false; // whether what is pending was not sent before the page went
    /** @type {Map<HTMLElement, string>} */
    this.places = new Map(); // that Streamlit gave, and the part that each is for
    /** @type {((message: object) => void) | undefined} */
    this.trigger = undefined;
    /** @type {Courier<Position>} */
    this.courier = new Courier({
      send: (position, number) => this.trigger?.({ ...position, number }),
      onFree: () => this.settle(),
    });
    this.strip = new Strip(this);
    this.player = new Player(this);
    this.drawing = new Drawing(this);
    this.gates = new Rows(this, "gates");
    this.states = new Rows(this, "states");
    this.cells = new Cells(this);
    this.figures = new Figures(this);
    this.onKeyDown = this.onKeyDown.bind(this);
    this.onPoint = this.onPoint.bind(this);
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
    page.senders.add(this);
    document.addEventListener("keydown", this.onKeyDown);
    document.addEventListener("pointerover", this.onPoint);
    document.addEventListener("focusin", this.onPoint);
  }

  // Where a part moves on the page, Streamlit may fill its old place once more before it goes.
  moveParts() {
    for (const [place, part] of this.places) {
      const roots = this.roots(part);
      if (!place.isConnected) {
        this.places.delete(place);
        continue;
      }
      this.trigger = triggers.get(place) ?? this.trigger;
      if (roots.length && !roots[0].isConnected) {
        place.append(...roots);
        const bytes = part === "text" && messages.get(place);
        if (bytes && !alike(this.bytes, bytes)) this.take(bytes);
      }
    }
    this.detach();
  }

  // The page was left: the instrument stays as it is, for when the reader comes back.
  detach() {
    if (this.strip.root.isConnected) return;
    this.playing = this.listening = false;
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.mustSend = !this.courier.isIdle; // once the server has run the page anew
    this.abandon();
    this.agreed = { ...this.shown };
    if (!this.mustSend) for (const field of FIELDS) settle(field);
    page.senders.delete(this);
    document.removeEventListener("keydown", this.onKeyDown);
    document.removeEventListener("pointerover", this.onPoint);
    document.removeEventListener("focusin", this.onPoint);
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

  /**
   * Takes the server's position: what differs from the one agreed on was changed there; the rest is the
   * visitor's.
   * @param {PositionData} data
   */
  takePosition(data) {
    this.first = data.first;
    this.courier.answer(data.answered);
    for (const field of FIELDS) {
      // the server may not have read the message in flight
      const isOld = this.courier.inFlight && data[field] === this.shown[field];
      const isPending = page.pending.has(field);
      assign(this.shown, field, data[field]);
      if (this.mustSend && isPending) assign(this.agreed, field, data[field]);
      if (isOld || (isPending && (this.mustSend || !this.courier.isIdle))) continue;
      if (data[field] === this.agreed[field]) continue;
      assign(this.agreed, field, data[field]);
      assign(this, field, data[field]);
      if (field === "t") this.playing = false;
    }
    this.mustSend = false;
    this.settle();
    if (!this.drawnAs) this.draw();
    this.changed({ ease: false });
  }

  draw() {
    if (!this.recording || this.agreed.t === undefined) return;
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

  setSpeed(speed) {
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
    this.easing = still ? 0 : Math.min(EASE_MS, 600 / this.speed);
    this.began = performance.now();
    if (still) this.ease(1);
    this.frame ||= requestAnimationFrame((now) => this.tick(now));
    this.markBehind();
    if (this.playing) this.courier.cancel();
    else this.keepPending();
  }

  // The address has the position at once, the server once it rests.
  keepPending() {
    if (!this.listening) return;
    for (const field of FIELDS) {
      const isChanged = this[field] !== this.agreed[field];
      if (isChanged || page.pending.has(field)) setPending(field, this.written(field));
    }
    if (this.isAgreed) this.courier.cancel();
    else this.courier.debounce(() => this.collect());
    this.settle();
  }

  get isAgreed() {
    return FIELDS.every((field) => this[field] === this.agreed[field]);
  }

  /** @param {typeof FIELDS[number]} field */
  written(field) {
    return this[field] === this.first?.[field] ? "" : String(this[field]);
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
  markBehind() {
    const behind = this.shown.t !== this.t || this.shown.unit !== this.unit;
    document.documentElement.toggleAttribute("data-rnnviz-behind", behind);
  }

  /** Posts the position. */
  collect() {
    if (!this.trigger || !this.listening) return;
    this.courier.cancel();
    if (this.isAgreed) return;
    for (const field of FIELDS) {
      if (this[field] !== this.agreed[field]) setPending(field, this.written(field));
      assign(this.agreed, field, this[field]);
    }
    const { t, unit, gate, speed } = this;
    this.courier.post({ t, unit, gate, speed });
  }

  get isIdle() {
    return this.courier.isIdle;
  }

  /** Forgets what was not answered: it has reached the server otherwise. */
  abandon() {
    this.playing = false;
    this.courier.abandon();
  }

  // What the server has is not pending any more.
  settle() {
    if (!this.courier.isIdle) return;
    for (const field of FIELDS) if (page.pending.has(field) && this[field] === this.shown[field]) settle(field);
  }

  onKeyDown(event) {
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
  onPoint(event) {
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
const triggers = new WeakMap(); // by place, what sends to the server

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
      instrument.trigger = (message) => setTriggerValue("position", message);
      triggers.set(parentElement, instrument.trigger);
      instrument.takePosition(data);
    }
  }
  // Streamlit calls this for an update that a newer one overtook, too.
  return () => setTimeout(() => instrument.moveParts());
}

/**
 * @template {keyof Position} Field
 * @param {Partial<Position>} position
 * @param {Field} field
 * @param {Position[Field]} value
 */
function assign(position, field, value) {
  position[field] = value;
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
