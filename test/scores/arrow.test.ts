import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import {
  type Data,
  Field,
  Float32,
  Int32,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  tableFromIPC,
  tableToIPC,
} from 'apache-arrow'
import { describe, expect, test } from 'vitest'
import { InputError } from '../../src/errors.js'
import { decodeScores, encodeScores, readScores, writeScores } from '../../src/scores/arrow.js'
import { makeScores, provenance } from './make.js'

const folder = await mkdtemp(join(tmpdir(), 'headzip-arrow-'))

function file(columns: Record<string, Data>, metadata: Record<string, string> = {}): Uint8Array {
  const known = {
    'headzip.schema_version': '1',
    'headzip.positions': '10',
    'headzip.provenance': JSON.stringify(provenance),
    ...metadata,
  }
  const fields = Object.entries(columns).map(([name, data]) => new Field(name, data.type, true))
  const schema = new Schema(fields, new Map(Object.entries(known)))
  const children = Object.values(columns)
  const length = children[0]!.length
  const struct = makeData({ type: new Struct(fields), length, nullCount: 0, children })
  return tableToIPC(new Table(schema, [new RecordBatch(schema, struct)]), 'file')
}
const int32 = (...data: number[]) => makeData({ type: new Int32(), data: Int32Array.from(data) })
const float32 = (...data: number[]) => makeData({ type: new Float32(), data: Float32Array.from(data) })
const sound = {
  layer: int32(0, 0, 1, 1),
  kv_head: int32(0, 1, 0, 1),
  max: float32(1, 0.5, 0.25, 0.125),
  mean: float32(0.1, 0.1, 0.1, 0.1),
  p99: float32(0.2, 0.2, 0.2, 0.2),
}

describe('a score file', () => {
  test('gives back what was written, every field of it', async () => {
    const scores = makeScores({ layerIds: Int32Array.of(3, 9) })
    const path = join(folder, 'deep/er/a.arrow')
    await writeScores(path, scores)
    expect(await readScores(path)).toEqual(scores)
  })

  test('is found by its URL, as import.meta.resolve gives it', async () => {
    const path = join(folder, 'by url.arrow')
    await writeScores(path, makeScores())
    const url = pathToFileURL(path)
    expect(await readScores(url)).toEqual(makeScores())
    expect(await readScores(url.href)).toEqual(makeScores())
    await expect(readScores(new URL('https://example.com/a.arrow'))).rejects.toThrow(
      new InputError('https://example.com/a.arrow is not the URL of a file on this machine'),
    )
  })

  test('keeps pair scores and their place', () => {
    const pairs = Float32Array.from({ length: 60 }, (_, i) => i / 64)
    expect(decodeScores(encodeScores(makeScores({ pairs })), 'a').pairs).toEqual(pairs)
  })

  test('leaves mean and p99 null where they are unknown', () => {
    const back = decodeScores(encodeScores(makeScores({ mean: null, p99: null, positions: 0 })), 'a')
    expect([back.mean, back.p99, back.positions]).toEqual([null, null, 0])
  })

  test('has the same bytes for the same scores', () => {
    expect(encodeScores(makeScores())).toEqual(encodeScores(makeScores()))
  })

  test('is read whatever the order of its rows', () => {
    const shuffled = { ...sound, layer: int32(1, 0, 1, 0), kv_head: int32(1, 1, 0, 0) }
    expect(Array.from(decodeScores(file(shuffled), 'a').max)).toEqual([0.125, 0.5, 0.25, 1])
  })

  test('is not written over an existing one without force', async () => {
    const path = join(folder, 'b.arrow')
    await writeScores(path, makeScores())
    await expect(writeScores(path, makeScores())).rejects.toThrow(
      `${path} exists; pass --force to replace it`,
    )
    await writeScores(path, makeScores({ positions: 11 }), { force: true })
    expect((await readScores(path)).positions).toBe(11)
  })
})

