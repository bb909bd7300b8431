import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { reconstructionInputs } from '../../src/model/reconstruction.js'

interface Case {
  name: string
  ctx_ids: number[]
  chunk_size: number
  repeat_first_ids: number[]
  repeat_next_ids: number[]
  postfix_ids: number[]
  repeat_inputs: number[][]
}
const { cases } = JSON.parse(
  readFileSync(new URL('../fixtures/models/llama3/cases.json', import.meta.url), 'utf8'),
) as { cases: Case[] }

const prompts = {
  repeatWholeIds: Int32Array.of(1),
  repeatPartIds: Int32Array.of(2),
  postfixIds: Int32Array.of(3),
}

describe('reconstruction inputs', () => {
  it.each(cases.map((each) => [each.name, each] as const))('equal the published ones for %s', (_, each) => {
    const inputs = reconstructionInputs(Int32Array.from(each.ctx_ids), {
      chunkSize: each.chunk_size,
      prompts: {
        repeatWholeIds: Int32Array.from(each.repeat_first_ids),
        repeatPartIds: Int32Array.from(each.repeat_next_ids),
        postfixIds: Int32Array.from(each.postfix_ids),
      },
    })
    expect(inputs.map(({ ids }) => [...ids])).toEqual(each.repeat_inputs)
    expect(inputs.map(({ start }) => start)).toEqual(each.repeat_inputs.map((_, i) => i * each.chunk_size))
    expect(inputs.at(-1)?.end).toBe(each.ctx_ids.length)
  })

  it('take chunks of 2000 tokens unless told otherwise', () => {
    const spans = reconstructionInputs(new Int32Array(4001), { prompts }).map(({ start, end }) => [
      start,
      end,
    ])
    expect(spans).toEqual([
      [0, 2000],
      [2000, 4000],
      [4000, 4001],
    ])
  })

  it('repeat no more of the previous chunk than there is of it', () => {
    const inputs = reconstructionInputs(Int32Array.of(10, 11, 12, 13, 14), { chunkSize: 2, prompts })
    expect(inputs.map(({ ids }) => [...ids])).toEqual([
      [1, 3, 10, 11],
      [2, 10, 11, 3, 12, 13],
      [2, 12, 13, 3, 14],
    ])
  })

  it('refuse an empty context and a chunk size that is no positive integer', () => {
    expect(() => reconstructionInputs(new Int32Array(0), { prompts })).toThrow('The context is empty')
    expect(() => reconstructionInputs(new Int32Array(3), { chunkSize: 0, prompts })).toThrow(
      'chunkSize must be a positive integer, got 0',
    )
  })
})
