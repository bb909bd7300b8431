/** Functions of data sets, results and the hub. */

import type { ResultRow, SampleResult } from '../../src/eval/record.js'
import type { SummaryRow } from '../../src/eval/summary.js'
import { at, folder, hub, type Row, rule, settings, write } from './row.js'
import {
  anything,
  call,
  count,
  list,
  name,
  nothing,
  optional,
  options,
  path,
  paths,
  positive,
  text,
} from './wrong.js'

const row: ResultRow = {
  level: 'full',
  scores: '',
  ratio: 1,
  draw: 0,
  question: 0,
  prediction: 'Kim',
  score: 1,
  keptBytes: 10,
  fullBytes: 10,
}

const result = {
  model: 'nano',
  data: 'own',
  index: 0,
  tokens: 10,
  settings: { metric: 'include' },
  references: { answers: ['Kim'] },
  scoreHashes: {},
  rows: [row],
} as unknown as SampleResult

const summary: SummaryRow = {
  ...{ model: 'nano', data: 'own', metric: 'include', level: 'full', scores: '', ratio: 1 },
  ...{ samples: 1, questions: 1, mean: 1, standardError: null, relative: 1, low: 1, high: 1, draws: 1 },
  ...{ effectiveKv: 1, keptBytes: 10 },
}

export const dataRows: Record<string, Row> = {
  readSample: {
    good: ['own.jsonl', 0],
    takes: [path, count, options],
    fields: {
      2: { tokenizer: rule, needle: options, fetch: optional(call), signal: rule, metric: optional(text) },
    },
  },
  readSamples: {
    good: ['own.jsonl'],
    takes: [path, options],
    fields: { 1: { tokenizer: rule, needle: options, maxDataBytes: optional(positive) } },
  },
  loadAddon: { good: [], takes: [] },
  InputError: { good: ['sentence'], takes: [anything] },
  isUserError: { good: [undefined], takes: [anything] },
  mergeResultFolders: { good: [[at('a')], at('b')], takes: [paths, path] },
  readNamedScores: { good: [['a.arrow']], takes: [[...paths, ...list]] },
  parseShard: { good: ['0/4', '--shard'], takes: [text, optional(text)] },
  shardFromEnvironment: { good: [{}], takes: [['an object']] },
  readResults: { good: [['results']], takes: [paths] },
  summarize: {
    good: [[result], {}],
    takes: [list, options],
    fields: { 1: { empty: rule } },
  },
  formatSummary: { good: [[summary], 'csv'], takes: [list, nothing] },
  writeResultFiles: {
    good: [[summary], [result], folder],
    takes: [nothing, list, path, options],
    fields: { 3: write },
  },
  fetchDatasetFile: {
    good: ['owner/name', 'file.parquet', { settings }],
    takes: [name, path, options],
    fields: { 2: hub },
  },
  locateModel: { good: ['nowhere', { settings }], takes: [path, options], fields: { 1: hub } },
  scanModels: { good: [folder], takes: [path] },
  hubSettings: { good: [{}], takes: [options] },
  resolveShortName: { good: ['qwen3-8b'], takes: [text] },
  shortNameTable: { good: [[]], takes: [optional(nothing)] },
  loadModel: {
    good: ['nowhere', { settings }],
    takes: [path, options],
    fields: {
      1: {
        ...hub,
        device: rule,
        threads: ['undefined', ...count],
        gpuMemory: ['undefined', ...count],
        tokenizer: options,
      },
    },
  },
  describeModel: { good: ['nowhere', 'name'], takes: [path, optional(name)] },
}
