import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { findModel } from '../../src/model/describe.js'
import { promptsFor } from '../../src/model/prompts.js'
import { Tokenizer } from '../../src/model/tokenizer.js'
import { scratchFolder } from '../scratch.js'

const nano = findModel('nano').folder
const tokenizer = Tokenizer.load(nano)

describe('the tokenizer of nano', () => {
  it('recognises special tokens in the text and adds none of its own', () => {
    const ids = tokenizer.encode('<|im_end|>\n')
    expect(ids[0]).toBe(2)
    expect(ids).toHaveLength(2)
    expect(tokenizer.encode('')).toEqual([])
  })

  it.each([
    "Hello , it 's é 五 ok .",
    'def f(x):\n\treturn x  # a\r\n',
    '🙂👩‍👩‍👧 \u0000 \u200b',
    'a'.repeat(3000),
  ])('gives back %j unchanged', (text) => {
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text)
  })

  it('decodes nothing to nothing, and drops special tokens unless asked', () => {
    expect(tokenizer.decode([])).toBe('')
    expect(tokenizer.decode([2])).toBe('')
    expect(tokenizer.decode([2], { special: true })).toBe('<|im_end|>')
    expect(tokenizer.decode(Int32Array.of(1, ...tokenizer.encode('Seoul'), 2))).toBe('Seoul')
  })

  it('is refused with a sentence when a file is missing or no tokenizer', () => {
    const folder = scratchFolder()
    expect(() => Tokenizer.load(folder)).toThrow(`${folder}/tokenizer.json does not exist`)
    writeFileSync(join(folder, 'tokenizer.json'), '{}')
    expect(() => Tokenizer.load(folder)).toThrow(`${folder}/tokenizer_config.json does not exist`)
    writeFileSync(join(folder, 'tokenizer_config.json'), '{}')
    expect(() => Tokenizer.load(folder)).toThrow(
      `${folder}/tokenizer.json is not a tokenizer that headzip can use: `,
    )
    rmSync(folder, { recursive: true })
  })
})

describe('the prompts of nano', () => {
  const prompts = promptsFor(tokenizer, 'llama3')
  const text = (ids: Int32Array): string => tokenizer.decode(ids, { special: true })

  it('are ChatML, as its tokenizer has ChatML tokens, though its architecture is Llama', () => {
    expect(prompts.format).toBe('chatml')
    expect(text(prompts.sinkIds)).toBe(
      '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n' +
        'Given the context, answer to the following question or request without explanation.\n\n',
    )
    expect(text(prompts.postfixIds)).toBe('<|im_end|>\n<|im_start|>assistant\n')
    expect(text(prompts.repeatWholeIds)).toBe('\n\nRepeat the previous context exactly.')
    expect(text(prompts.repeatPartIds)).toBe(
      '\n\nRepeat the part of the previous context exactly, starting with ',
    )
  })

  it('wrap a query, trimmed, between two newlines and the postfix', () => {
    const ids = prompts.queryIds('  What is my name?\n')
    expect(text(ids)).toBe('\n\nWhat is my name?<|im_end|>\n<|im_start|>assistant\n')
    expect([...ids]).toEqual([...tokenizer.encode('\n\nWhat is my name?'), ...prompts.postfixIds])
    expect(() => prompts.queryIds(' \n')).toThrow('The query is empty')
  })

  it('open the turn of a later query anew, and close the one before unless the model did', () => {
    const open = prompts.nextQueryIds('Where?\n', false)
    expect(text(open)).toBe('<|im_end|>\n<|im_start|>user\nWhere?<|im_end|>\n<|im_start|>assistant\n')
    expect([...prompts.nextQueryIds('Where?', true)]).toEqual([...open.slice(1)])
    expect(text(open.slice(1))).toBe('\n<|im_start|>user\nWhere?<|im_end|>\n<|im_start|>assistant\n')
    expect(() => prompts.nextQueryIds('', true)).toThrow('The query is empty')
  })

  it('are refused for a tokenizer without any chat format', () => {
    const folder = scratchFolder()
    const json = readFileSync(join(nano, 'tokenizer.json'), 'utf8').replaceAll('<|im_start|>', '<|other|>')
    writeFileSync(join(folder, 'tokenizer.json'), json)
    writeFileSync(join(folder, 'tokenizer_config.json'), '{}')
    expect(() => promptsFor(Tokenizer.load(folder), 'llama3')).toThrow(
      `${folder}/tokenizer.json knows none of the chat formats headzip can write: it has none of <|start_header_id|>, <|im_start|>, <start_of_turn>`,
    )
  })
})
