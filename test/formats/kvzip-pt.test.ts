import { mkdtemp, readdir, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { InputError } from '../../src/errors.js'
import { decodeKvzip, exportKvzip, importKvzip, kvzipFileName } from '../../src/formats/kvzip-pt.js'
import type { TorchType } from '../../src/formats/torch-tensor.js'
import { writeStoredZip } from '../../src/formats/zip.js'
import { decodeScores, encodeScores } from '../../src/scores/arrow.js'
import { makeScores } from '../scores/make.js'

const published = 'test/fixtures/published/kvzip'
const files = (await readdir(published)).filter((name) => name.endsWith('.pt'))
const folder = await mkdtemp(join(tmpdir(), 'headzip-pt-'))

describe('the published files', () => {
  test.each([
    ['duo-scbench_qa_eng-0.pt', 32, 8, 'float16'],
    ['llama3.1-8b-scbench_qa_eng-0.pt', 32, 8, 'float16'],
    ['qwen2.5-14b-scbench_qa_eng-0.pt', 48, 8, 'bfloat16'],
    ['qwen2.5-7b-scbench_qa_eng-0.pt', 28, 4, 'bfloat16'],
    ['qwen2.5-7b-scbench_repoqa-0.pt', 28, 4, 'bfloat16'],
  ])('%s is %s x %s in %s', async (name, layers, kvHeads, arithmetic) => {
    const scores = await importKvzip(`${published}/${name}`)
    expect(scores).toMatchObject({ layers, kvHeads, mean: null, provenance: { arithmetic, method: 'kvzip' } })
  })

  test('tell their model, data set and sample by name', async () => {
    const { provenance } = await importKvzip(`${published}/qwen2.5-7b-scbench_repoqa-0.pt`)
    expect(provenance.model).toBe('qwen2.5-7b')
    expect(provenance.sources).toEqual([{ data: 'scbench_repoqa', index: 0, tokens: 0 }])
  })

  test.each(files)('%s goes to Arrow, back, and out again with the same numbers', async (name) => {
    const scores = await importKvzip(`${published}/${name}`)
    const back = decodeScores(encodeScores(scores), name)
    expect(back).toEqual(scores)
    for (const dtype of ['float32', scores.provenance.arithmetic as TorchType] as const) {
      const { files: written, warnings } = await exportKvzip(back, join(folder, dtype, name), {
        dtype,
        force: true,
      })
      expect(warnings).toEqual([])
      expect((await importKvzip(written[0]!)).max).toEqual(scores.max)
    }
  })
})

describe('an exported file', () => {
  const scores = makeScores({ max: Float32Array.of(1, 0.9999, 0.25, 0.1, 1e-7, 0) })

  test('holds the scores rounded to the type asked for, and says when that makes ties', async () => {
    const path = join(folder, 'a.pt')
    const { warnings } = await exportKvzip(scores, path, { dtype: 'bfloat16' })
    expect(Array.from((await importKvzip(path)).max)).toEqual([
      1, 1, 0.25, 0.10009765625, 1.0011717677116394e-7, 0,
    ])
    expect(warnings).toEqual([
      "bfloat16 makes 1 different scores equal; KVzip's rule evicts equal scores together",
    ])
  })

  test('is named as KVzip looks for it', () => {
    expect(kvzipFileName(scores)).toBe('nano-sample_qa_eng-0.pt')
    const sources = [
      { data: 'qa', index: 0, tokens: 1 },
      { data: 'code', index: 0, tokens: 1 },
    ]
    expect(kvzipFileName(makeScores({ provenance: { model: 'Qwen/Qwen2.5-7B', sources } }))).toBe(
      'Qwen2.5-7B-qa+code-0.pt',
    )
  })

  test('of a hybrid model warns that layers without scores have no row', async () => {
    const hybrid = makeScores({ layerIds: Int32Array.of(5, 11) })
    const { warnings } = await exportKvzip(hybrid, join(folder, 'hybrid.pt'))
    expect(warnings).toEqual(['only the 2 scored layers have a row: 5, 11'])
  })

  test('is not written over another, nor in a type that is none', async () => {
    const path = join(folder, 'taken.pt')
    await exportKvzip(scores, path)
    await expect(exportKvzip(scores, path)).rejects.toThrow(`${path} exists; pass --force to replace it`)
    await expect(exportKvzip(scores, join(folder, 'x.pt'), { dtype: 'int8' as 'float16' })).rejects.toThrow(
      "dtype must be 'float16', 'bfloat16' or 'float32', got 'int8'",
    )
  })
})

const latin = (text: string) => Buffer.from(text, 'latin1')
const int = (value: number) => {
  const bytes = Buffer.from('J\0\0\0\0', 'latin1')
  bytes.writeInt32LE(value, 1)
  return bytes
}

/** A tensor's pickle, field by field, to be bent. */
function pickle(
  change: { type?: string; elements?: number; offset?: number; size?: Buffer; stride?: Buffer } = {},
) {
  const { type = 'torch\nFloatStorage', elements = 4, offset = 0 } = change
  return Buffer.concat([
    latin('\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storage'),
    latin(`c${type}\nX\x01\0\0\x000X\x03\0\0\0cpu`),
    int(elements),
    latin('tQ'),
    int(offset),
    change.size ?? Buffer.concat([int(2), int(2), latin('\x86')]),
    change.stride ?? Buffer.concat([int(2), int(1), latin('\x86')]),
    latin('\x89ccollections\nOrderedDict\n)RtR.'),
  ])
}
const storage = new Uint8Array(Float32Array.of(0.5, 0.25, 0.125, 1).buffer)
const archive = (pkl: Uint8Array, data: Uint8Array = storage) =>
  writeStoredZip([
    ['a/data.pkl', pkl],
    ['a/data/0', data],
  ])

test('a hand-made plain tensor is read, a transposed one too', () => {
  expect(Array.from(decodeKvzip(archive(pickle()), 'a.pt').max)).toEqual([0.5, 0.25, 0.125, 1])
  const stride = Buffer.concat([int(1), int(2), latin('\x86')])
  expect(Array.from(decodeKvzip(archive(pickle({ stride })), 'a.pt').max)).toEqual([0.5, 0.125, 0.25, 1])
})

describe('hostile files get one sentence and nothing is run', () => {
  const cannot = 'x.pt is not a plain saved tensor: its pickle'
  const many = (text: string, times: number) => latin(text.repeat(times))
  const lines = (count: number) => Buffer.concat([many('(', count), many('t', count), latin('.')])
  test.each([
    [
      'os.system',
      latin('\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R.'),
      `${cannot} names "os.system", which no plain tensor needs; nothing was run`,
    ],
    [
      'eval',
      latin('\x80\x02cbuiltins\neval\nX\x03\0\0\x001+1\x85R.'),
      `${cannot} names "builtins.eval", which`,
    ],
    [
      'a double storage',
      pickle({ type: 'torch\nDoubleStorage' }),
      `${cannot} names "torch.DoubleStorage", which`,
    ],
    ['INST', latin('(ios\nsystem\n.'), `${cannot} uses opcode 0x69, which no plain tensor needs`],
    ['BUILD', latin('\x80\x02)b.'), `${cannot} uses opcode 0x62,`],
    ['STACK_GLOBAL', latin('\x80\x02\x8c\x02os\x8c\x06system\x93.'), `${cannot} uses opcode 0x8c,`],
    ['protocol 4', latin('\x80\x04.'), `${cannot} has protocol 4, torch writes 2`],
    [
      'a hundred nested tuples',
      Buffer.concat([latin('\x80\x02)'), many('\x85', 100), latin('.')]),
      `${cannot} nests deeper than 16`,
    ],
    [
      'sharing that doubles a hundred times',
      Buffer.concat([latin('\x80\x02)'), many('q\0h\0\x86', 100), latin('.')]),
      `${cannot} nests deeper than 16`,
    ],
    ['marks without end', lines(300), `${cannot} holds more values than a tensor has`],
    ['a string longer than the file', latin('\x80\x02X\xff\xff\xff\x7fabc'), `${cannot} is cut off`],
    ['an empty pickle', latin(''), `${cannot} is cut off`],
    ['an empty stack', latin('\x80\x02.'), `${cannot} takes a value that is not there`],
    ['a lone mark', latin('\x80\x02(.'), `${cannot} takes a value that is not there`],
    ['an unset memo', latin('\x80\x02h\x07.'), `${cannot} recalls memo 7, which it never set`],
    ['an unopened tuple', latin('\x80\x02t.'), `${cannot} closes a tuple that it never opened`],
    ['a call of a tuple', latin('\x80\x02))R.'), `${cannot} calls something that is not a name`],
    [
      'a pickle of a megabyte',
      Buffer.alloc(2 ** 20, '('),
      'x.pt has a pickle of 1048576 bytes, a tensor needs less than 65536',
    ],
    [
      'a bare string',
      latin('\x80\x02X\x01\0\0\0a.'),
      'x.pt does not hold one (layers, kv_heads) tensor: it holds something else',
    ],
    [
      'three dimensions',
      pickle({ size: Buffer.concat([int(2), int(2), int(1), latin('\x87')]) }),
      'x.pt does not hold one (layers, kv_heads) tensor: it has not two dimensions',
    ],
    ['no layers', pickle({ size: Buffer.concat([int(0), int(2), latin('\x86')]) }), 'tensor: it is 0 x 2'],
    [
      'a billion heads',
      pickle({ size: Buffer.concat([int(2), int(2 ** 30), latin('\x86')]) }),
      'tensor: it is 2 x 1073741824',
    ],
    [
      'sizes past the storage',
      pickle({ size: Buffer.concat([int(9), int(2), latin('\x86')]) }),
      'x.pt has a tensor of 9 x 2 that reaches past its 4 values',
    ],
    [
      'an offset past the storage',
      pickle({ offset: 1 }),
      'x.pt has a tensor of 2 x 2 that reaches past its 4 values',
    ],
    [
      'a broadcast of one value',
      pickle({
        size: Buffer.concat([int(60000), int(60000), latin('\x86')]),
        stride: Buffer.concat([int(0), int(0), latin('\x86')]),
      }),
      'reaches past its 4 values',
    ],
    [
      'a storage that claims more',
      pickle({ elements: 1000 }),
      'x.pt has 16 bytes of data for 1000 values of float32',
    ],
    [
      'a negative size',
      pickle({ elements: -4 }),
      'x.pt does not hold one (layers, kv_heads) tensor: its layout is unclear',
    ],
  ])('%s', (_, bytes, sentence) => {
    expect(() => decodeKvzip(archive(bytes), 'x.pt')).toThrow(InputError)
    expect(() => decodeKvzip(archive(bytes), 'x.pt')).toThrow(sentence)
  })

  test('NaN scores', () => {
    const data = new Uint8Array(Float32Array.of(0.5, Number.NaN, 0.125, 1).buffer)
    expect(() => decodeKvzip(archive(pickle(), data), 'x.pt')).toThrow(
      'x.pt has NaN as value 1 of max; scores must be finite',
    )
  })

  test('another byte order', () => {
    const bytes = writeStoredZip([
      ['a/data.pkl', pickle()],
      ['a/byteorder', latin('big')],
      ['a/data/0', storage],
    ])
    expect(() => decodeKvzip(bytes, 'x.pt')).toThrow('x.pt was saved on a machine of another byte order')
  })

  test('a file too large is not read', async () => {
    const path = join(folder, 'huge.pt')
    await writeFile(path, '')
    await truncate(path, 2 ** 31)
    await expect(importKvzip(path)).rejects.toThrow(
      `${path} has 2147483648 bytes; head scores need less than 16777216`,
    )
  })
})
