/** Functions of scores: formats, files, selection, comparison, pictures. */

import { nanoLike } from '../scores/make.js'
import { at, type Row, rule, write } from './row.js'
import {
  count,
  flag,
  floats,
  name,
  needed,
  nothing,
  number,
  optional,
  options,
  path,
  positive,
  ratio,
  type Takes,
  text,
} from './wrong.js'

const scores = nanoLike('text', 0)

const withPairs = { ...scores, positions: 2, pairs: new Float32Array(48) }

const panels = [{ name: 'text', scores }]

const parts = [0, 1].map((shift) => ({ max: nanoLike('text', shift).max, mean: null, positions: 10 }))

const budget = { unit: 'head', kept: 1, total: 2, asked: 0.5, ratio: 0.5, sparsity: 0.5 }

const shape = { layers: 6, kvHeads: 4 }

const spread = { mean: 1, least: 1, most: 1 }

const steps = [{ parts: 1, spearman: spread, overlap: spread, first: { spearman: 1, overlap: 1 } }]

const rope = { invFreq: new Float32Array(1), scale: 1 }

const means = { queries: new Float32Array(2), keys: new Float32Array(2), rope }

const picture = { ratio, rule, id: optional(name) }

const scoreFields: Record<string, Takes> = {
  layers: nothing,
  kvHeads: nothing,
  layerIds: nothing,
  max: nothing,
  mean: ['null'],
  p99: ['null'],
  positions: ['one'],
  pairs: ['null'],
  provenance: nothing,
}

