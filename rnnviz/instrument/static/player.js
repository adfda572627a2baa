// Buttons, the bar to drag, the speed. Where it says st-key-…, that is the name Streamlit itself
// would give to the setting's widget.

const ICONS = {
  first: "M6 5v14M19 5l-9 7 9 7z",
  back: "M17 5l-10 7 10 7z",
  play: "M8 4.5l12 7.5-12 7.5z",
  pause: "M7.5 5h3v14h-3zM13.5 5h3v14h-3z",
  on: "M7 5l10 7-10 7z",
  last: "M18 5v14M5 5l9 7-9 7z",
};

class Player {
  constructor(instrument) {
    this.instrument = instrument;
    const go = {
      first: () => instrument.go(1),
      back: () => instrument.go(instrument.t - 1),
      play: () => instrument.toggle(),
      on: () => instrument.go(instrument.t + 1),
      last: () => instrument.go(instrument.recording.steps),
    };
    this.root = element("div", "player");
    this.root.setAttribute("role", "group");
    this.buttons = Object.fromEntries(
      Object.entries(go).map(([name, act]) => {
        const button = element("button", name, { type: "button" });
        button.dataset.do = name;
        button.append(icon(name));
        button.addEventListener("click", act);
        return [name, button];
      }),
    );
    this.bar = element("input", "", { type: "range", min: 1, step: 1 });
    this.bar.addEventListener("input", () => instrument.go(this.bar.valueAsNumber));
    this.barPlace = element("div", "bar st-key-t");
    this.barPlace.append(this.bar);
    this.count = element("span", "rnnviz-count");
    this.speed = element("select");
    this.speed.addEventListener("change", () => instrument.setSpeed(Number(this.speed.value)));
    this.speedPlace = element("div", "speed st-key-speed");
    this.speedPlace.append(this.speed);
    this.root.append(...Object.values(this.buttons), this.barPlace, this.count, this.speedPlace);
  }

  draw() {
    const { recording } = this.instrument;
    this.root.setAttribute("aria-label", recording.say("instrument.keys"));
    for (const [name, button] of Object.entries(this.buttons)) {
      if (name === "play") continue;
      button.title = recording.say(`player.${name}`);
      button.setAttribute("aria-label", button.title);
    }
    this.bar.max = recording.steps;
    this.bar.setAttribute("aria-label", recording.say("player.t"));
    this.barPlace.hidden = recording.steps < 2;
    this.speed.setAttribute("aria-label", recording.say("instrument.speed"));
    this.speed.title = recording.say("instrument.speed");
    this.speed.replaceChildren(
      ...Array.from({ length: recording.fastest }, (_, i) => {
        const text = recording.say("instrument.steps_a_second", { speed: i + 1 });
        return element("option", "", { value: i + 1, textContent: text });
      }),
    );
    this.playing = undefined;
    this.mark();
  }

  mark() {
    const { recording, t, playing, speed } = this.instrument;
    const { steps } = recording;
    const text = recording.say("player.count", { t, steps });
    if (this.count.textContent !== text) this.count.textContent = text;
    if (this.bar.valueAsNumber !== t) this.bar.value = t;
    this.bar.style.setProperty("--share", steps > 1 ? (t - 1) / (steps - 1) : 0);
    this.bar.setAttribute("aria-valuetext", text);
    if (Number(this.speed.value) !== speed) this.speed.value = speed;
    this.root.classList.toggle("at-first", t === 1);
    this.root.classList.toggle("at-last", t === steps);
    if (this.playing === playing) return;
    this.playing = playing;
    const { play } = this.buttons;
    play.replaceChildren(icon(playing ? "pause" : "play"));
    play.dataset.now = playing ? "playing" : "still";
    const word = recording.say(playing ? "player.pause" : "player.play");
    play.setAttribute("aria-label", word);
    play.title = `${word} · ${recording.say("instrument.keys")}`;
  }
}

function icon(name) {
  const path = drawn("path", { d: ICONS[name] });
  return drawn("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, path);
}
