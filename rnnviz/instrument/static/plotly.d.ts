// The part of Plotly.js that the scripts use: its functions, and the fields of a figure (versions 3
// and 4; names with an underscore are internal to Plotly).

export type Values = ArrayLike<unknown>;

// An array in JSON: base64, or plain.
export interface Packed {
  bdata: string;
  dtype: string;
  shape?: string;
}

export type PackedValues = Packed | (unknown[] & { bdata?: undefined; dtype?: undefined });

export interface Trace {
  type?: string;
  name?: string;
  meta?: string;
  uid?: string;
  visible?: boolean | "legendonly";
  [numbers: string]: unknown;
}

export type Range = unknown[];

export interface LayoutAxis {
  range?: Range | null;
  autorange?: boolean | string;
  [name: string]: unknown;
}

// A layout's axes are under the keys xaxis, yaxis2, ...
export type Layout = Record<string, LayoutAxis | undefined> & {
  uirevision?: unknown;
  transition?: unknown;
};

export interface Figure {
  data: Trace[];
  layout: Layout;
}

export interface FullAxis {
  _id: string;
  _offset: number;
  _length: number;
  _categories?: unknown[];
  _rangeInitial0?: unknown;
  _rangeInitial1?: unknown;
  _autorangeInitial?: boolean | string;
  type: string;
  title?: { text?: string };
  l2p(value: number): number;
}

export type Calculated = { t?: object; trace?: FullTrace }[];

export interface FullTrace {
  type: string;
  name: string;
  visible?: boolean | "legendonly";
  xaxis: string;
  yaxis: string;
  x: Values;
  y: Values;
  zauto?: boolean;
  coloraxis?: string;
  stackgroup?: string;
  _module: { calc(plot: Plot, trace: FullTrace): Calculated };
  [numbers: string]: unknown;
}

export interface FullLayout {
  xaxis?: FullAxis;
  meta?: { time?: string[]; least_width?: number };
  legend?: { _height: number };
  _plots?: Record<string, { xaxis: FullAxis; yaxis: FullAxis }>;
  _basePlotModules: { plot(plot: Plot): void }[];
  [axis: `${"x" | "y"}axis${number}`]: FullAxis | undefined;
}

export interface Point {
  curveNumber: number;
  x: unknown;
  y: unknown;
  customdata?: unknown;
  data: Trace;
}

export interface Click {
  points: Point[];
}

// The element of a drawn figure.
export interface Plot extends HTMLElement {
  data: Trace[];
  layout: Layout;
  calcdata?: Calculated[];
  _fullData: FullTrace[];
  _fullLayout: FullLayout;
  on(name: "plotly_click", listener: (event: Click) => void): void;
  on(name: string, listener: (change: Record<string, unknown>) => void): void;
  emit(name: string): void;
}

export interface Plotly {
  react(plot: HTMLElement, figure: object): Promise<unknown>;
  relayout(plot: HTMLElement, layout: object): Promise<unknown>;
  update(plot: HTMLElement, traces: object, layout: object, indices: number[]): Promise<unknown>;
  purge(plot: HTMLElement): void;
  downloadImage(plot: HTMLElement, image: object): Promise<unknown>;
}

declare global {
  interface Window {
    Plotly?: Plotly;
  }
}