export const scoreRows: Record<string, Row> = {
  detectFormat: { good: ['a.arrow'], takes: [path] },
  importScores: {
    good: ['a.arrow', {}],
    takes: [path, options],
    fields: {
      1: {
        model: optional(text),
        data: optional(text),
        index: optional(count),
        kvHeads: optional(positive),
        layerIds: rule,
      },
    },
  },
  readAnyScores: { good: ['a.arrow'], takes: [path] },
  exportDuo: {
    good: [scores, at('duo'), {}],
    takes: [needed, path, options],
    fields: {
      0: scoreFields,
      2: { ...write, sink: optional(positive), recent: optional(positive), ties: rule },
    },
  },
  importDuo: { good: ['duo'], takes: [path] },
  exportScores: {
    good: [scores, 'csv', at('a.csv'), {}],
    takes: [needed, nothing, path, options],
    fields: { 0: scoreFields, 3: { ...write, ratio: optional(ratio), queryHeads: optional(positive) } },
  },
  exportKvzip: {
    good: [scores, at('a.pt'), {}],
    takes: [needed, path, options],
    fields: { 0: scoreFields, 2: { ...write, dtype: rule } },
  },
  importKvzip: { good: ['a.pt'], takes: [path] },
  readScores: { good: ['a.arrow'], takes: [path] },
  writeScores: {
    good: [at('a.arrow'), scores, {}],
    takes: [path, needed, options],
    fields: { 1: scoreFields, 2: write },
  },
  budget: {
    good: [{ kept: 1, total: 2, ratio: 0.5, sink: 1, recent: 1, tokens: 10 }],
    takes: [needed],
    fields: {
      0: {
        unit: rule,
        kept: count,
        total: count,
        ratio: number,
        sink: count,
        recent: count,
        tokens: ['null', 'one'],
      },
    },
  },
  budgetOf: {
    good: [scores, { ratio: 0.6 }],
    takes: [needed, needed],
    fields: {
      0: scoreFields,
      1: { ratio, rule, sink: optional(count), tokens: ['undefined', 'null', 'one'] },
    },
  },
  formatBudget: {
    good: [{ ...budget, compressionRatio: null, effectiveKv: null, sink: 1, recent: 1, tokens: null }],
    takes: [needed],
    fields: {
      0: {
        unit: text,
        kept: count,
        ratio: number,
        effectiveKv: ['null', ...number],
        tokens: ['null', ...count],
      },
    },
  },
  compareScores: {
    good: [scores, scores, {}],
    takes: [needed, needed, options],
    fields: { 0: scoreFields, 2: { ratio: optional(ratio), rule } },
  },
  kendall: {
    good: [
      [1, 2],
      [2, 1],
    ],
    takes: Array(2).fill(['a list of numbers', ...floats]) as Takes[],
  },
  spearman: {
    good: [
      [1, 2],
      [2, 1],
    ],
    takes: Array(2).fill(['a list of numbers', ...floats]) as Takes[],
  },
  topShareOverlap: { good: [scores, scores, 0.5], takes: [needed, needed, ratio] },
  mergeScores: { good: [[scores]], takes: [nothing] },
  randomHeads: {
    good: [shape, 0.5, 1],
    takes: [needed, ratio, ['a negative number', ...count]],
    fields: { 0: { layers: positive, kvHeads: positive } },
  },
  selectHeads: {
    good: [scores, { ratio: 0.5 }],
    takes: [needed, needed],
    fields: { 0: { max: floats, mean: ['null', 'undefined'] }, 1: { ratio, rule } },
  },
  selectPairs: {
    good: [new Float32Array(48), { ...shape, positions: 2 }, { ratio: 0.5 }],
    takes: [nothing, needed, needed],
    fields: {
      1: { layers: positive, kvHeads: positive, positions: positive },
      2: { ratio, rule, uniform: optional(flag) },
    },
  },
  chunkParts: { good: [withPairs, 1], takes: [needed, positive] },
  confidenceBands: {
    good: [parts, {}],
    takes: [nothing, options],
    fields: {
      1: {
        ratio: optional(ratio),
        draws: optional(positive),
        seed: ['undefined', 'a negative number', ...count],
      },
    },
  },
  convergence: {
    good: [parts, {}],
    takes: [nothing, options],
    fields: { 1: { ratio: optional(ratio), orders: optional(positive) } },
  },
  mergeParts: { good: [parts], takes: [nothing] },
  duoEstimate: {
    good: [means, { heads: 1, kvHeads: 1, headDim: 2 }, 10],
    takes: [needed, needed, optional(positive)],
    fields: {
      0: { queries: floats, keys: floats, rope: needed },
      1: { heads: positive, kvHeads: positive, headDim: positive },
    },
  },
  differenceMap: {
    good: [panels[0], panels[0], { ratio: 0.6 }],
    takes: [needed, needed, needed],
    fields: { 0: { name: text, scores: needed }, 2: { ...picture, interactive: optional(flag) } },
  },
  heatmap: {
    good: [panels, { ratio: 0.6 }],
    takes: [nothing, needed],
    fields: { 1: { ...picture, title: optional(text), heading: optional(flag) } },
  },
  reportPage: { good: [panels, { ratio: 0.6 }], takes: [nothing, needed], fields: { 1: { ratio, rule } } },
  panelsOf: { good: [[scores]], takes: [nothing, optional(nothing)] },
  pictures: { good: [panels, { ratio: 0.6 }], takes: [nothing, needed], fields: { 1: { ratio, rule } } },
  renderPng: { good: ['<svg/>', 2], takes: [name, optional(['one', 'a fraction'])] },
  layerProfile: { good: [panels, { ratio: 0.6 }], takes: [nothing, needed], fields: { 1: picture } },
  writeReport: {
    good: [[scores], at('report'), {}],
    takes: [nothing, path, options],
    fields: { 2: { ...write, ratio: optional(ratio), rule, pictures: optional(flag), against: rule } },
  },
  agreementScatter: {
    good: [panels[0], panels[0], { ratio: 0.6 }],
    takes: [needed, needed, needed],
    fields: { 2: picture },
  },
  stabilityCurve: {
    good: [steps, { parts: 'samples', title: 'nano', ratio: 0.6 }],
    takes: [nothing, needed],
    fields: { 1: { parts: text, title: text, ratio, first: optional(text), id: optional(name) } },
  },
  budgetTable: {
    good: [scores, {}],
    takes: [needed, options],
    fields: { 1: { ratios: ['undefined', 'a list of numbers'], id: optional(name), rule } },
  },
  provenanceBlock: { good: [scores, 'id'], takes: [needed, optional(name)] },
}
