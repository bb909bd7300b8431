/**
 * A tiny Llama in double precision and plain loops, one pass over a whole sequence, with any mask: what caches of every
 * kind are held against. Shares no code with the engine.
 */

import type { TinyShape } from '../engine/tiny.js'

/** May the query at position `q` see the key at position `k` <= q? */
export type Visible = (layer: number, kvHead: number, q: number, k: number) => boolean

export class Reference {
  private readonly tensors = new Map<string, Float64Array>()

  constructor(private readonly shape: TinyShape) {}

  /** Passed to writeTinyModel as its `edit`: takes the weights and changes none. */
  readonly take = (name: string, values: Float32Array): void => {
    this.tensors.set(name, Float64Array.from(values))
  }

  /** @returns (ids, vocab) logits */
  logits(ids: ArrayLike<number>, visible: Visible): Float64Array[] {
    const { shape } = this
    const embed = this.weight('model.embed_tokens.weight')
    let rows: Float64Array[] = Array.from(ids, (id) =>
      embed.slice(id * shape.hidden, (id + 1) * shape.hidden),
    )
    for (let layer = 0; layer < shape.layers; layer++) rows = this.layer(layer, rows, visible)
    return rows.map((row) => this.linear('lm_head.weight', this.norm('model.norm.weight', row)))
  }

  private layer(layer: number, rows: Float64Array[], visible: Visible): Float64Array[] {
    const { heads, kvHeads, headDim } = this.shape
    const at = `model.layers.${layer}.`
    const normed = rows.map((row) => this.norm(`${at}input_layernorm.weight`, row))
    const project = (name: string): Float64Array[] =>
      normed.map((row) => this.linear(`${at}self_attn.${name}_proj.weight`, row))
    const q = project('q').map((row, position) => rotate(row, headDim, position))
    const k = project('k').map((row, position) => rotate(row, headDim, position))
    const v = project('v')
    return rows.map((row, position) => {
      const attended = new Float64Array(heads * headDim)
      for (let head = 0; head < heads; head++) {
        const kvHead = Math.floor(head / (heads / kvHeads))
        const keys: number[] = []
        for (let key = 0; key <= position; key++) if (visible(layer, kvHead, position, key)) keys.push(key)
        const query = q[position]!.subarray(head * headDim, (head + 1) * headDim)
        const part = (of: Float64Array): Float64Array => of.subarray(kvHead * headDim, (kvHead + 1) * headDim)
        const weights = softmax(keys.map((key) => dot(query, part(k[key]!)) / Math.sqrt(headDim)))
        for (const [i, key] of keys.entries())
          for (let d = 0; d < headDim; d++) attended[head * headDim + d]! += weights[i]! * part(v[key]!)[d]!
      }
      const middle = sum(row, this.linear(`${at}self_attn.o_proj.weight`, attended))
      const h = this.norm(`${at}post_attention_layernorm.weight`, middle)
      const up = this.linear(`${at}mlp.up_proj.weight`, h)
      const gate = this.linear(`${at}mlp.gate_proj.weight`, h).map(
        (x, i) => (x / (1 + Math.exp(-x))) * up[i]!,
      )
      return sum(middle, this.linear(`${at}mlp.down_proj.weight`, gate))
    })
  }

  private norm(name: string, row: Float64Array): Float64Array {
    const weight = this.weight(name)
    const scale = 1 / Math.sqrt(dot(row, row) / row.length + 1e-6)
    return row.map((x, i) => x * scale * weight[i]!)
  }

  private linear(name: string, row: Float64Array): Float64Array {
    const weight = this.weight(name)
    return Float64Array.from({ length: weight.length / row.length }, (_, i) =>
      dot(weight.subarray(i * row.length, (i + 1) * row.length), row),
    )
  }

  private weight(name: string): Float64Array {
    const found = this.tensors.get(name)
    if (!found) throw new Error(`no tensor ${name}`)
    return found
  }
}

function rotate(row: Float64Array, headDim: number, position: number): Float64Array {
  const out = row.slice()
  const half = headDim / 2
  for (let start = 0; start < row.length; start += headDim)
    for (let d = 0; d < half; d++) {
      const angle = position * 10000 ** (-d / half)
      const a = row[start + d]!
      const b = row[start + half + d]!
      out[start + d] = a * Math.cos(angle) - b * Math.sin(angle)
      out[start + half + d] = b * Math.cos(angle) + a * Math.sin(angle)
    }
  return out
}

function softmax(logits: number[]): number[] {
  const peak = Math.max(...logits)
  const powers = logits.map((x) => Math.exp(x - peak))
  const total = powers.reduce((a, b) => a + b, 0)
  return powers.map((x) => x / total)
}

function dot(a: Float64Array, b: Float64Array): number {
  let total = 0
  for (let i = 0; i < a.length; i++) total += a[i]! * b[i]!
  return total
}

function sum(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((x, i) => x + b[i]!)
}
