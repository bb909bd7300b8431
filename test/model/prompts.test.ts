import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { findModel } from '../../src/model/describe.js'
import { type Prompts, promptsFor } from '../../src/model/prompts.js'
import { Tokenizer } from '../../src/model/tokenizer.js'
import { scratchFolder } from '../scratch.js'

const nano = findModel('nano').folder
const tokenizer = new Tokenizer({ folder: nano })

describe('the tokenizer of nano', () => {
  it('recognises special tokens in the text and adds none of its own', async () => {
    const ids = await tokenizer.encode('<|im_end|>\n')
    expect(ids[0]).toBe(2)
    expect(ids).toHaveLength(2)
    expect(await tokenizer.encode('')).toEqual(new Int32Array(0))
  })

  it.each([
    "Hello , it 's é 五 ok .",
    'def f(x):\n\treturn x  # a\r\n',
    '🙂👩‍👩‍👧 \u0000 \u200b',
    'a'.repeat(3000),
  ])('gives back %j unchanged', async (text) => {
    expect(await tokenizer.decode(await tokenizer.encode(text))).toBe(text)
  })

  it('decodes nothing to nothing, and drops special tokens unless asked', async () => {
    expect(await tokenizer.decode([])).toBe('')
    expect(await tokenizer.decode([2])).toBe('')
    expect(await tokenizer.decode([2], { special: true })).toBe('<|im_end|>')
    expect(await tokenizer.decode(Int32Array.of(1, ...(await tokenizer.encode('Seoul')), 2))).toBe('Seoul')
  })

  it('is refused with a sentence when a file is missing or no tokenizer', async () => {
    const folder = scratchFolder()
    await expect(new Tokenizer({ folder }).encode('a')).rejects.toThrow(
      `${folder}/tokenizer.json does not exist`,
    )
    writeFileSync(join(folder, 'tokenizer.json'), '{}')
    await expect(new Tokenizer({ folder }).encode('a')).rejects.toThrow(
      `${folder}/tokenizer_config.json does not exist`,
    )
    writeFileSync(join(folder, 'tokenizer_config.json'), '{}')
    await expect(new Tokenizer({ folder }).encode('a')).rejects.toThrow(
      `${folder}/tokenizer.json is not a tokenizer that headzip can use: `,
    )
    rmSync(folder, { recursive: true })
  })
})

describe('the prompts of nano', () => {
  let prompts: Prompts
  beforeAll(async () => {
    prompts = await promptsFor(tokenizer, 'llama3')
  })
  const text = (ids: Int32Array): Promise<string> => tokenizer.decode(ids, { special: true })

  it('are ChatML, as its tokenizer has ChatML tokens, though its architecture is Llama', async () => {
    expect(prompts.format).toBe('chatml')
    expect(await text(prompts.prefixIds)).toBe(
      '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n' +
        'Given the context, answer to the following question or request without explanation.\n\n',
    )
    expect(await text(prompts.postfixIds)).toBe('<|im_end|>\n<|im_start|>assistant\n')
    expect(await text(prompts.repeatWholeIds)).toBe('\n\nRepeat the previous context exactly.')
    expect(await text(prompts.repeatPartIds)).toBe(
      '\n\nRepeat the part of the previous context exactly, starting with ',
    )
  })

  it('wrap a query, trimmed, between two newlines and the postfix', async () => {
    const ids = await prompts.queryIds('  What is my name?\n')
    expect(await text(ids)).toBe('\n\nWhat is my name?<|im_end|>\n<|im_start|>assistant\n')
    expect([...ids]).toEqual([...(await tokenizer.encode('\n\nWhat is my name?')), ...prompts.postfixIds])
    await expect(prompts.queryIds(' \n')).rejects.toThrow('The query is empty')
  })

  it('open the turn of a later query anew, and close the one before unless the model did', async () => {
    const open = await prompts.nextQueryIds('Where?\n', false)
    expect(await text(open)).toBe('<|im_end|>\n<|im_start|>user\nWhere?<|im_end|>\n<|im_start|>assistant\n')
    expect([...(await prompts.nextQueryIds('Where?', true))]).toEqual([...open.slice(1)])
    expect(await text(open.slice(1))).toBe('\n<|im_start|>user\nWhere?<|im_end|>\n<|im_start|>assistant\n')
    await expect(prompts.nextQueryIds('', true)).rejects.toThrow('The query is empty')
  })

  it('are refused for a tokenizer without any chat format', async () => {
    const folder = scratchFolder()
    const json = readFileSync(join(nano, 'tokenizer.json'), 'utf8').replaceAll('<|im_start|>', '<|other|>')
    writeFileSync(join(folder, 'tokenizer.json'), json)
    writeFileSync(join(folder, 'tokenizer_config.json'), '{}')
    await expect(promptsFor(new Tokenizer({ folder }), 'llama3')).rejects.toThrow(
      `${folder}/tokenizer.json knows none of the chat formats headzip can write: it has none of <|start_header_id|>, <|im_start|>, <start_of_turn>`,
    )
  })
})
