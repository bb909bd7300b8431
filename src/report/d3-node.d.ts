/**
 * The part of d3-node 4 and of the d3 it brings that is used here. d3-node ships no types, and those of d3 need the
 * browser's, which would let browser globals type-check everywhere in this package.
 */
declare module 'd3-node' {
  export interface Selection {
    append(name: string): Selection
    attr(name: string, value: string | number): Selection
    text(value: string): Selection
  }
  export interface LinearScale {
    (value: number): number
    ticks(count: number): number[]
  }
  export interface D3 {
    scaleLinear(domain: [number, number], range: [number, number]): LinearScale
    /** 0..1 -> `#rrggbb`: perceptually uniform, readable by colour-blind people and in grey */
    interpolateViridis(at: number): string
    /** 0..1 -> purple over near-white to orange, told apart by colour-blind people */
    interpolatePuOr(at: number): string
    hcl(colour: string): { l: number }
    line(): (points: [number, number][]) => string | null
  }

  export class D3Node {
    constructor(options?: { container?: string })
    readonly d3: D3
    /** An `<svg>` in an otherwise empty document. */
    createSVG(width: number, height: number): Selection
    svgString(): string
  }
}