describe('a bad score file gets one sentence that names it', () => {
  const { p99: _, ...withoutP99 } = sound
  test.each([
    ['a missing column', file(withoutP99), 'x.arrow lacks the column p99'],
    [
      'a wrong type',
      file({ ...sound, max: int32(1, 1, 1, 1) }),
      'x.arrow has column max as Int32, it must be float32',
    ],
    ['a cell twice', file({ ...sound, kv_head: int32(0, 0, 0, 1) }), 'x.arrow has layer 0, KV head 0 twice'],
    ['a missing cell', file({ ...sound, kv_head: int32(0, 1, 0, 2) }), 'x.arrow lacks layer 0, KV head 2'],
    [
      'a head no model has',
      file({ ...sound, kv_head: int32(0, 1, 0, -1) }),
      'x.arrow has a row for layer 1, KV head -1, which no model has',
    ],
    [
      'NaN',
      file({ ...sound, max: float32(1, Number.NaN, 1, 1) }),
      'x.arrow has NaN as value 1 of max; scores must be finite',
    ],
    [
      'a newer schema',
      file(sound, { 'headzip.schema_version': '4' }),
      'x.arrow has score schema 4, this headzip reads up to 3; update headzip to read it',
    ],
    [
      'no version',
      file(sound, { 'headzip.schema_version': '' }),
      'x.arrow is not a score file: its metadata lacks headzip.schema_version',
    ],
    [
      'no positions',
      file(sound, { 'headzip.positions': 'ten' }),
      'x.arrow lacks a whole number headzip.positions in its metadata',
    ],
    [
      'broken provenance',
      file(sound, { 'headzip.provenance': '{' }),
      'x.arrow has provenance that is not JSON',
    ],
    [
      'poor provenance',
      file(sound, { 'headzip.provenance': '{"model":"nano"}' }),
      "x.arrow lacks the text 'sweep' in its provenance",
    ],
    ['text', Buffer.from('layer,kv_head,max\n0,0,1\n0,1,0.5\n'), 'x.arrow is not an Arrow file'],
    ['nothing', new Uint8Array(), 'x.arrow is not an Arrow file'],
    [
      'half a file',
      encodeScores(makeScores()).slice(0, 600),
      'x.arrow is cut off: an Arrow file ends with ARROW1',
    ],
  ])('%s', (_, bytes, sentence) => {
    expect(() => decodeScores(bytes, 'x.arrow')).toThrow(new InputError(sentence))
  })

  test('a missing one', async () => {
    await expect(readScores(join(folder, 'none.arrow'))).rejects.toThrow(/none\.arrow does not exist$/)
  })

  test('a thousand damaged ones, never anything but an InputError or sound scores', async () => {
    const whole = encodeScores(makeScores())
    let state = 1
    const random = (below: number) => {
      state = (state * 48271) % 2147483647
      return state % below
    }
    for (let i = 0; i < 1000; i++) {
      const bytes = whole.slice()
      for (let n = random(4); n >= 0; n--) bytes[random(bytes.length)] = random(256)
      try {
        expect(decodeScores(bytes, 'x').max.every(Number.isFinite)).toBe(true)
      } catch (error) {
        expect(error).toBeInstanceOf(InputError)
      }
    }
  })

  test('unsound scores are not written', async () => {
    const path = join(folder, 'unsound.arrow')
    await expect(writeScores(path, makeScores({ max: new Float32Array(5) }))).rejects.toThrow(
      'score set sample_qa_eng-0 has 5 values of max where 6 are needed',
    )
    await expect(readFile(path)).rejects.toThrow('ENOENT')
    await writeFile(path, '')
    await expect(readScores(path)).rejects.toThrow(`${path} is not an Arrow file`)
  })
})

describe('a file of version 1', () => {
  const columns = { ...sound, mean: float32(0.1, 0.2, 0.3, 0.4), p99: float32(0.1, 0.2, 0.3, 0.4) }

  test('reads as before, its model layers unknown, and is written as version 3', () => {
    const old = decodeScores(file(columns), 'x.arrow')
    expect(old.provenance).toEqual(provenance)
    const { metadata } = tableFromIPC(encodeScores(old)).schema
    expect(metadata.get('headzip.schema_version')).toBe('3')
  })

  test('keeps the layers of a hybrid model that some of them tell already', () => {
    const told = { 'headzip.provenance': JSON.stringify({ ...provenance, modelLayers: 9 }) }
    expect(decodeScores(file(columns, told), 'x.arrow').provenance.modelLayers).toBe(9)
    const now = { ...told, 'headzip.schema_version': '2' }
    expect(decodeScores(file(columns, now), 'x.arrow').provenance.modelLayers).toBe(9)
  })

  test('of a layer past its model is refused', () => {
    expect(() => encodeScores(makeScores({ provenance: { modelLayers: 1 } }))).toThrow(
      'score set sample_qa_eng-0 scores layer 1 of a model of 1 layers',
    )
  })
})
