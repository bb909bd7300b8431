/** Scores that a caller names by a path: the library reads what the command line reads. */

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readNamedScores } from '../../src/eval/score-choice.js'
import { readAnyScores } from '../../src/formats/detect.js'
import { exportScores, type FormatName } from '../../src/formats/formats.js'
import { loadModel, type Model } from '../../src/inference/model.js'
import { serve } from '../../src/serve/server.js'
import { makeScores } from '../scores/make.js'
import { scratchFolder } from '../scratch.js'
import { writeTinyChat } from './tiny-chat.js'

const context = 'My name is Kim. I live in Seoul and study computer science.'
const folder = scratchFolder()
const names = ['arrow', 'kvzip', 'duo', 'kvpress', 'tsv', 'json', 'csv'] satisfies FormatName[]
const endings: Partial<Record<FormatName, string>> = {
  arrow: '.arrow',
  tsv: '.tsv',
  json: '.json',
  csv: '.csv',
}
const pathOf = (name: FormatName): string => join(folder, `${name}${endings[name] ?? ''}`)

let model: Model
let ids: Int32Array
beforeAll(async () => {
  model = await loadModel(writeTinyChat())
  ids = await model.contextIds(context)
  const scores = makeScores({ provenance: { modelHash: '' } })
  for (const name of names) await exportScores(scores, name, pathOf(name))
})
afterAll(() => model.close())

async function lengthsOf(scores: Parameters<Model['prefill']>[1] & object): Promise<number[]> {
  const kv = await model.prefillIds((await model.prompts).prefixIds, ids, scores)
  const lengths = Array.from(kv.native.lengths())
  kv.close()
  return lengths
}

describe.each(names)('scores in the format %s', (name) => {
  it('evict by their path as they do when they were read before', async () => {
    const read = await lengthsOf({ scores: await readAnyScores(pathOf(name)), ratio: 0.5 })
    expect(new Set(read).size).toBe(2)
    expect(await lengthsOf({ scores: pathOf(name), ratio: 0.5 })).toEqual(read)
    expect(await lengthsOf({ scores: pathToFileURL(pathOf(name)), ratio: 0.5 })).toEqual(read)
    const kv = await model.prefill(context, { scores: pathToFileURL(pathOf(name)).href, ratio: 0.5 })
    expect(Array.from(kv.native.lengths())).toEqual(read)
    kv.close()
  })

  it('start a server and are named for an evaluation', async () => {
    const scores = pathOf(name)
    const server = await serve(model, { port: 0, eviction: { scores, ratio: 0.5 } })
    await server.close()
    const [named] = await readNamedScores([`own=${pathToFileURL(scores).href}`])
    expect(named).toMatchObject({ label: 'own', scores: { layers: 2, kvHeads: 3 } })
  })
})

it('no file is refused by every way in, with the same sentence', async () => {
  const missing = join(folder, 'missing')
  for (const scores of [missing, pathToFileURL(missing)]) {
    await expect(model.prefill(context, { scores })).rejects.toThrow(`${missing} does not exist`)
    await expect(serve(model, { port: 0, eviction: { scores, ratio: 0.5 } })).rejects.toThrow(
      `${missing} does not exist`,
    )
  }
})
