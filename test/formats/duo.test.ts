import { cp, mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readAnyScores } from '../../src/formats/detect.js'
import { exportDuo, importDuo } from '../../src/formats/duo.js'
import { importKvzip } from '../../src/formats/kvzip-pt.js'
import { separateTies } from '../../src/formats/ties.js'
import { decodeScores, encodeScores, writeScores } from '../../src/scores/arrow.js'
import { rankHeads } from '../../src/scores/select.js'
import { makeScores } from '../scores/make.js'

const published = 'test/fixtures/published'
const folder = await mkdtemp(join(tmpdir(), 'headzip-duo-'))
let count = 0
const fresh = () => join(folder, `${count++}`)
const cells = async (dir: string) =>
  (await readFile(join(dir, 'full_attention_heads.tsv'), 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t'))

describe('separating ties', () => {
  test('spreads saturated heads below 1 in the order of the exact selection, leaves the rest where it is', () => {
    expect(separateTies(makeScores())).toEqual([0.9998999, 0.5, 0.25, 1, 0.125, 0])
  })

  test('lifts heads that are all 0, and stays within 0..1', () => {
    const zeros = { max: new Float32Array(4), mean: null }
    expect(separateTies(zeros)).toEqual([0.0003003, 0.0002002, 0.0001001, 0])
    const beyond = { max: Float32Array.of(1.5, 2, -1, -3), mean: null }
    expect(separateTies(beyond)).toEqual([0.9998999, 1, 0.0001001, 0])
  })

  test('puts 112 published heads, 33 of them at 1, at least 1e-4 apart without changing their order', async () => {
    const scores = await importKvzip(`${published}/kvzip/qwen2.5-7b-scbench_qa_eng-0.pt`)
    const values = separateTies(scores)
    const order = rankHeads(scores)
    for (let i = 1; i < order.length; i++)
      expect(values[order[i - 1]!]! - values[order[i]!]!).toBeGreaterThanOrEqual(1e-4)
    expect(Math.max(...values)).toBe(1)
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0)
  })

  test('still orders more heads than fit at that distance', () => {
    const values = separateTies({ max: new Float32Array(20_000).fill(1), mean: null })
    expect(values[0]).toBe(1)
    expect(values.every((value, i) => i === 0 || value < values[i - 1]!)).toBe(true)
    expect(values.at(-1)).toBeGreaterThanOrEqual(0)
  })
})

describe('a DuoAttention folder', () => {
  test('has a row a layer, a column a KV head, tabs, no header, and its two sizes', async () => {
    const dir = fresh()
    const { files, warnings } = await exportDuo(makeScores(), dir)
    expect(files).toEqual([join(dir, 'full_attention_heads.tsv'), join(dir, 'config.json')])
    expect(await readFile(files[0]!, 'utf8')).toBe(
      '0.9998999\t0.5000000\t0.2500000\n1.0000000\t0.1250000\t0.0000000\n',
    )
    expect(JSON.parse(await readFile(files[1]!, 'utf8'))).toMatchObject({ sink_size: 128, recent_size: 256 })
    expect(warnings).toEqual([])
  })

  test('keeps values when asked, clipped to 0..1, and counts what noise will decide', async () => {
    const dir = fresh()
    const max = Float32Array.of(1, 1, 1.25, -0.001, 0.1, 0.5)
    const { warnings } = await exportDuo(makeScores({ max }), dir, { ties: 'keep', sink: 4, recent: 8 })
    expect(await cells(dir)).toEqual([
      ['1', '1', '1'],
      ['0', '0.10000000149011612', '0.5'],
    ])
    expect(warnings).toEqual([
      '2 neighbours in the ranking are closer than the noise that readers add: chance decides them',
    ])
    expect(JSON.parse(await readFile(join(dir, 'config.json'), 'utf8'))).toMatchObject({
      sink_size: 4,
      recent_size: 8,
    })
  })

  test('gives every layer of a hybrid model a row, 1 where nothing is scored', async () => {
    const dir = fresh()
    const hybrid = makeScores({ layerIds: Int32Array.of(1, 3) })
    const { warnings } = await exportDuo(hybrid, dir, { modelLayers: 5 })
    const rows = (await cells(dir)).map((row) => row.map(Number))
    expect(rows).toEqual([
      [1, 1, 1],
      [0.9997999, 0.5, 0.25],
      [1, 1, 1],
      [0.9999, 0.125, 0],
      [1, 1, 1],
    ])
    expect(warnings).toEqual([
      '3 of 5 layers are not scored; their rows are 1, and readers count them when they turn a sparsity into a threshold',
    ])
    expect((await importDuo(dir)).layerIds).toEqual(hybrid.layerIds)
  })

  test('of one KV head warns that readers may see one dimension', async () => {
    const one = makeScores({ layers: 6, kvHeads: 1, layerIds: Int32Array.of(0, 1, 2, 3, 4, 5) })
    const { warnings } = await exportDuo(one, fresh())
    expect(warnings).toEqual([
      'one row or one column: numpy.loadtxt gives readers one dimension unless they ask for two',
    ])
  })

  test('says what it cannot express', async () => {
    const { statement } = await exportDuo(makeScores(), fresh())
    expect(statement).toMatch(/^This format cannot say that a head evicts its whole context/)
    expect(statement).toContain('128 sink and 256 recent tokens')
  })

  test.each([0, -256, 1.5, Number.NaN])('refuses recent %s and says why', async (recent) => {
    const dir = fresh()
    await expect(exportDuo(makeScores(), dir, { recent })).rejects.toThrow(
      `recent must be at least 1, for readers take 0 to mean that nothing is masked and evict nothing, got ${recent}`,
    )
    await expect(readdir(dir)).rejects.toThrow('ENOENT')
  })

  test('is not written over another, not even in part', async () => {
    const dir = fresh()
    await exportDuo(makeScores(), dir)
    await expect(exportDuo(makeScores(), dir)).rejects.toThrow(
      /full_attention_heads\.tsv exists; pass --force/,
    )
    await exportDuo(makeScores(), dir, { force: true, sink: 64 })
    expect(JSON.parse(await readFile(join(dir, 'config.json'), 'utf8'))).toMatchObject({ sink_size: 64 })
  })

  test('of ours comes back with its provenance and, kept, its values', async () => {
    const dir = fresh()
    const scores = makeScores()
    await exportDuo(scores, dir, { ties: 'keep' })
    const back = await importDuo(dir)
    expect(back.max).toEqual(scores.max)
    expect(back.provenance).toEqual(scores.provenance)
  })
})

describe('a published pattern', () => {
  test.each(['Meta-Llama-3.1-8B-Instruct', 'Llama-3-8B-Instruct-Gradient-1048k'])(
    '%s is 32 x 8 and goes to Arrow and back unchanged',
    async (model) => {
      const scores = await importDuo(`${published}/duo/${model}`)
      expect(scores).toMatchObject({
        layers: 32,
        kvHeads: 8,
        provenance: { model, method: 'duo', sweep: '' },
      })
      expect(decodeScores(encodeScores(scores), 'a')).toEqual(scores)
    },
  )

  test('keeps its small negatives', async () => {
    const { max } = await importDuo(`${published}/duo/Llama-3-8B-Instruct-Gradient-1048k`)
    expect(max[4]).toBe(Math.fround(-9.250640869140625e-5))
  })
})

describe('a bad folder gets one sentence', () => {
  test.each([
    ['0.5\t0.5\n0.5\n', '{}', /full_attention_heads\.tsv has 1 columns in row 2, 2 in the first$/],
    ['0.5\tx\n', '{}', /full_attention_heads\.tsv has 'x' in row 1 where a number is needed$/],
    ['0.5\tnan\n', '{}', /has 'nan' in row 1 where a number is needed$/],
    ['\n\n', '{}', /full_attention_heads\.tsv is empty$/],
    ['0.5\t0.5\n', '[]', /config\.json is not a JSON object$/],
    ['0.5\t0.5\n', '{', /config\.json is not JSON$/],
    [
      '0.5\t0.5\n',
      '{"headzip":{"layer_ids":[7]}}',
      /config\.json names scored layers that the 1 rows beside it do not have$/,
    ],
  ])('%j with config %s', async (tsv, config, sentence) => {
    const dir = fresh()
    await cp(`${published}/duo/Meta-Llama-3.1-8B-Instruct`, dir, { recursive: true })
    await writeFile(join(dir, 'full_attention_heads.tsv'), tsv)
    await writeFile(join(dir, 'config.json'), config)
    await expect(importDuo(dir)).rejects.toThrow(sentence)
  })
})

describe('reading any format', () => {
  test('goes by content', async () => {
    const arrow = join(folder, 'misnamed.pt')
    await writeScores(arrow, makeScores())
    expect((await readAnyScores(arrow)).provenance.model).toBe('nano')
    expect((await readAnyScores(`${published}/kvzip/qwen2.5-7b-scbench_qa_eng-0.pt`)).layers).toBe(28)
    expect((await readAnyScores(`${published}/duo/Meta-Llama-3.1-8B-Instruct`)).provenance.method).toBe('duo')
  })

  test('says what it knows when it knows none', async () => {
    const text = join(folder, 'notes.txt')
    await writeFile(text, 'hello')
    await expect(readAnyScores(text)).rejects.toThrow(
      `${text} is in no format that headzip knows: a score file`,
    )
    const empty = join(folder, 'empty')
    await mkdir(empty)
    await expect(readAnyScores(empty)).rejects.toThrow(
      `${empty} holds no scores: neither a file ending in .arrow, .pt, .tsv, .json, .csv nor full_attention_heads.tsv`,
    )
    await expect(readAnyScores(join(folder, 'none'))).rejects.toThrow(/none does not exist$/)
  })
})
