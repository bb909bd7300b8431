/** A context that needs more positions than the model has: what helps, in options of the command line, with figures that fit. */

import type { ModelDescription } from './describe.js'

export interface TooLong {
  /** that there are */
  positions: number
  /** tokens of the system prefix */
  prefix: number
  /** tokens of the context */
  context: number
  /** inputs that repeat the context, where it is scored; they stand at the positions behind it */
  chunks: readonly { ids: ArrayLike<number>; start: number; end: number }[]
  /** positions to leave free for a question and its answer */
  spare: number
  /** what --max-context does here, `cuts the middle out` */
  cut: string
}

/** Prompts differ a little in length from one way of cutting chunks to another. */
const slack = 32
/** Chunks below this are more prompt than context. */
const leastChunk = 50

/** `; --max-context 7500 cuts the middle out, or --chunk-size 900 …`; '' when nothing helps */
export function remedies(description: ModelDescription, need: TooLong): string {
  const { context, chunks, cut } = need
  const most = mostContext(need)
  const chunk = mostChunk(need)
  const longest = Math.max(0, ...chunks.map(({ start, end }) => end - start))
  return helpsOf(description, [
    ...(most >= 1 && most < context ? [`--max-context ${most} ${cut}`] : []),
    ...(chunk >= leastChunk && chunk < longest ? [`--chunk-size ${chunk} repeats less at a time`] : []),
  ])
}

/** The same from a caller who has other remedies; what lies with the model itself comes last. */
export function helpsOf(description: ModelDescription, others: readonly string[]): string {
  const yarn = mayScaleRope(description)
    ? ['a rope_scaling of type yarn in its config.json reaches further']
    : []
  const found = [...others, ...yarn]
  return found.length === 0 ? '' : `; ${listed(found)}`
}

function mostContext({ positions, prefix, chunks, spare }: TooLong): number {
  const room = positions - prefix
  if (chunks.length === 0) return rounded(room - spare)
  const chunk = Math.max(...chunks.map(({ start, end }) => end - start))
  const most = room - Math.max(spare, chunk + promptOf(chunks))
  // With less than a chunk, context and repetition are of one length.
  return rounded(most >= chunk ? most : (room - promptOf(chunks)) / 2)
}

function mostChunk({ positions, prefix, context, chunks, spare }: TooLong): number {
  const room = positions - prefix - context
  return chunks.length === 0 || room < spare ? 0 : rounded(room - promptOf(chunks))
}

/** Tokens of a repeating input beside the chunk itself. */
function promptOf(chunks: TooLong['chunks']): number {
  return Math.max(...chunks.map(({ ids, start, end }) => ids.length - (end - start))) + slack
}

/** Of a config that says nothing of it, which a GGUF file's user cannot change. */
function mayScaleRope({ config, longContext, weights }: ModelDescription): boolean {
  if (longContext || weights.some(({ file }) => file.endsWith('.gguf'))) return false
  return !config.section('rope_scaling') && !config.section('rope_parameters')
}

/** Down to a number that is easily typed. */
function rounded(tokens: number): number {
  const step = tokens >= 2000 ? 100 : tokens >= 200 ? 10 : 1
  return Math.floor(tokens / step) * step
}

function listed(parts: readonly string[]): string {
  return parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')}, or ${parts.at(-1)}`
}
