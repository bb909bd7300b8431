import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadAddon } from '../../../src/engine/binding.js'
import { describeModel } from '../../../src/model/describe.js'
import type { VerifyReport } from '../../../src/verify/verify.js'
import { packageRoot } from '../../cli/headzip.js'

const folder = join(packageRoot, 'test/fixtures/models/gguf')
const file = join(folder, 'tiny.gguf')
const sets = ['baseline', 'avx2', 'avx512']
const best = sets.indexOf(loadAddon().devices().isa)

describe('a GGUF file with every stored type', () => {
  it.each(sets.slice(0, best + 1))('gives the numbers of its dequantised weights on %s', (isa) => {
    const out = execFileSync(
      process.execPath,
      [join(packageRoot, 'dist/cli/main.js'), 'verify', file, '--json'],
      {
        env: { ...process.env, HEADZIP_CPU: isa },
      },
    )
    const { cases, passed } = JSON.parse(out.toString()) as VerifyReport
    expect(cases.map(({ name }) => name)).toEqual(['short', 'chunks'])
    expect(cases.flatMap(({ quantities }) => quantities).filter((quantity) => !quantity.passed)).toEqual([])
    expect(passed).toBe(true)
  })

  it('holds all types that the engine computes with', () => {
    const types = new Set(describeModel(file).weights.map(({ dtype }) => dtype))
    expect([...types].sort()).toEqual([
      'BF16',
      'F16',
      'F32',
      'Q4_0',
      'Q4_1',
      'Q4_K',
      'Q5_0',
      'Q5_1',
      'Q5_K',
      'Q6_K',
      'Q8_0',
    ])
  })

  it('tokenises and decodes as Rust does with the vocabulary inside', async () => {
    const rows = JSON.parse(readFileSync(join(folder, 'tokens.json'), 'utf8')) as {
      text: string
      ids: number[]
      decoded: string
    }[]
    const tokenizer = describeModel(file).openTokenizer()
    expect(rows).toHaveLength(9)
    for (const { text, ids, decoded } of rows) {
      expect(await tokenizer.encode(text)).toEqual(Int32Array.from(ids))
      expect(await tokenizer.decode(ids, { special: true })).toBe(decoded)
    }
    expect(await tokenizer.specialId('<|im_end|>')).toBe(2)
    tokenizer.close()
  })
})
