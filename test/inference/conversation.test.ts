import { describe, expect, it } from 'vitest'
import { Conversation } from '../../src/inference/conversation.js'
import { loadModel } from '../../src/inference/model.js'

const profile = 'This is my basic profile. My name is Kim living in Seoul. My major is computer science.'

describe('a conversation', () => {
  it('reads each question behind all that was said, and leaves the context as it was', async () => {
    const model = await loadModel('nano')
    const prompts = await model.prompts
    const kv = await model.prefill(profile)
    const before = kv.info
    const talk = new Conversation(model, kv)
    const questions = ['What is my name?', 'What is my major?', 'Do I live in Seoul?']
    // The second answer is cut short, so that its turn has to be closed for the model.
    const limits = [8, 1, 8]
    const said: number[] = []
    for (const [i, question] of questions.entries()) {
      const ids = await (i === 0 ? prompts.queryIds(question) : prompts.nextQueryIds(question, i === 1))
      const made = await talk.ask(question, { maxNewTokens: limits[i] })
      const closing = made.finishReason === 'eos' ? [2] : []
      // The same, all read at once.
      const whole = await model.generateIds(Int32Array.of(...said, ...ids), { kv, maxNewTokens: limits[i]! })
      expect([...made.ids]).toEqual([...whole.ids])
      said.push(...ids, ...made.ids, ...closing)
      expect(talk.state.position).toBe(before.position + said.length)
    }
    expect(talk.turns).toBe(3)
    expect(kv.info).toEqual(before)
    const stop = new AbortController()
    stop.abort()
    await expect(talk.ask('Where?', { signal: stop.signal })).rejects.toMatchObject({
      code: 'HEADZIP_ABORTED',
    })
    expect(talk.state.position).toBe(before.position + said.length)
    talk.reset()
    expect([talk.turns, talk.state.position]).toEqual([0, before.position])
    expect(String(await talk.ask(questions[0]!))).toBe('Kim')
    talk.close()
    kv.close()
    model.close()
  })
})
