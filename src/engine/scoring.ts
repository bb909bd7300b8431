/** How the engine is asked to score: by what, and how much of the context each chunk's repetition sees. */

export type Sweep = 'full' | 'chunk' | 'block'

/**
 * What a pair's score is the maximum of: the attention it gets while the context is repeated (`kvzip`), or that times
 * the norm of what its value adds to the stream, over the norm of the row that looks at it (`kvzip+`).
 */
export type PairMethod = 'kvzip' | 'kvzip+'
