// The types of the payloads' headers (payload.py, card_payload.py), of an instrument and of its parts.

import type { Explained } from "./explained.js";
import type { Recording } from "./recording.js";

export type RGB = [number, number, number];

// Colours span 0 to most, or −most to most if signed.
export interface Scale {
  signed: boolean;
  most: number;
}

// A displayed array; the row of a signal has no label.
export interface Row extends Scale {
  name: string;
  kind: "gates" | "states";
  gate: string;
  label?: string;
  symbol?: string; // of one of a network's arrays
  beyond?: boolean; // whether some values are outside the scale
}

export interface Colours {
  ink: string;
  muted: string;
  line: string;
  ground: string;
  selected: string;
  gate: string[];
  signed: string[];
  lines: Record<string, string>; // by symbol
}

export interface Header {
  version: string;
  reading?: string; // identifies the network and the text
  steps: number;
  units: number[]; // from the top of the heatmaps
  rows: Row[];
  initial: string[]; // the states whose initial values follow the rows
  output?: boolean; // whether the activation of the cell state follows, (step, unit)
  characters: string[];
  unknown: number[]; // positions of characters that are in no vocabulary
  breaks: number[]; // positions of line ends
  words: Record<string, string>;
  fastest: number; // steps per second
  colours: Colours;
  // of a network
  cell?: string;
  plan?: string; // which drawing
  activations?: Record<string, string>; // of each gate, and of the cell state in h
  letters?: Record<string, string>;
  predictions?: PredictionsData | null; // of a character model
  unitStory?: UnitStory;
  writes?: number; // steps below which it can write on; 0 if it cannot
  // of a signal
  note?: string;
  label?: string;
  plain?: boolean; // colours without characters
  comparedStory?: ComparedStory;
  // of one of several cells
  title?: string;
}

export interface Position {
  t: number; // the step, from 1
  unit: number;
  gate: string; // the selected one
  speed: number; // steps per second
}

// The header of a unit's payload (card_payload.py).
export interface UnitHeader {
  reading: string;
  unit: number;
  gates: string[];
  biases: [input: number, state: number][]; // by gate
  peepholes: Record<string, number>; // weights by gate
  reset_after: boolean;
  equations: EquationTemplate[];
  questions: Record<string, string>; // by gate
  words: Record<string, string>;
}

// An equation as HTML, with slots in square brackets in place of numbers (explain/equations.py).
export interface EquationTemplate {
  name: string;
  label: string;
  symbol: string;
  rule: string;
  numbers: string;
  value: string;
}

// What the sentence on a unit needs (story_payload.py).
export interface UnitStory {
  scores: string[] | null; // by unit: the correlation with the property, "" for none
  most: number | null; // the unit that varies most, if the units are sorted by that
  words: Record<string, string>;
}

// What the sentences on compared networks need; lists are by network, then by step.
export interface ComparedStory {
  names: string[];
  changes: (number | null)[][]; // of the state, in percent
  chances: string[][] | null; // of the next character of a text
  words: Record<string, string>;
}

// The most likely next characters; lists are by step.
export interface PredictionsData {
  names: string[]; // by code
  codes: number[][]; // from the most likely
  shares: string[][]; // "12.3%"
  place: number[]; // of the actual character among the codes; −1 for none
  rank: number[];
  bits: string[];
  words: Record<string, string>;
}

// The sum of a gate, term by term.
export interface Sum {
  input: number;
  units: Float64Array; // the terms of the previous state
  bias: number;
  cell: number; // the peephole's term
  total: number; // as recorded
}

// A bar of a card.
export interface Bar {
  label: string;
  value: number;
  text: string;
  mark?: string; // a word beside the label
}

// The options that a host page gives an instrument.
export interface Host {
  page?: string; // selector of the element in which figures are added and removed
  keyed?: string; // selector of further elements that handle keys themselves
  onChange?: () => void; // called after every change of the position or of playing
  onWrite?: () => void; // called when the network is to write on from the current step
}

// The instrument as a drawing sees it.
export interface CellView {
  recording: Recording;
  t: number; // the step, from 1
  unit: number;
  gate: string; // the selected one
  playing: boolean;
  isMean: boolean; // the mean over all units instead of one unit
  choose(gate: string): void;
  average?(isMean: boolean): void;
}

// The instrument as the other parts see it.
export interface InstrumentView extends CellView {
  current?: Recording; // undefined before the first payload
  speed: number; // steps per second
  explained?: Explained; // the unit that the server explained last, if it read the same text
  go(t: number, unit?: number): void;
  look(unit: number): void;
  setSpeed(speed: number): void;
  toggle(): void;
  write(): void; // has the network write on from here
}

// The value of an array `back` steps before the current step.
export type Value = (name: string, back?: number) => number;

export interface WirePlan {
  d: string;
  of: string; // the array whose colours the wire takes
  flow: (v: Value) => number;
  belt?: boolean; // carries the state through time
}

export interface NumberPlan {
  symbol: string;
  of: string;
  back?: number;
  x: number;
  y: number;
  end?: boolean; // the text ends at x
  middle?: boolean;
}

// The plan of a drawing; every `d` is an SVG path.
export interface Plan {
  view: string;
  wires: WirePlan[];
  feeds: string[];
  peepholes?: string[];
  loop?: string;
  signs: [text: string, x: number, y: number, activation?: string][];
  gates: Record<string, number>; // x by name
  gateTop?: number;
  numbers: NumberPlan[];
  reads: [x: number, y: number]; // the character that is read
  carries: [x: number, y: number]; // a place on the line of the state
}
