import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Field, Int8, List, Table, tableToIPC, vectorFromArray } from 'apache-arrow'
import { Table as WasmTable, writeParquet } from 'parquet-wasm'
import { describe, expect, it } from 'vitest'
import { readSample, readSamples } from '../../src/data/samples.js'
import { InputError } from '../../src/errors.js'
import { decodeResult, encodeResult, type SampleResult } from '../../src/eval/record.js'
import { headzip, packageRoot, runNode } from '../cli/headzip.js'
import { scratchFolder } from '../scratch.js'

const fixtures = join(packageRoot, 'test/fixtures/data')
const scratch = scratchFolder()
const mebibyte = 2 ** 20

/** Reads a file in a process of its own. @returns what it says, and the most memory it held */
async function read(file: string, maxDataBytes?: number): Promise<{ said: string; mebibytes: number }> {
  const script = `
    const { readSamples } = await import('${packageRoot}/dist/data/samples.js')
    const said = await readSamples('${file}', ${JSON.stringify({ maxDataBytes })}).then(
      (samples) => samples.length + ' samples', (error) => error.name + ': ' + error.message)
    const mebibytes = Math.round(process.resourceUsage().maxRSS / 1024)
    console.log(JSON.stringify({ said, mebibytes }))`
  const { out, err } = await runNode(['--input-type=module', '-e', script])
  expect(err).toBe('')
  return JSON.parse(out) as { said: string; mebibytes: number }
}

const page = readFileSync(join(fixtures, 'bomb-page.parquet'))
/** Of its column, page header included; and of the page alone. */
const columnBytes = 629_148_053
const pageBytes = columnBytes - headerBytes(page)

/** The first page's header, in Thrift's compact protocol, ends where zstd's magic number begins. */
function headerBytes(file: Buffer): number {
  return file.indexOf(Buffer.from([0x28, 0xb5, 0x2f, 0xfd])) - 4
}

/** A number as Thrift writes it, in so many bytes. */
function thrift(value: number, length: number): Buffer {
  const bytes: number[] = []
  let rest = BigInt(value) * 2n
  while (bytes.length < length) {
    bytes.push(Number(rest & 127n) | (bytes.length < length - 1 ? 128 : 0))
    rest >>= 7n
  }
  return Buffer.from(bytes)
}

/** The page's file with a number replaced wherever it stands. */
function lying(name: string, ...lies: [number, number][]): string {
  const bytes = Buffer.from(page)
  for (const [truth, lie] of lies) {
    let found = 0
    for (let at = bytes.indexOf(thrift(truth, 5)); at >= 0; at = bytes.indexOf(thrift(truth, 5), at + 5)) {
      thrift(lie, 5).copy(bytes, at)
      found++
    }
    expect(found).toBeGreaterThan(0)
  }
  writeFileSync(join(scratch, name), bytes)
  return join(scratch, name)
}

const allowed = (size: string): string =>
  `${size} of memory are allowed: allow more with --max-data-bytes (maxDataBytes)`

describe('a small Parquet file that decodes to much is refused within the memory that is allowed', () => {
  it('where its footer tells so, before anything is decoded', async () => {
    const { said, mebibytes } = await read(join(fixtures, 'bomb-page.parquet'))
    expect(said).toContain(
      `bomb-page.parquet holds 600.0 MiB of data in 24.8 KiB, and ${allowed('256.0 MiB')}`,
    )
    expect(mebibytes).toBeLessThan(250)
    const rows = await read(join(fixtures, 'bomb-rows.parquet'))
    expect(rows.said).toContain(`bomb-rows.parquet holds 5000000 rows in`)
    expect(rows.mebibytes).toBeLessThan(250)
  })

  it('where a footer of 358 bytes knows nothing of it', async () => {
    const { said, mebibytes } = await read(join(fixtures, 'bomb-dictionary.parquet'))
    expect(said).toContain(
      `bomb-dictionary.parquet is damaged, or holds more than its 358 bytes tell, and ${allowed('256.0 MiB')}`,
    )
    expect(mebibytes).toBeLessThan(800)
  })

  it.each<[string, () => string]>([
    ['the footer lies', () => lying('footer.parquet', [columnBytes, 1000])],
    [
      'the footer and the header of the page lie',
      () => lying('both.parquet', [columnBytes, 1000], [pageBytes, 1000]),
    ],
    ['a dictionary is named again and again', () => join(fixtures, 'bomb-dictionary.parquet')],
    ['a list takes no room in the file', () => join(fixtures, 'bomb-list.parquet')],
  ])('where %s', async (_, file) => {
    const { said, mebibytes } = await read(file(), 32 * mebibyte)
    expect(said).toMatch(
      /^InputError: \S+\.parquet is (damaged, or holds more than its \S+ \w+ tell, and 32\.0 MiB of memory|not a Parquet file that headzip can read: )/,
    )
    expect(mebibytes).toBeLessThan(350)
  })

  it('where Arrow holds it and JavaScript would not', async () => {
    // A number takes a byte in Arrow, and eight in a list of JavaScript.
    const numbers = vectorFromArray([new Int8Array(10 ** 6)], new List(new Field('item', new Int8())))
    const file = join(scratch, 'numbers.parquet')
    const stream = tableToIPC(new Table({ ground_truth: numbers }), 'stream')
    writeFileSync(file, writeParquet(WasmTable.fromIPCStream(stream)))
    const numbersWithin = (maxDataBytes: number) => readSamples(file, { maxDataBytes })
    await expect(numbersWithin(6 * mebibyte)).rejects.toThrow(
      /numbers\.parquet holds more values than fit, and 6\.0 MiB of memory are allowed: /,
    )
    await expect(numbersWithin(9 * mebibyte)).rejects.toThrow(
      /numbers\.parquet, row 0: there is no column prompts/,
    )
  })
})

