/** Functions that take a model, and its methods and those of a cache and a conversation. */

import type { KvCache } from '../../src/inference/kv-cache.js'
import type { Model } from '../../src/inference/model.js'
import { at, job, type Row, rule, write } from './row.js'
import {
  call,
  count,
  flag,
  list,
  name,
  needed,
  nothing,
  number,
  optional,
  options,
  path,
  paths,
  positive,
  ratio,
  text,
} from './wrong.js'

const ids = Int32Array.of(1, 2, 3)

const prompts = { repeatWholeIds: [1], repeatPartIds: [2], postfixIds: [3] }

const sample = { data: 'own', index: 0, context: 'My name is Kim.', queries: ['Who?'], answers: ['Kim'] }

/** @param model nano; @param kv a cache of it */
export function modelRows(model: Model, kv: KvCache): Record<string, Row> {
  const chunks = [{ start: 0, end: 3, ids }]
  const scoring = { prefixIds: ids, contextIds: ids, chunks, sweep: 'full' }
  const evaluation = {
    ...{ data: ['own.jsonl'], levels: ['pair'], ratios: [0.5], scores: [], draws: 1, kind: 'retain' },
    ...{ sweep: 'full', chunkSize: 2000, rule: 'exact', sink: 8, recent: 8, out: at('results') },
  }
  const answering = { ...job, kv: nothing }
  return {
    scoredLayers: { good: [model.description.spec], takes: [needed], fields: { 0: { layers: nothing } } },
    evaluate: {
      good: [model, evaluation],
      takes: [nothing, needed],
      fields: {
        1: {
          ...{ ...job, ...write, data: paths, levels: nothing, ratios: ['a list of numbers'], scores: list },
          ...{
            draws: positive,
            kind: nothing,
            sweep: nothing,
            chunkSize: positive,
            rule: nothing,
            sink: count,
          },
          ...{ recent: positive, out: path, num: optional(positive), maxContext: optional(positive) },
          ...{ maxDataBytes: optional(positive) },
          ...{ shard: rule, template: rule, onSample: optional(call), fetch: optional(call) },
        },
      },
    },
    profileSample: {
      good: [model, sample, { level: 'pair', ratio: 0.5 }],
      takes: [nothing, needed, needed],
      fields: {
        1: {
          data: text,
          index: count,
          context: name,
          queries: [...paths, ...list],
          answers: [...paths, ...list],
        },
        2: {
          ...{
            ...job,
            level: nothing,
            ratio,
            rule,
            sink: [...count, 'undefined'],
            recent: optional(positive),
          },
          ...{ sweep: rule, questions: optional(positive), onStep: optional(call) },
        },
      },
    },
    budgetOfCache: { good: [kv], takes: [needed] },
    Conversation: { good: [model, kv], takes: [nothing, nothing] },
    KvCache: { good: [undefined], takes: [nothing] },
    reconstructionInputs: {
      good: [ids, { prompts }],
      takes: [nothing, needed],
      fields: { 1: { prompts: needed, chunkSize: optional(positive) } },
    },
    scoreHeads: {
      good: [model, { context: 'My name is Kim.' }],
      takes: [nothing, ['an object']],
      fields: {
        1: {
          ...{
            ...job,
            data: optional(path),
            index: optional(count),
            context: optional(text),
            sweep: rule,
            method: rule,
          },
          ...{
            chunkSize: optional(positive),
            chunks: rule,
            needle: ['undefined', 'an object'],
            pairs: optional(flag),
          },
          ...{
            untilStable: rule,
            maxContext: optional(positive),
            maxDataBytes: optional(positive),
            fetch: optional(call),
          },
        },
      },
    },
    scoreUntilStable: {
      good: [model, scoring, { spearman: 0.99 }],
      takes: [nothing, needed, needed],
      fields: {
        1: { ...job, prefixIds: nothing, contextIds: nothing, chunks: nothing, sweep: nothing, method: rule },
        2: { spearman: number, ratio: optional(ratio), patience: optional(positive) },
      },
    },
    serve: {
      good: [model, { port: 0 }],
      takes: [nothing, options],
      fields: {
        1: {
          ...{
            host: optional(name),
            port: optional(count),
            allowedHosts: [...paths, ...list, 'undefined'],
            eviction: options,
          },
          ...{
            apiKey: optional(name),
            cacheBytes: optional(positive),
            caches: [...paths, ...list, 'undefined'],
          },
          ...{
            cacheDir: optional(path),
            cacheDirBytes: optional(positive),
            maxNewTokens: optional(positive),
          },
          ...{ maxWaiting: optional(positive), maxRequestBytes: optional(positive), log: optional(flag) },
          ...{ drainSeconds: ['undefined', 'Infinity', 'zero', 'one', 'a fraction'], onNote: optional(call) },
        },
      },
    },
    verifyModel: {
      good: [model, {}],
      takes: [nothing, options],
      fields: {
        1: {
          cases: optional(path),
          tolerances: ['undefined', 'an object'],
          onCase: optional(call),
          signal: rule,
        },
      },
    },
    'model.positionsFor': { good: [100], takes: [count] },
    'model.contextIds': { good: ['text'], takes: [name, rule] },
    'model.textIds': { good: ['text'], takes: [text, rule] },
    'model.prefill': {
      good: ['text', {}],
      takes: [name, options],
      fields: {
        1: {
          ...{ ...job, level: rule, ratio: optional(ratio), rule, kind: rule, sweep: rule },
          ...{ sink: [...count, 'undefined'], recent: optional(positive), prefillChunk: optional(positive) },
        },
      },
    },
    'model.prefillIds': {
      good: [ids, ids, {}],
      takes: [nothing, nothing, options],
      fields: { 2: { chunks: ['undefined', 'no list'], scores: optional(path) } },
    },
    'model.generate': {
      good: ['Who?', { kv }],
      takes: [name, needed],
      fields: { 1: { ...answering, maxNewTokens: optional(positive), onText: optional(call) } },
    },
    'model.generateIds': { good: [ids, { kv }], takes: [nothing, needed], fields: { 1: answering } },
    'model.stream': {
      good: ['Who?', { kv }],
      takes: [name, needed],
      fields: { 1: { kv: nothing, signal: rule } },
    },
    'model.generateBatch': {
      good: [['Who?'], { kv }],
      takes: [[...paths, ...list], needed],
      fields: { 1: answering },
    },
    'model.logProbs': {
      good: ['Who?', 'Kim', { kv }],
      takes: [name, name, needed],
      fields: { 2: answering },
    },
    'model.logProbsIds': {
      good: [ids, ids, { kv }],
      takes: [nothing, nothing, needed],
      fields: { 2: answering },
    },
    'model.restore': { good: ['a.kv', {}], takes: [path, options], fields: { 1: job } },
    'model.scoreChunks': {
      good: [kv, scoring, chunks, {}],
      takes: [nothing, needed, list, options],
      fields: { 1: { prefixIds: nothing, contextIds: nothing, sweep: nothing, method: rule }, 3: job },
    },
    'model.scorePairs': {
      good: [scoring],
      takes: [needed],
      fields: {
        0: {
          ...job,
          prefixIds: nothing,
          chunks: nothing,
          sweep: nothing,
          before: optional(count),
          pairs: optional(flag),
        },
      },
    },
    'model.copyRate': { good: [], takes: [] },
    'model.checkWeights': { good: [], takes: [] },
    'model.means': { good: [ids, {}], takes: [nothing, options], fields: { 1: job } },
    'model.close': { good: [], takes: [] },
    'kv.prune': {
      good: [{ level: 'pair', ratio: 0.5 }],
      takes: [needed],
      fields: {
        0: { level: nothing, ratio, rule, sink: [...count, 'undefined'], recent: optional(positive) },
      },
    },
    'kv.pruneHeads': { good: [new Uint8Array(24)], takes: [nothing] },
    'kv.prunePairs': { good: [new Uint8Array(24)], takes: [nothing] },
    'kv.clone': { good: [], takes: [] },
    'kv.save': { good: [at('a.kv'), {}], takes: [path, options], fields: { 1: { ...job, ...write } } },
    'kv.close': { good: [], takes: [] },
    'conversation.ask': { good: ['Who?', {}], takes: [name, options], fields: { 1: job } },
    'conversation.reset': { good: [], takes: [] },
    'conversation.close': { good: [], takes: [] },
  }
}
