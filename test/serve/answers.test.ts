import { fileURLToPath } from 'node:url'
import type { ChatCompletionCreateParamsNonStreaming } from 'openai/resources/chat/completions'
import { describe, expect, it } from 'vitest'
import { profile, type Started, startServer, user } from './start.js'

const scores = fileURLToPath(new URL('../../head_scores/nano/merged.arrow', import.meta.url))
const major = [user(`${profile}\n\nWhat is my major?`)]

type Wishes = Partial<ChatCompletionCreateParamsNonStreaming> & { top_k?: number }

async function answer(
  { client }: Started,
  wishes: Wishes,
): Promise<[string | null | undefined, string | undefined]> {
  const { choices } = await client.chat.completions.create({ model: 'nano', messages: major, ...wishes })
  return [choices[0]?.message.content, choices[0]?.finish_reason]
}

describe('how an answer is made', () => {
  const started = startServer()

  it('ends before a stop string, and never shows a part of it', async () => {
    expect(await answer(started(), { stop: ' science' })).toEqual(['computer', 'stop'])
    expect(await answer(started(), { stop: ['xyz', 'ter'] })).toEqual(['compu', 'stop'])
    const stream = await started().client.chat.completions.create({
      model: 'nano',
      messages: major,
      stop: ' science',
      stream: true,
    })
    let text = ''
    for await (const { choices } of stream) text += choices[0]?.delta.content ?? ''
    expect(text).toBe('computer')
  })

  it('is drawn again with the same seed, and greedy by default', async () => {
    const vague = [user('Tell me a long story about cats.')]
    const hot = (seed: number): Promise<unknown> =>
      answer(started(), { messages: vague, temperature: 2, top_p: 0.99, seed, max_tokens: 24, stop: null })
    const drawn = await Promise.all([1, 2, 3].map(hot))
    expect(await Promise.all([1, 2, 3].map(hot))).toEqual(drawn)
    expect(new Set(drawn.map(String)).size).toBe(3)
    const greedy = ['computer science', 'stop']
    expect(await answer(started(), { temperature: 2, top_k: 1 })).toEqual(greedy)
    expect(await answer(started(), {})).toEqual(greedy)
  })
})

interface KvUsage {
  prompt_tokens_details: { cached_tokens: number }
  kv_bytes: number
  kv_full_bytes: number
  kv_bytes_saved: number
}

async function usageOf({ client }: Started, messages = major): Promise<KvUsage> {
  const { usage } = await client.chat.completions.create({ model: 'nano', messages })
  return usage as unknown as KvUsage
}

describe('a server that evicts', () => {
  const byHead = startServer({ eviction: { level: 'head', scores, ratio: 0.6 } })
  const byPair = startServer({ eviction: { level: 'pair', ratio: 0.5 } })

  it('tells the bytes it saved, the same when the context is known', async () => {
    // 65 tokens, 6 layers of 4 heads, keys and values of 64 floats
    const full = 65 * 6 * 4 * 2 * 64 * 4
    // 14 of 24 heads, or half of the pairs, keep 27 tokens of context; all keep the 38 of the system prefix.
    for (const [server, kept] of [
      [byHead, 38 / 65 + (27 / 65) * (14 / 24)],
      [byPair, 38 / 65 + (27 / 65) * 0.5],
    ] as const) {
      for (const cached of [0, 65]) {
        expect(await usageOf(server())).toMatchObject({
          prompt_tokens_details: { cached_tokens: cached },
          kv_full_bytes: full,
          kv_bytes: Math.round(full * kept),
          kv_bytes_saved: full - Math.round(full * kept),
        })
      }
      expect(await answer(server(), {})).toEqual(['computer science', 'stop'])
    }
  })

  it('evicts nothing of a question without a context', async () => {
    const messages = [user('My name is Kim. What is my name?')]
    expect(await usageOf(byHead(), messages)).toMatchObject({ kv_bytes_saved: 0 })
    expect(await answer(byHead(), { messages })).toEqual(['Kim', 'stop'])
  })

  it('refuses a context that leaves no room for its repetition', async () => {
    // More than half of the positions is fine: chunks of 2000 are repeated.
    const long = [user(`${'word '.repeat(7000)}\n\nWho?`)]
    await expect(byPair().client.chat.completions.create({ model: 'nano', messages: long })).rejects.toThrow(
      /^400 the context and its repetition have \d+ tokens, but nano has 8192 positions; a shorter context fits, a server with --level head repeats none, or a rope_scaling of type yarn in its config\.json reaches further$/,
    )
    expect(await answer(byPair(), {})).toEqual(['computer science', 'stop'])
  })
})

describe('a budget too small for any context', () => {
  const started = startServer({ cacheBytes: 1000 })

  it('keeps none, and answers all the same', async () => {
    for (let i = 0; i < 2; i++)
      expect(await usageOf(started())).toMatchObject({ prompt_tokens_details: { cached_tokens: 0 } })
    const health = await fetch(`${started().server.url}/health`)
    expect(await health.json()).toMatchObject({ contexts: 0, context_bytes: 0 })
  })
})
