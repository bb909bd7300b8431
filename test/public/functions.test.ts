import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { InputError, isUserError } from '../../src/errors.js'
import * as headzip from '../../src/index.js'
import { Model } from '../../src/inference/model.js'
import { dataRows } from './data-rows.js'
import { modelRows } from './model-rows.js'
import type { Row } from './row.js'
import { scoreRows } from './score-rows.js'
import { type Wrong, wrong } from './wrong.js'

let model: headzip.Model
let kv: headzip.KvCache
let conversation: headzip.Conversation
let rows: Record<string, Row>

beforeAll(async () => {
  model = await headzip.loadModel('nano')
  kv = await model.prefill('My name is Kim.')
  conversation = new headzip.Conversation(model, kv)
  rows = { ...dataRows, ...scoreRows, ...modelRows(model, kv) }
})
afterAll(() => {
  conversation.close()
  kv.close()
  model.close()
})

/** Not for callers. */
const own = ['constructor', 'plan', 'apply', 'gather']

function methodsOf(prefix: string, prototype: object): string[] {
  return Object.entries(Object.getOwnPropertyDescriptors(prototype))
    .filter(([name, { value }]) => typeof value === 'function' && !own.includes(name))
    .map(([name]) => `${prefix}.${name}`)
}

const names = [
  ...Object.entries(headzip)
    .filter(([, value]) => typeof value === 'function')
    .map(([name]) => name),
  ...methodsOf('kv', headzip.KvCache.prototype),
  ...methodsOf('conversation', headzip.Conversation.prototype),
  ...methodsOf('model', Model.prototype),
]

/** Calls it whatever it is: a function, a class, a method; a stream is read. */
async function callOf(name: string, args: unknown[]): Promise<void> {
  const [, owner, method = name] = /^(model|kv|conversation)\.(.*)$/.exec(name) ?? []
  const of = { model, kv, conversation, headzip }[owner ?? 'headzip'] as unknown as Record<
    string,
    (...args: unknown[]) => unknown
  >
  if (/^[A-Z]/.test(method)) {
    const Class = of[method] as unknown as new (...args: unknown[]) => unknown
    new Class(...args)
    return
  }
  const made = of[method]!(...args)
  if (name === 'model.stream') for await (const _ of made as AsyncIterable<string>) break
  await made
}

/** What is wrong with the refusal of a value; undefined when it is as it should be. */
async function complaint(
  name: string,
  args: unknown[],
  label: Wrong,
  field = '',
): Promise<string | undefined> {
  let error: unknown
  try {
    await callOf(name, args)
    return 'is taken'
  } catch (thrown) {
    error = thrown
  }
  if (!isUserError(error)) return `throws ${String(error)}`
  if (error.message.includes('\n') || error.message.includes('\0'))
    return `says ${JSON.stringify(error.message)}`
  // Files and lists without anything in them have sentences of their own.
  const kind = error instanceof TypeError || error instanceof RangeError
  if (!kind && !(error instanceof InputError)) return `throws ${String(error)}`
  // What scores hold may be of the right kind and yet not make scores.
  const unsound = /^(scores|score set \S+|[ab]) (holds|has|names|says|lists) /.test(error.message)
  if (!kind && !unsound && !['no list', 'no text'].includes(label))
    return `is taken for input: ${error.message}`
  if (kind && !(/ must be .+, got /.test(error.message) && error.message.includes(field)))
    return `says ${error.message}`
  return undefined
}

describe('what public functions are given', () => {
  it('is told by a row for every one of them', () => {
    expect(Object.keys(rows).sort()).toEqual([...names].sort())
    for (const [name, { good, takes }] of Object.entries(rows))
      expect([name, takes.length >= good.length]).toEqual([name, true])
  })
})

describe('a value of the wrong kind is refused with one sentence by', () => {
  it.each(names)('%s', async (name) => {
    const { good, takes, fields = {} } = rows[name]!
    const found: string[] = []
    for (const [label, value] of Object.entries(wrong) as [Wrong, unknown][]) {
      for (const [i, taken] of takes.entries()) {
        if (taken.includes(label)) continue
        const why = await complaint(name, good.toSpliced(i, 1, value), label)
        if (why) found.push(`argument ${i}: ${label} ${why}`)
      }
      for (const [i, each] of Object.entries(fields))
        for (const [field, taken] of Object.entries(each)) {
          if (taken.includes(label)) continue
          const holder = { ...(good[Number(i)] as object | undefined), [field]: value }
          const args = [...good]
          args[Number(i)] = holder
          const why = await complaint(name, args, label, field)
          if (why) found.push(`argument ${i}, ${field}: ${label} ${why}`)
        }
    }
    expect(found).toEqual([])
  })
})

/** They end what the others need, or are started in tests of their own. */
const apart = [
  'KvCache',
  'serve',
  'model.close',
  'kv.close',
  'kv.pruneHeads',
  'kv.prunePairs',
  'conversation.close',
]

describe('the values that stand beside the wrong one are right for', () => {
  it.each(names.filter((name) => !apart.includes(name)))('%s', async (name) => {
    const error = await callOf(name, rows[name]!.good).catch((thrown: unknown) => thrown)
    if (error !== undefined) expect(error).toMatchObject({ code: /^HEADZIP_(INPUT|ENGINE)$/ })
  })
})

describe('what is wrong is said in the words of whoever gave it', () => {
  it.each<[string, () => unknown, string]>([
    [
      'a folder for a list of folders',
      () => headzip.readResults('results' as never),
      "paths must be a list, got 'results'",
    ],
    [
      'a list with a hole',
      () => headzip.readResults(['a', undefined as never]),
      'paths[1] must be a path, got undefined',
    ],
    [
      'a ratio that would evict nothing',
      () => model.prefill('My name is Kim.', { level: 'pair', ratoi: 0.3 } as never),
      'prefill has no option ratoi; did you mean ratio?',
    ],
    [
      'an eviction that is none of the server',
      () => headzip.serve(model, { port: 0, ratio: 0.3 } as never),
      'serve has no option ratio',
    ],
    [
      'an eviction of nothing',
      () => headzip.serve(model, { port: 0, eviction: { level: 'head' } } as never),
      'ratio must be a number in (0, 1], got undefined',
    ],
    [
      'a path for scores',
      () => headzip.compareScores('a.arrow' as never, 'b.arrow' as never),
      "a must be an object, got 'a.arrow'",
    ],
  ])('%s', async (_, act, sentence) => {
    await expect((async () => act())()).rejects.toThrow(sentence)
  })
})
