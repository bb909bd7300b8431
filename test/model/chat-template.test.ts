import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { turnsOf } from '../../src/model/chat-template.js'
import { findModel } from '../../src/model/describe.js'
import { promptsFor } from '../../src/model/prompts.js'
import { Tokenizer } from '../../src/model/tokenizer.js'
import { scratchFolder } from '../scratch.js'

const tokens = { bos_token: '<s>', eos_token: '</s>' }

/** Knows a system role. */
const phi =
  "{% for m in messages %}{{ '<|' + m['role'] + '|>\\n' + m['content'] + '<|end|>\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"

/** Refuses one, as older Mistral templates do. */
const mistral =
  '{{ bos_token }}{% for m in messages %}' +
  "{% if m['role'] != 'user' %}{{ raise_exception('Only user roles are supported!') }}{% endif %}" +
  "{{ '[INST] ' + m['content'] | trim + ' [/INST]' }}{% endfor %}"

describe("a tokenizer's chat template", () => {
  it('gives what stands before the user, between user and answer, and before the next turn', () => {
    expect(turnsOf({ source: phi, tokens }, 'x')).toEqual({
      system: '<|system|>\nYou are a helpful assistant.<|end|>\n<|user|>\n',
      postfix: '<|end|>\n<|assistant|>\n',
      nextTurn: '<|end|>\n<|user|>\n',
    })
  })

  it("takes the system message into the user's text where there is no role for it", () => {
    const silent = phi.replace('{% for', "{% for m in messages if m['role'] == 'nobody' %}{% endfor %}{% for")
    expect(turnsOf({ source: mistral, tokens }, 'x')).toEqual({
      system: '<s>[INST] You are a helpful assistant.\n\n',
      postfix: ' [/INST]',
      // It refuses the assistant's turns, too.
      nextTurn: '\n\n',
    })
    const dropped = silent.replace('in messages %}', "in messages if m['role'] != 'system' %}")
    expect(turnsOf({ source: dropped, tokens }, 'x').system).toBe(
      '<|user|>\nYou are a helpful assistant.\n\n',
    )
  })

  it.each([
    ['does not parse', '{% for %}', 'x has a chat template that cannot be used: '],
    ['hides the user', 'nothing', "x has a chat template that writes the user's text 0 times"],
    ['repeats the user', "{{ messages[0]['content'] * 1 }}", 'x has a chat template that'],
  ])('is refused when it %s', (_, source, sentence) => {
    expect(() => turnsOf({ source, tokens }, 'x')).toThrow(sentence)
  })

  it('serves families without a format of their own, read from either file', () => {
    const nano = findModel('nano').folder
    const folder = scratchFolder()
    cpSync(join(nano, 'tokenizer.json'), join(folder, 'tokenizer.json'))
    const config = JSON.parse(readFileSync(join(nano, 'tokenizer_config.json'), 'utf8')) as object
    const write = (fields: object) =>
      writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify({ ...config, ...fields }))
    const show = (preferred?: 'chatml') => {
      const tokenizer = Tokenizer.load(folder)
      const prompts = promptsFor(tokenizer, preferred)
      return [prompts.format, tokenizer.decode(prompts.postfixIds, { special: true })]
    }
    write({ chat_template: mistral, bos_token: { content: '<|im_start|>' } })
    expect(show()).toEqual(['template', ' [/INST]'])
    expect(show('chatml')).toEqual(['chatml', '<|im_end|>\n<|im_start|>assistant\n'])
    write({
      chat_template: [
        { name: 'tools', template: phi },
        { name: 'default', template: mistral },
      ],
    })
    expect(show()).toEqual(['template', ' [/INST]'])
    writeFileSync(join(folder, 'chat_template.jinja'), phi.replace('<|assistant|>', 'answer:'))
    expect(show()).toEqual(['template', '<|end|>\nanswer:\n'])
  })

  it('gives Qwen3 its empty thought', () => {
    const tokenizer = Tokenizer.load(findModel('nano').folder)
    const { format, postfixIds } = promptsFor(tokenizer, 'qwen3')
    expect(format).toBe('qwen3')
    expect(tokenizer.decode(postfixIds, { special: true })).toBe(
      '<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n',
    )
  })
})
