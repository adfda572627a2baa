// The text, one button a character, coloured by the chosen unit's state.

class Strip {
  constructor(instrument) {
    this.instrument = instrument;
    this.note = element("p", "rnnviz-note");
    this.root = element("div", "strip");
    this.root.setAttribute("role", "listbox");
    this.root.addEventListener("click", (event) => {
      const cell = event.target.closest("button");
      if (cell) instrument.go(Number(cell.dataset.step));
    });
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(this.root);
    this.from = 0;
    this.root.addEventListener("scroll", () => (this.from = this.root.scrollTop), { passive: true });
    this.cells = [];
    this.frame = element("div", "frame");
  }

  draw() {
    const { recording } = this.instrument;
    const { characters, odd } = recording;
    const ends = new Set(recording.breaks);
    const parts = [];
    this.root.classList.toggle("small", characters.length > 240);
    this.root.classList.toggle("plain", Boolean(recording.plain));
    this.root.style.setProperty("--steps", characters.length);
    this.root.setAttribute("aria-label", recording.label ?? recording.say("strip.label"));
    this.cells = characters.map((character, i) => {
      const cell = element("button", odd.has(i) ? "unknown" : "", { type: "button", tabIndex: -1 });
      cell.textContent = recording.plain ? "" : character;
      cell.title = recording.say(odd.has(i) ? "strip.unknown" : "strip.step", { t: i + 1, character });
      cell.setAttribute("role", "option");
      cell.setAttribute("aria-label", cell.title);
      cell.dataset.step = i + 1;
      parts.push(cell);
      if (ends.has(i)) parts.push(element("span", "break"));
      return cell;
    });
    this.root.replaceChildren(...parts, this.frame);
    this.now = this.places = this.seen = this.tall = undefined;
    this.colour();
  }

  colour() {
    const { recording, unit } = this.instrument;
    const row = recording.rows.find((row) => row.kind === "states");
    const coloured = { state: row.label, unit };
    this.note.textContent = recording.note ?? recording.say("strip.coloured", coloured);
    const values = this.cells.map((_, i) => recording.at(row.name, i + 1, unit));
    const scale = recording.cell ? { signed: true, most: Math.max(1, ...values.map(Math.abs)) } : row;
    this.cells.forEach((cell, i) => {
      cell.style.background = recording.colour(scale, values[i]);
      cell.style.color = recording.ink(scale, values[i]);
    });
  }

  mark() {
    const now = this.cells[this.instrument.t - 1];
    if (!now || now === this.now) return;
    const focused = this.now && this.now === document.activeElement;
    if (this.now) {
      this.now.classList.remove("now");
      this.now.tabIndex = -1;
      this.now.setAttribute("aria-selected", "false");
    }
    this.now = now;
    now.classList.add("now");
    now.tabIndex = 0;
    now.setAttribute("aria-selected", "true");
    if (focused) now.focus({ preventScroll: true });
    this.reveal();
  }

  // The frame around the character moves by itself: to paint it on the button would paint them all
  // anew. Places are measured once, for to ask at every step would lay out the page at every step.
  reveal() {
    this.places ??= this.cells.map((cell) => [cell.offsetLeft, cell.offsetTop, cell.offsetWidth]);
    this.seen ??= this.root.clientHeight;
    this.tall ??= this.cells[0].offsetHeight;
    const [left, top, width] = this.places[this.instrument.t - 1];
    Object.assign(this.frame.style, { width: `${width}px`, height: `${this.tall}px` });
    this.frame.style.transform = `translate(${left}px, ${top}px)`;
    if (top < this.from || top + this.tall > this.from + this.seen)
      this.root.scrollTop = this.from = Math.max(0, top - this.seen / 2);
  }

  resized() {
    this.places = this.seen = this.tall = undefined;
    if (this.now && this.root.clientWidth) this.reveal();
  }
}
