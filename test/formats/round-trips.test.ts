import { appendFile, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { detectFormat, readAnyScores } from '../../src/formats/detect.js'
import { exportScores, type FormatName } from '../../src/formats/formats.js'
import { readScores, writeScores } from '../../src/scores/arrow.js'
import type { HeadScores } from '../../src/scores/head-scores.js'
import { rankHeads } from '../../src/scores/select.js'
import { makeScores } from '../scores/make.js'

const published = 'test/fixtures/published'
const folder = await mkdtemp(join(tmpdir(), 'headzip-round-trips-'))
let count = 0
const fresh = (ending: string) => join(folder, `${count++}${ending}`)

const files = (await readdir(`${published}/kvzip`)).filter((name) => name.endsWith('.pt'))
const patterns = (await readdir(`${published}/duo`)).filter((name) => name !== 'LICENSE')
const sets = [...files.map((name) => `kvzip/${name}`), ...patterns.map((name) => `duo/${name}`)]

const endings: Record<FormatName, string> = {
  arrow: '.arrow',
  kvzip: '.pt',
  duo: '',
  kvpress: '',
  lserve: '',
  sglang: '',
  tsv: '.tsv',
  json: '.json',
  retrieval: '.json',
  csv: '.csv',
}
const all = Object.entries(endings) as [FormatName, string][]
/** DuoAttention's family clips to 0..1, as its readers do. */
const clipping: FormatName[] = ['duo', 'kvpress', 'lserve', 'sglang', 'tsv']

test('five published files of KVzip and six patterns of DuoAttention are there', () => {
  expect([files.length, patterns.length]).toEqual([5, 6])
})

describe.each(sets)('%s', (name) => {
  test.each(all)('goes to Arrow, to %s and back with the same numbers', async (format, ending) => {
    const scores = await readAnyScores(`${published}/${name}`)
    const arrow = fresh('.arrow')
    await writeScores(arrow, scores)
    const loaded = await readScores(arrow)
    expect(loaded).toEqual(scores)

    const path = fresh(ending)
    await exportScores(loaded, format, path, { ties: 'keep' })
    const back = await readAnyScores(path)
    const expected = clipping.includes(format)
      ? loaded.max.map((value) => Math.min(Math.max(value, 0), 1))
      : loaded.max
    expect(back.max).toEqual(expected)
    expect([back.layers, back.kvHeads]).toEqual([scores.layers, scores.kvHeads])
  })

  test('keeps its order when ties are set apart, in every format', async () => {
    const scores = await readAnyScores(`${published}/${name}`)
    for (const [format, ending] of all) {
      const path = fresh(ending)
      await exportScores(scores, format, path, { ties: 'separate' })
      expect(rankHeads(await readAnyScores(path))).toEqual(rankHeads(scores))
    }
  })
})

describe.each([
  ['one KV head', makeScores({ layers: 6, kvHeads: 1, layerIds: Int32Array.of(0, 1, 2, 3, 4, 5) })],
  ['one layer', makeScores({ layers: 1, kvHeads: 6, layerIds: Int32Array.of(0) })],
])('%s', (_, scores: HeadScores) => {
  test.each(all)('survives %s', async (format, ending) => {
    const path = fresh(ending)
    await exportScores(scores, format, path, { ties: 'keep' })
    const back = await readAnyScores(path)
    expect([back.layers, back.kvHeads, ...back.max]).toEqual([scores.layers, scores.kvHeads, ...scores.max])
  })
})

describe.each(['kvzip', 'kvzip+', 'duo-estimate', 'duo'])('scores of the method %s', (method) => {
  const sources = [
    { data: 'natural', index: 0, tokens: 900 },
    { data: 'code', index: 3, tokens: 800 },
  ]
  const scores = makeScores({
    layerIds: Int32Array.of(5, 11),
    provenance: { modelLayers: 13, method, sources },
  })

  test.each(all)('keep it, their model, their data and their layers in %s', async (format, ending) => {
    const path = fresh(ending)
    await exportScores(scores, format, path)
    const back = await readAnyScores(path)
    expect(back.provenance).toEqual(scores.provenance)
    expect(Array.from(back.layerIds)).toEqual([5, 11])
    expect(back.kvHeads).toBe(scores.kvHeads)
  })
})

describe('a table with a note beside it', () => {
  test('that was edited since is what a stranger wrote', async () => {
    const path = fresh('.csv')
    await exportScores(makeScores({ provenance: { method: 'kvzip+' } }), 'csv', path)
    await appendFile(path, '\n')
    expect((await readAnyScores(path)).provenance.method).toBe('csv')
  })

  test('that is damaged is named', async () => {
    const path = fresh('.tsv')
    await exportScores(makeScores(), 'tsv', path)
    await writeFile(`${path}.headzip.json`, '{')
    await expect(readAnyScores(path)).rejects.toThrow(`${path}.headzip.json is not JSON`)
  })

  test('takes from it how many query heads share a KV head', async () => {
    const path = fresh('.json')
    const scores = makeScores()
    await exportScores(scores, 'retrieval', path, { queryHeads: 4 * scores.kvHeads })
    expect((await readAnyScores(path)).kvHeads).toBe(scores.kvHeads)
  })
})

describe('a folder', () => {
  test('is read when it holds one file of scores, as an export writes it', async () => {
    for (const format of ['kvzip', 'duo', 'kvpress', 'lserve', 'sglang', 'tsv'] as const) {
      const path = fresh('')
      await exportScores(makeScores(), format, path)
      expect((await readAnyScores(path)).provenance).toEqual(makeScores().provenance)
    }
  })

  test('with several is refused by name of what to do, unless one is the merged file', async () => {
    const path = fresh('')
    await writeScores(join(path, 'a.arrow'), makeScores())
    await writeScores(join(path, 'b.arrow'), makeScores())
    await expect(readAnyScores(path)).rejects.toThrow(
      `${path} holds 2 score files; name one of them, or headzip merge ${path} makes one of all`,
    )
    await writeScores(join(path, 'merged.arrow'), makeScores({ provenance: { method: 'kvzip+' } }))
    expect((await readAnyScores(path)).provenance.method).toBe('kvzip+')
  })

  test('of a model is none of scores', async () => {
    const path = 'test/fixtures/models/llama3'
    await expect(readAnyScores(path)).rejects.toThrow(`${path} holds no scores`)
  })
})

describe('a hybrid model', () => {
  const hybrid = makeScores({ layerIds: Int32Array.of(5, 11), provenance: { modelLayers: 13 } })

  test.each(['arrow', 'duo', 'kvpress', 'lserve', 'sglang', 'json', 'retrieval', 'csv'] as const)(
    'keeps its layer indices in %s',
    async (format) => {
      const path = fresh(endings[format])
      await exportScores(hybrid, format, path)
      expect(Array.from((await readAnyScores(path)).layerIds)).toEqual([5, 11])
    },
  )

  test('has a row for each of its 13 layers in a table', async () => {
    const path = fresh('.tsv')
    const { warnings } = await exportScores(hybrid, 'tsv', path)
    const rows = (await readFile(path, 'utf8')).trimEnd().split('\n')
    expect(rows).toHaveLength(13)
    expect(rows[5]).toBe('0.9997999\t0.5000000\t0.2500000')
    expect(rows[12]).toBe('1.0000000\t1.0000000\t1.0000000')
    expect(warnings[0]).toMatch(/^11 of 13 layers are not scored; their rows are 1/)
  })

  test('cannot have fewer layers than it scores', async () => {
    await expect(exportScores(hybrid, 'duo', fresh(''), { modelLayers: 11 })).rejects.toThrow(
      'modelLayers must be at least 12, got 11',
    )
  })
})

test('every format says what it cannot express, and arrow that it can express all', async () => {
  const said = await Promise.all(
    all.map(async ([format, ending]) => (await exportScores(makeScores(), format, fresh(ending))).statement),
  )
  expect(new Set(said).size).toBe(all.length)
  expect(said[0]).toBe('A score file of headzip holds all there is to say.')
  expect(said.slice(1).filter((statement) => /cannot|not|only/.test(statement))).toHaveLength(all.length - 1)
})

test('formats are told by content when names mislead', async () => {
  for (const [format, told] of [
    ['arrow', 'arrow'],
    ['kvzip', 'kvzip'],
    ['tsv', 'tsv'],
    ['csv', 'csv'],
    ['json', 'json'],
    ['retrieval', 'json'],
  ] as const) {
    // The .pt writer takes other names for folders, the table writer for RLKV's.
    const path = fresh(format === 'kvzip' ? '.pt' : format === 'tsv' ? '.tsv' : '.dat')
    await exportScores(makeScores(), format, path)
    expect(await detectFormat(path)).toBe(told)
  }
})
