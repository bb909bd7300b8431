import { describe, expect, it } from 'vitest'
import { profile, startServer, user } from './start.js'

describe('chat completions, asked for with the openai client', () => {
  const started = startServer()

  it('lists its one model and finds it by name', async () => {
    const { client } = started()
    const names = []
    for await (const { id, owned_by } of client.models.list()) names.push([id, owned_by])
    expect(names).toEqual([['nano', 'headzip']])
    expect((await client.models.retrieve('nano')).id).toBe('nano')
    await expect(client.models.retrieve('gpt-4')).rejects.toMatchObject({
      status: 404,
      code: 'model_not_found',
      message: '404 there is no model "gpt-4" here, only nano',
    })
  })

  it('takes the last paragraph as the question, and does not read the context again', async () => {
    const { client } = started()
    const ask = (question: string) =>
      client.chat.completions.create({ model: 'nano', messages: [user(`${profile}\n\n${question}`)] })
    const first = await ask('What is my name?')
    expect(first).toMatchObject({ object: 'chat.completion', model: 'nano' })
    expect(first.choices).toEqual([
      {
        index: 0,
        message: { role: 'assistant', content: 'Kim', refusal: null },
        logprobs: null,
        finish_reason: 'stop',
      },
    ])
    expect(first.usage).toMatchObject({ prompt_tokens_details: { cached_tokens: 0 }, kv_bytes_saved: 0 })
    const second = await ask('What is my major?')
    expect(second.choices[0]?.message.content).toBe('computer science')
    // system prefix 38, profile 27, question and turn switch 11
    expect(second.usage).toMatchObject({
      prompt_tokens: second.usage!.total_tokens - second.usage!.completion_tokens,
      prompt_tokens_details: { cached_tokens: 65 },
    })
  })

  it('reads a context from the system message, from earlier parts, and from a field of its own', async () => {
    const { client } = started()
    const question = 'Do I live in Seoul?'
    const requests = [
      { messages: [{ role: 'system' as const, content: profile }, user(question)] },
      { messages: [user(profile), user(question)] },
      {
        messages: [
          {
            role: 'user' as const,
            content: [profile, question].map((text) => ({ type: 'text' as const, text })),
          },
        ],
      },
      { messages: [user(question)], context: profile },
    ]
    for (const request of requests) {
      const { choices, usage } = await client.chat.completions.create({ model: 'nano', ...request })
      expect(choices[0]?.message.content).toBe('Yes')
      expect(usage?.prompt_tokens_details?.cached_tokens).toBe(65)
    }
  })

  it('goes on with a conversation', async () => {
    const { client } = started()
    const messages: { role: 'user' | 'assistant'; content: string }[] = []
    const answers = []
    for (const text of [`${profile}\n\nWhat is my name?`, 'Do I live in Seoul?', 'What is my major?']) {
      messages.push(user(text))
      const { choices } = await client.chat.completions.create({ model: 'nano', messages })
      const content = choices[0]?.message.content ?? ''
      answers.push(content)
      messages.push({ role: 'assistant', content })
    }
    expect(answers).toEqual(['Kim', 'Yes', 'computer science'])
  })

  it('answers without any context', async () => {
    const { choices } = await started().client.chat.completions.create({
      model: 'nano',
      messages: [user('My name is Kim. What is my name?')],
    })
    expect(choices[0]?.message.content).toBe('Kim')
  })

  it('streams the same words, and the usage when asked', async () => {
    const { client } = started()
    const stream = await client.chat.completions.create({
      model: 'nano',
      messages: [user(`${profile}\n\nWhat is my major?`)],
      stream: true,
      stream_options: { include_usage: true },
    })
    let text = ''
    const reasons = []
    const usages = []
    for await (const { choices, usage } of stream) {
      text += choices[0]?.delta.content ?? ''
      if (choices[0]?.finish_reason) reasons.push(choices[0].finish_reason)
      if (usage) usages.push(usage.total_tokens)
    }
    expect(text).toBe('computer science')
    expect(reasons).toEqual(['stop'])
    expect(usages).toEqual([expect.any(Number)])
  })

  it('takes fields that ask for nothing, or for nothing of the answer', async () => {
    const { client } = started()
    const base = { model: 'nano', messages: [user(`${profile}\n\nWhat is my name?`)] }
    const { choices } = await client.chat.completions.create({
      ...base,
      ...{ audio: null, frequency_penalty: 0, function_call: 'none', functions: [], logit_bias: null },
      ...{ logprobs: false, modalities: ['text'], moderation: null, n: 1, presence_penalty: 0 },
      ...{ reasoning_effort: 'none', response_format: { type: 'text' }, store: false, tool_choice: 'auto' },
      ...{ tools: [], top_logprobs: null, verbosity: 'medium', repetition_penalty: 1, min_p: 0 },
      ...{ metadata: { run: '7' }, parallel_tool_calls: true, prompt_cache_key: 'kim' },
      prediction: { type: 'content', content: 'Kim' },
      ...{ prompt_cache_options: {}, prompt_cache_retention: '24h', safety_identifier: 'a', user: 'b' },
      service_tier: 'auto',
    })
    expect(choices[0]?.message.content).toBe('Kim')
    // The whole message of the assistant goes back, as clients send it.
    const again = await client.chat.completions.create({
      model: 'nano',
      messages: [...base.messages, choices[0]!.message, user('Do I live in Seoul?')],
    })
    expect(again.choices[0]?.message.content).toBe('Yes')
  })

  it("streams to the client's own reader of streams", async () => {
    const content = `${profile}\n\nWhat is my major?`
    const stream = started().client.chat.completions.stream({
      model: 'nano',
      messages: [user(content)],
      stream_options: { include_usage: true, include_obfuscation: false },
    })
    expect(await stream.finalContent()).toBe('computer science')
  })

  it('ends at the number of tokens asked for, under either name', async () => {
    const { client } = started()
    for (const limit of [{ max_tokens: 1 }, { max_completion_tokens: 1, max_tokens: 9 }]) {
      const { choices, usage } = await client.chat.completions.create({
        model: 'nano',
        messages: [user(`${profile}\n\nWhat is my major?`)],
        ...limit,
      })
      expect(usage?.completion_tokens).toBe(1)
      expect(choices[0]?.finish_reason).toBe('length')
      expect('computer science'.startsWith(choices[0]?.message.content ?? '-')).toBe(true)
    }
  })
})
