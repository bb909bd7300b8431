/** The data sets that are known by name, where they come from, and what other files are called. */

import { basename, dirname, extname } from 'node:path'
import { generationLength, templateOf } from './templates.js'

export type Origin =
  /** A file of this package, relative to its root. */
  | { kind: 'packaged'; file: string }
  /** A file of a data set on the Hugging Face hub. */
  | { kind: 'hub'; repo: string; path: string; layout: 'prompts' | 'squad' | 'gsm' }
  /** Made on the fly. */
  | { kind: 'generated' }

const packaged: Readonly<Record<string, string>> = {
  sample_qa_eng: 'models/nano/sample_qa_eng.parquet',
  sample_repoqa: 'models/nano/sample_repoqa.parquet',
}

/** Data sets that come with the package, by name. */
export const packagedNames: readonly string[] = Object.keys(packaged)

const scbenchTasks = [
  'kv',
  'prefix_suffix',
  'vt',
  'many_shot',
  'mf',
  'repoqa',
  'choice_eng',
  'qa_eng',
  'summary',
  'summary_with_needles',
  'repoqa_and_kv',
] as const
/** Of about 8,000, 20,000 and more tokens. */
const shortened = ['_tiny', '_short', '_mid'] as const

/** Every name that is known, in the order in which `headzip data list` prints them. */
export const knownNames: readonly string[] = [
  ...packagedNames,
  'needle',
  'squad',
  'gsm',
  ...scbenchTasks.flatMap((task) => ['', ...shortened].map((size) => `scbench_${task}${size}`)),
]

export function originOf(name: string): Origin | undefined {
  if (Object.hasOwn(packaged, name)) return { kind: 'packaged', file: packaged[name]! }
  if (!knownNames.includes(name)) return undefined
  if (name === 'needle') return { kind: 'generated' }
  if (name === 'squad')
    return {
      kind: 'hub',
      repo: 'rajpurkar/squad',
      path: 'plain_text/train-00000-of-00001.parquet',
      layout: 'squad',
    }
  if (name === 'gsm')
    return { kind: 'hub', repo: 'openai/gsm8k', path: 'main/test-00000-of-00001.parquet', layout: 'gsm' }
  return { kind: 'hub', repo: 'Jang-Hyun/SCBench-preprocessed', path: `${name}.parquet`, layout: 'prompts' }
}

/** Its samples depend on a model's tokenizer. */
export function isMeasuredInTokens(name: string): boolean {
  return name === 'needle' || name === 'gsm'
}

/** `hub:owner/name/path/in/it.parquet` */
export function hubFileOf(name: string): { repo: string; path: string } | undefined {
  const [, repo, path] = /^hub:([^/\s]+\/[^/\s]+)\/(.+)$/.exec(name) ?? []
  return repo !== undefined && path !== undefined ? { repo, path } : undefined
}

/**
 * The name under which scores and results record a data set: a known one as it is; a file's name without its ending,
 * or its folder's where the file is called after a split; microsoft/SCBench's `multi_turn_kv` as `scbench_kv`.
 */
export function dataSetName(nameOrFile: string): string {
  if (originOf(nameOrFile)) return nameOrFile
  const stem = basename(nameOrFile, extname(nameOrFile))
  const name = /^(train|test|validation)-\d+-of-\d+$/.test(stem) ? basename(dirname(nameOrFile)) : stem
  return name.replace(/^multi_turn_/, 'scbench_')
}

export interface DataSetInfo {
  name: string
  /** `comes with headzip`, `generated`, or where on the hub it lies */
  origin: string
  template: string
  generationLength: number | 'by reference'
}

export function describeDataSet(name: string): DataSetInfo {
  const origin = originOf(name)
  const from =
    origin?.kind === 'hub'
      ? `hub: ${origin.repo}/${origin.path}`
      : origin?.kind === 'generated'
        ? 'generated'
        : 'comes with headzip'
  return {
    name,
    origin: from,
    template: templateOf(name),
    generationLength: packagedNames.includes(name) ? 'by reference' : generationLength(name),
  }
}
