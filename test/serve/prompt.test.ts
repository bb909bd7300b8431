import { beforeAll, describe, expect, it } from 'vitest'
import { loadModel, type Model } from '../../src/inference/model.js'
import { promptOf } from '../../src/serve/prompt.js'
import type { ChatMessage } from '../../src/serve/schema.js'

describe('messages become a context and a query', () => {
  let model: Model
  beforeAll(async () => {
    model = await loadModel('nano')
  })
  const read = async (messages: ChatMessage[], context?: string): Promise<[string, string]> => {
    const prompt = await promptOf({ messages, ...(context !== undefined && { context }) }, model)
    return [prompt.context, await model.tokenizer.decode(prompt.queryIds, { special: true })]
  }
  const user = (content: ChatMessage['content']): ChatMessage => ({ role: 'user', content })
  const asked = (query: string): string => `\n\n${query}<|im_end|>\n<|im_start|>assistant\n`

  it.each<[string, string, string, string]>([
    ['one paragraph is a question', 'Who?', '', 'Who?'],
    ['the last of several is the question', 'One.\n\nTwo.\n\nWho?', 'One.\n\nTwo.', 'Who?'],
    ['blank lines of any kind part them', 'One.  \r\n \t\r\n\r\n  Who?  \n\n', 'One.', 'Who?'],
    ['a single line break parts nothing', 'One.\nWho?', '', 'One.\nWho?'],
  ])('%s', async (_, text, context, query) => {
    expect(await read([user(text)])).toEqual([context, asked(query)])
  })

  it('with several parts the last is the question, paragraphs or not', async () => {
    const parts = ['One.\n\nTwo.', 'Who?\n\nAnd where?'].map((text) => ({ type: 'text' as const, text }))
    expect(await read([user(parts)])).toEqual(['One.\n\nTwo.', asked('Who?\n\nAnd where?')])
  })

  it('system messages come first, then the context that was given', async () => {
    const system: ChatMessage = { role: 'system', content: 'Be brief.' }
    expect(await read([system, user('One.\n\nWho?')], 'Given.')).toEqual([
      'Be brief.\n\nGiven.',
      asked('One.\n\nWho?'),
    ])
  })

  it('later turns stand in the query, as the chat format has them', async () => {
    const messages: ChatMessage[] = [
      user('One.\n\nWho?'),
      { role: 'assistant', content: 'Kim' },
      { role: 'system', content: 'Be brief.' },
      user('Two.\n\nWhere?'),
    ]
    expect(await read(messages)).toEqual([
      'One.',
      `${asked('Who?')}Kim<|im_end|>\n<|im_start|>user\nBe brief.\n\nTwo.\n\nWhere?<|im_end|>\n<|im_start|>assistant\n`,
    ])
  })
})
