import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type Data,
  Field,
  Float32,
  Int32,
  List,
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
import { decodeScores, encodeScores, readScores } from '../../src/scores/arrow.js'
import type { HeadScores } from '../../src/scores/head-scores.js'
import { makeScores, provenance } from './make.js'

const pairs = Float32Array.from({ length: 60 }, (_, i) => i / 64)
const damaged = /^x\.arrow is damaged: its scores or their provenance do not match its checksum; /

/** The file with other metadata, laid out anew. */
function withMetadata(bytes: Uint8Array, change: (metadata: Map<string, string>) => void): Uint8Array {
  const { schema, batches } = tableFromIPC(bytes)
  const metadata = new Map(schema.metadata)
  change(metadata)
  const changed = new Schema(schema.fields, metadata)
  return tableToIPC(
    new Table(
      changed,
      batches.map((batch) => new RecordBatch(changed, batch.data)),
    ),
    'file',
  )
}

/** What `bytes` decodes to, or the sentence that refuses it. */
function read(bytes: Uint8Array): HeadScores | string {
  try {
    return decodeScores(bytes, 'x.arrow')
  } catch (error) {
    expect(error).toBeInstanceOf(InputError)
    return (error as Error).message
  }
}

describe('the checksum of a score file', () => {
  test('is in every file that is written, and in every one that comes with the package', () => {
    const committed = readdirSync('head_scores', { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.arrow'))
      .map((name) => readFileSync(join('head_scores', name)))
    expect(committed.length).toBeGreaterThanOrEqual(7)
    for (const bytes of [...committed, encodeScores(makeScores())])
      expect(tableFromIPC(bytes).schema.metadata.get('headzip.checksum')).toMatch(/^sha256:[0-9a-f]{64}$/)
  })

  test('lets no flipped bit change what is read', () => {
    const scores = makeScores({ pairs })
    const whole = encodeScores(scores)
    let refusedByChecksum = 0
    for (let at = 0; at < whole.length; at++) {
      const bytes = whole.slice()
      bytes[at]! ^= 1 << (at % 8)
      const found = read(bytes)
      if (typeof found !== 'string') expect(found).toEqual(scores)
      else if (damaged.test(found)) refusedByChecksum++
    }
    // Every byte of 6 x 3 + 60 floats, and of the provenance where it stays JSON.
    expect(refusedByChecksum).toBeGreaterThan(250)
  })

  test('does not match another mean, another position or another date', () => {
    const whole = encodeScores(makeScores({ pairs }))
    const other = { ...provenance, created: '2026-01-02T03:04:06.000Z' }
    const text = JSON.stringify(other)
    expect(read(withMetadata(whole, (all) => all.set('headzip.provenance', text)))).toMatch(damaged)
    const bare = encodeScores(makeScores())
    expect(read(withMetadata(bare, (all) => all.set('headzip.positions', '11')))).toMatch(damaged)
    const mean = Float32Array.of(0.1, 0.2, 0.05, 0.3, 0.01, -0)
    const checksum = tableFromIPC(bare).schema.metadata.get('headzip.checksum')!
    const forged = withMetadata(encodeScores(makeScores({ mean })), (all) =>
      all.set('headzip.checksum', checksum),
    )
    expect(read(forged)).toMatch(damaged)
  })

  test('still matches where another tool laid the file out anew', () => {
    const scores = makeScores()
    const table = tableFromIPC(encodeScores(scores))
    const metadata = new Map([...table.schema.metadata, ['written_by', 'another tool']])
    const order = [5, 0, 3, 1, 4, 2]
    const ints = (name: string): Data =>
      makeData({ type: new Int32(), data: Int32Array.from(order, (row) => table.getChild(name)!.get(row)) })
    const floats = (name: string): Data =>
      makeData({
        type: new Float32(),
        data: Float32Array.from(order, (row) => table.getChild(name)!.get(row)),
      })
    const columns: Record<string, Data> = {
      p99: floats('p99'),
      mean: floats('mean'),
      max: floats('max'),
      kv_head: ints('kv_head'),
      layer: ints('layer'),
    }
    const schema = new Schema(
      Object.entries(columns).map(([name, data]) => new Field(name, data.type, true)),
      metadata,
    )
    const children = Object.values(columns)
    const struct = makeData({ type: new Struct(schema.fields), length: 6, nullCount: 0, children })
    const bytes = tableToIPC(new Table(schema, [new RecordBatch(schema, struct)]), 'file')
    expect(read(bytes)).toEqual(scores)
  })

  test('still matches what pyarrow wrote anew; compressed by it, the file is refused by name', async () => {
    const rewritten = 'test/fixtures/arrow/rewritten.arrow'
    expect(readFileSync(rewritten)).not.toEqual(readFileSync('head_scores/nano/merged.arrow'))
    expect(await readScores(rewritten)).toEqual(await readScores('head_scores/nano/merged.arrow'))
    const compressed = 'test/fixtures/arrow/compressed.arrow'
    await expect(readScores(compressed)).rejects.toThrow(
      new InputError(
        `${compressed} is a compressed Arrow file: write it without compression to have it read`,
      ),
    )
  })

  test('is needed from version 3 on, so that no damage can turn it off, and not before', () => {
    const without = withMetadata(encodeScores(makeScores()), (all) => all.delete('headzip.checksum'))
    expect(read(without)).toBe('x.arrow lacks headzip.checksum in its metadata, which score schema 3 needs')
    for (const version of ['1', '2'])
      expect(read(withMetadata(without, (all) => all.set('headzip.schema_version', version)))).toEqual(
        makeScores(),
      )
  })
})

test('lists of pair scores that overlap cannot ask for more memory than the file has', () => {
  const rows = 1000
  const positions = 100_000
  const type = new List(new Field('item', new Float32(), false))
  const child = makeData({ type: new Float32(), data: new Float32Array(positions) })
  const valueOffsets = Int32Array.from({ length: rows + 1 }, (_, row) => (row % 2) * positions)
  const columns: Record<string, Data> = {
    layer: makeData({ type: new Int32(), data: Int32Array.from({ length: rows }, (_, row) => row) }),
    kv_head: makeData({ type: new Int32(), data: new Int32Array(rows) }),
    max: makeData({ type: new Float32(), data: new Float32Array(rows) }),
    mean: makeData({ type: new Float32(), data: new Float32Array(rows) }),
    p99: makeData({ type: new Float32(), data: new Float32Array(rows) }),
    pairs: makeData({ type, length: rows, valueOffsets, child }),
  }
  const schema = new Schema(
    Object.entries(columns).map(([name, data]) => new Field(name, data.type, true)),
    new Map([
      ['headzip.schema_version', '2'],
      ['headzip.positions', String(positions)],
      ['headzip.provenance', JSON.stringify(provenance)],
    ]),
  )
  const children = Object.values(columns)
  const struct = makeData({ type: new Struct(schema.fields), length: rows, nullCount: 0, children })
  const bytes = tableToIPC(new Table(schema, [new RecordBatch(schema, struct)]), 'file')
  expect(bytes.length).toBeLessThan(500_000)
  expect(read(bytes)).toMatch(/^x\.arrow claims 100000000 pair scores in \d+ bytes$/)
})
