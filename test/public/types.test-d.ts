/** What callers' types can rely on. Nothing here runs: `tsc`, a part of `npm run lint`, is what passes or fails it. */

import { describe, expectTypeOf, test } from 'vitest'
import * as headzip from '../../src/index.js'

declare const model: headzip.Model
declare const kv: headzip.KvCache
declare const scores: headzip.HeadScores

describe('a model', () => {
  test('is loaded by name, with options whose values may be undefined', () => {
    expectTypeOf(headzip.loadModel('nano')).resolves.toEqualTypeOf<headzip.Model>()
    expectTypeOf<{ device: undefined; threads: undefined }>().toExtend<headzip.LoadOptions>()
    // @ts-expect-error no such device
    headzip.loadModel('nano', { device: 'tpu' })
    expectTypeOf(model.device).toEqualTypeOf<'cpu' | 'cuda'>()
  })

  test('answers a text or token ids from a cache, which must be given', () => {
    expectTypeOf(model.generate('?', { kv })).resolves.toEqualTypeOf<headzip.Generation>()
    expectTypeOf(model.generate(new Int32Array(1), { kv })).resolves.toEqualTypeOf<headzip.Generation>()
    // @ts-expect-error no cache
    model.generate('?', {})
    // @ts-expect-error ids are 32 bits wide
    model.generate(new Float64Array(1), { kv })
    expectTypeOf<headzip.Generation['finishReason']>().toEqualTypeOf<'eos' | 'stop' | 'length' | 'aborted'>()
  })

  test('streams pieces of text and returns the whole answer', () => {
    expectTypeOf(model.stream('?', { kv })).toEqualTypeOf<AsyncGenerator<string, headzip.Generation, void>>()
  })

  test('answers many queries at once, in their order', () => {
    const queries: readonly (string | headzip.BatchQuery)[] = ['a', { query: 'b' }]
    expectTypeOf(model.generateBatch(queries, { kv })).resolves.toEqualTypeOf<headzip.Generation[]>()
  })
})

describe('a cache', () => {
  test('is read once, with scores given as such, as a path or as a file: URL', () => {
    expectTypeOf(model.prefill('text', { scores, ratio: 0.6 })).resolves.toEqualTypeOf<headzip.KvCache>()
    expectTypeOf<string | URL | headzip.HeadScores>().toExtend<headzip.PrefillOptions['scores']>()
    // @ts-expect-error no such kind
    model.prefill('text', { kind: 'keep' })
  })

  test('is pruned at a level and to a ratio, both of which must be given', () => {
    expectTypeOf(kv.prune({ level: 'head', ratio: 0.6 })).toEqualTypeOf<headzip.PruneResult>()
    // @ts-expect-error no level
    kv.prune({ ratio: 0.6 })
    // @ts-expect-error no ratio
    kv.prune({ level: 'head' })
  })
})

describe('head scores', () => {
  test('come from scoring, files and formats alike', () => {
    expectTypeOf(headzip.scoreHeads(model, { context: 'text' })).resolves.toExtend<headzip.HeadScores>()
    expectTypeOf(headzip.readScores(new URL('file:///a'))).resolves.toEqualTypeOf<headzip.HeadScores>()
    expectTypeOf(headzip.readAnyScores('a')).resolves.toEqualTypeOf<headzip.HeadScores>()
    expectTypeOf(headzip.importScores('a')).resolves.toEqualTypeOf<headzip.HeadScores>()
  })

  test('are (layers, kv_heads) of 32-bit floats, the mean unknown in imported files', () => {
    expectTypeOf(scores.max).toEqualTypeOf<Float32Array>()
    expectTypeOf(scores.mean).toEqualTypeOf<Float32Array | null>()
  })

  test('are scored by one of three methods in one of three sweeps', () => {
    expectTypeOf<headzip.ScoreMethod>().toEqualTypeOf<'kvzip' | 'kvzip+' | 'duo-estimate'>()
    expectTypeOf<headzip.Sweep>().toEqualTypeOf<'full' | 'chunk' | 'block'>()
  })

  test('choose heads by one of two rules', () => {
    expectTypeOf(headzip.selectHeads(scores, { ratio: 0.6 })).toEqualTypeOf<headzip.Selection>()
    expectTypeOf<headzip.SelectionRule>().toEqualTypeOf<'exact' | 'published'>()
    // @ts-expect-error no such rule
    headzip.selectHeads(scores, { ratio: 0.6, rule: 'best' })
  })

  test('are exported to formats whose names are known to the compiler', () => {
    expectTypeOf(headzip.formatNames).toEqualTypeOf<headzip.FormatName[]>()
    expectTypeOf<'duo' | 'kvzip' | 'kvpress' | 'sglang'>().toExtend<headzip.FormatName>()
    expectTypeOf<string>().not.toExtend<headzip.FormatName>()
  })
})

describe('an error', () => {
  test('is narrowed to one with a code', () => {
    const error: unknown = undefined
    if (headzip.isUserError(error)) {
      expectTypeOf(error).toExtend<Error>()
      expectTypeOf(error.code).toEqualTypeOf<headzip.ErrorCode>()
    }
    expectTypeOf<'HEADZIP_INPUT' | 'HEADZIP_PARAMETER'>().toExtend<headzip.ErrorCode>()
  })
})