describe('the bound', () => {
  const file = join(packageRoot, 'models/nano/sample_qa_eng.parquet')

  it('where the decoder breaks off in the middle of a task of its own', async () => {
    await expect(readSamples(join(fixtures, 'decoder-fault.parquet'))).rejects.toThrow(InputError)
    await expect(readSamples(join(fixtures, 'repoqa.parquet'))).resolves.not.toHaveLength(0)
  })

  it('is what the caller gives', async () => {
    await expect(readSample(file, 0, { maxDataBytes: 50_000 })).rejects.toThrow(
      /sample_qa_eng\.parquet holds 91\.7 KiB of data in 50\.5 KiB, and 48\.8 KiB of memory are allowed/,
    )
    expect(await readSamples(file, { maxDataBytes: mebibyte })).toHaveLength(6)
    for (const wrong of [0, -1, 1.5, Number.NaN])
      await expect(readSamples(file, { maxDataBytes: wrong })).rejects.toThrow(
        `maxDataBytes must be a positive whole number of bytes, got ${wrong}`,
      )
  })

  it('is an option of the commands that read data', async () => {
    const show = ['data', 'show', 'sample_qa_eng', '--max-data-bytes']
    const refused = await headzip([...show, '50KB'])
    expect(refused.code).toBe(2)
    expect(refused.err).toMatch(
      /^\S+sample_qa_eng\.parquet holds 91\.7 KiB of data in 50\.5 KiB, and 48\.8 KiB .*\n$/,
    )
    expect((await headzip([...show, '1MiB', '--json'])).code).toBe(0)
    for (const command of ['score', 'eval', 'profile', 'bench'])
      expect((await headzip([command, '--help'])).out).toContain('--max-data-bytes')
  })

  it('of one file leaves others as they were: one after another, many at once, after a refusal', async () => {
    const dictionary = join(fixtures, 'bomb-dictionary.parquet')
    const tiny = { maxDataBytes: mebibyte }
    const first = await readSamples(file)
    await expect(readSamples(dictionary, tiny)).rejects.toThrow(InputError)
    const both = await Promise.allSettled(
      [0, 1, 2, 3].map((i) => readSamples(i % 2 ? dictionary : file, tiny)),
    )
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected'])
    expect(await readSamples(file)).toEqual(first)
  })

  it('need not be reached: reading can be ended', async () => {
    const signal = AbortSignal.timeout(50)
    const list = join(fixtures, 'bomb-list.parquet')
    await expect(readSamples(list, { maxDataBytes: 1000 * mebibyte, signal })).rejects.toMatchObject({
      code: 'HEADZIP_ABORTED',
    })
  })
})

it('answers of a result file that overlap cannot ask for more memory than the file has', () => {
  const row = { level: 'full', scores: '', ratio: 1, draw: 0, score: 0, keptBytes: 1, fullBytes: 1 } as const
  const length = 100_000
  const rows = Array.from({ length: 2001 }, (_, question) => ({
    ...row,
    question,
    prediction: question === 0 ? 'x'.repeat(length) : '',
  }))
  const bytes = Buffer.from(encodeResult({ rows } as unknown as SampleResult))
  expect(bytes.length).toBeLessThan(500_000)
  expect(decodeResult(bytes, 'x.arrow').rows).toEqual(rows)
  // Where each answer begins: the first at 0, all others at its end. Now every other one is the whole text.
  const begins = bytes.indexOf(Buffer.from(Int32Array.of(0, length, length, length).buffer))
  for (let i = 2; i < rows.length; i += 2) bytes.writeInt32LE(0, begins + 4 * i)
  expect(() => decodeResult(bytes, 'x.arrow')).toThrow(
    `x.arrow claims more than ${bytes.length} characters in ${bytes.length} bytes`,
  )
})
