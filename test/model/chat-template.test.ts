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
    expect(turnsOf({ file: 'x', source: phi, tokens })).toEqual({
      system: '<|system|>\nYou are a helpful assistant.<|end|>\n<|user|>\n',
      postfix: '<|end|>\n<|assistant|>\n',
      nextTurn: '<|end|>\n<|user|>\n',
    })
  })

  it("takes the system message into the user's text where there is no role for it", () => {
    const silent = phi.replace('{% for', "{% for m in messages if m['role'] == 'nobody' %}{% endfor %}{% for")
    expect(turnsOf({ file: 'x', source: mistral, tokens })).toEqual({
      system: '<s>[INST] You are a helpful assistant.\n\n',
      postfix: ' [/INST]',
      // It refuses the assistant's turns, too.
      nextTurn: '\n\n',
    })
    const dropped = silent.replace('in messages %}', "in messages if m['role'] != 'system' %}")
    expect(turnsOf({ file: 'x', source: dropped, tokens }).system).toBe(
      '<|user|>\nYou are a helpful assistant.\n\n',
    )
  })

  it.each([
    ['does not parse', '{% for %}', 'x has a chat template that cannot be used: '],
    ['hides the user', 'nothing', "x has a chat template that writes the user's text 0 times"],
    ['repeats the user', "{{ messages[0]['content'] * 1 }}", 'x has a chat template that'],
  ])('is refused when it %s', (_, source, sentence) => {
    expect(() => turnsOf({ file: 'x', source, tokens })).toThrow(sentence)
  })

  it('serves families without a format of their own, read from either file', async () => {
    const nano = findModel('nano').folder
    const folder = scratchFolder()
    cpSync(join(nano, 'tokenizer.json'), join(folder, 'tokenizer.json'))
    const config = JSON.parse(readFileSync(join(nano, 'tokenizer_config.json'), 'utf8')) as object
    const write = (fields: object) =>
      writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify({ ...config, ...fields }))
    const show = async (preferred?: 'chatml') => {
      const tokenizer = new Tokenizer({ folder })
      const { format, postfixIds } = await promptsFor(tokenizer, preferred)
      const postfix = await tokenizer.decode(postfixIds, { special: true })
      tokenizer.close()
      return [format, postfix]
    }
    write({ chat_template: mistral, bos_token: { content: '<|im_start|>' } })
    expect(await show()).toEqual(['template', ' [/INST]'])
    expect(await show('chatml')).toEqual(['chatml', '<|im_end|>\n<|im_start|>assistant\n'])
    write({
      chat_template: [
        { name: 'tools', template: phi },
        { name: 'default', template: mistral },
      ],
    })
    expect(await show()).toEqual(['template', ' [/INST]'])
    writeFileSync(join(folder, 'chat_template.jinja'), phi.replace('<|assistant|>', 'answer:'))
    expect(await show()).toEqual(['template', '<|end|>\nanswer:\n'])
  })

  it('gives Qwen3 its empty thought', async () => {
    const tokenizer = new Tokenizer(findModel('nano'))
    const { format, postfixIds } = await promptsFor(tokenizer, 'qwen3')
    expect(format).toBe('qwen3')
    expect(await tokenizer.decode(postfixIds, { special: true })).toBe(
      '<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n',
    )
  })
})
