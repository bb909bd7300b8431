import { execFileSync } from 'node:child_process'
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { InputError } from '../../src/errors.js'
import { loadModel } from '../../src/inference/model.js'
import type { TokenizerLimits } from '../../src/model/tokenizer/limits.js'
import { Tokenizer } from '../../src/model/tokenizer.js'
import { writeTinyChat } from '../inference/tiny-chat.js'
import { catastrophe, hostileTemplate, hostileTokenizer, type TokenizerJson, victim } from './hostile-chat.js'

const opened: Tokenizer[] = []
afterAll(() => {
  for (const tokenizer of opened) tokenizer.close()
})

function open(folder: string, limits?: TokenizerLimits): Tokenizer {
  const tokenizer = new Tokenizer({ folder }, limits)
  opened.push(tokenizer)
  return tokenizer
}

/** The one sentence that it is refused with; its folder is FOLDER there. */
async function sentenceOf(act: Promise<unknown>, folder: string): Promise<string> {
  const error = await act.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(InputError)
  const { message } = error as Error
  expect(message).toMatch(/^[^\p{Cc}]{20,400}$/u)
  return message.replaceAll(folder, 'FOLDER')
}

const refused = 'FOLDER/chat_template.jinja has a chat template that cannot be used: '
const doubling = '{% for i in range(60) %}{% set ns.x = ns.x DOUBLE ns.x %}{% endfor %}'

describe('a hostile chat template', () => {
  it.each([
    ['a huge range', '{% for i in range(1000000000) %}x{% endfor %}', 'it asks for a range of 1000000000'],
    ['a range without end', '{{ range(0, 1, 0.000000000001) }}', 'it asks for a range of 1000000000000'],
    ['loops in loops', nested('range(1000)', 'x', 4), 'it takes more than the 200000 steps'],
    ['loops over nothing', nested('range(99999)', '', 2), 'it takes more than the 200000 steps'],
    [
      'a text that doubles',
      `{% set ns = namespace(x='ha') %}${doubling.replace('DOUBLE', '~')}{{ ns.x }}`,
      'it makes a text of more than the 1000000 characters',
    ],
    [
      'a list that doubles',
      `{% set ns = namespace(x=[1, 2]) %}${doubling.replace('DOUBLE', '+')}{{ ns.x }}`,
      'it takes more than the 200000 steps',
    ],
    ['a text many times over', "{{ 'x' * 1000000000 }}", 'Unknown operator "*"'],
    ['an output of small pieces', nested('range(300)', 'x'.repeat(100), 2), 'it makes a text of more than'],
    ['a wide indent', "{{ 'a\\nb' | indent(400000000) }}", 'it makes a text of more than'],
    ['a macro that calls itself', '{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}', 'it nests deeper than'],
    ['brackets in brackets', `{{ ${'('.repeat(1e5)}1${')'.repeat(1e5)} }}`, 'it is nested too deeply'],
    ['blocks in blocks', '{% if true %}'.repeat(20_000) + '{% endif %}'.repeat(20_000), 'it is nested too'],
    ['a million characters', 'x'.repeat(1_000_001), 'it has 1000001 characters, more than the 1000000'],
    ['a loop for the assistant only', forAssistant('{{ range(1000000000) }}'), 'it asks for a range of'],
  ])('with %s is refused at once', async (_, source, why) => {
    const folder = hostileTemplate(source)
    const tokenizer = open(folder, { seconds: 30 })
    const started = performance.now()
    expect(await sentenceOf(tokenizer.turns(), folder)).toContain(refused + why)
    // In the same process, that has not been waited for.
    expect(await tokenizer.decode(await tokenizer.encode('goes on'))).toBe('goes on')
    expect(performance.now() - started).toBeLessThan(20_000)
  })

  it('that takes its time within its bounds is ended by the clock', async () => {
    const doubled = doubling.replace('60', '18').replace('DOUBLE', '~')
    const slow = `{% set ns = namespace(x='ha') %}${doubled}${nested('range(20000)', '{% set y = ns.x | upper %}', 1)}`
    const folder = hostileTemplate(slow)
    const tokenizer = open(folder, { seconds: 0.2 })
    expect(await sentenceOf(tokenizer.turns(), folder)).toBe(
      'FOLDER/chat_template.jinja takes more than 0.2 s to render its chat template; HEADZIP_TOKENIZER_SECONDS raises the limit',
    )
    expect(await tokenizer.decode(await tokenizer.encode('goes on'))).toBe('goes on')
  })
})

describe('a hostile tokenizer.json', () => {
  const split = (pattern: object): object => ({ type: 'Split', pattern, behavior: 'Isolated', invert: false })

  it.each<[string, (fields: TokenizerJson) => void]>([
    ['splits', (fields) => Object.assign(fields, { pre_tokenizer: split(catastrophe) })],
    [
      'splits after another pattern',
      ({ pre_tokenizer }) => {
        const { pretokenizers } = pre_tokenizer as { pretokenizers: object[] }
        pretokenizers.push(split(catastrophe))
      },
    ],
    [
      'normalises',
      (fields) =>
        Object.assign(fields, { normalizer: { type: 'Replace', pattern: catastrophe, content: 'a' } }),
    ],
  ])('whose pattern %s in exponential time is ended by the clock, and goes on', async (_, edit) => {
    const folder = hostileTokenizer(edit)
    const tokenizer = open(folder, { seconds: 0.3 })
    const other = tokenizer.encode('fine')
    expect(await sentenceOf(tokenizer.encode(victim), folder)).toBe(
      `FOLDER/tokenizer.json takes more than 0.3 s to tokenise a text of ${victim.length} characters; HEADZIP_TOKENIZER_SECONDS raises the limit`,
    )
    expect((await other).length).toBeGreaterThan(0)
    expect((await tokenizer.encode('fine')).length).toBeGreaterThan(0)
  })

  it('whose decoder does so is ended, for a whole text and for tokens as they come', async () => {
    const folder = hostileTokenizer((fields) => {
      const grow = { type: 'Replace', pattern: { String: 'a' }, content: victim }
      const decoders = [fields.decoder, grow, { type: 'Replace', pattern: catastrophe, content: '' }]
      Object.assign(fields, { decoder: { type: 'Sequence', decoders } })
    })
    const tokenizer = open(folder, { seconds: 0.3 })
    const ids = [...(await tokenizer.encode('a'))]
    const late = /^FOLDER\/tokenizer.json takes more than 0.3 s to decode \d+ tokens; HEADZIP_/
    expect(await sentenceOf(tokenizer.decode(ids), folder)).toMatch(late)
    expect(await sentenceOf(tokenizer.newText({ ids: [], read: 0 }, ids, true), folder)).toMatch(late)
    expect(await tokenizer.decode(await tokenizer.encode('good'))).toBe('good')
  })

  it('that cannot decode an answer ends its job, and the cache is free again', async () => {
    const folder = hostileTokenizer((fields) => {
      const grow = { type: 'Replace', pattern: { Regex: '[\\s\\S]' }, content: victim }
      const decoders = [fields.decoder, grow, { type: 'Replace', pattern: catastrophe, content: '' }]
      Object.assign(fields, { decoder: { type: 'Sequence', decoders } })
    })
    const model = await loadModel(folder, { tokenizer: { seconds: 0.3 } })
    const kv = await model.prefill('My name is Kim.')
    const position = kv.info.position
    for (const onText of [undefined, () => {}]) {
      const answer = model.generate('Who?', { kv, onText, maxNewTokens: 40, ignoreEos: true })
      expect(await sentenceOf(answer, folder)).toMatch(
        /^FOLDER\/tokenizer.json takes more than 0.3 s to decode/,
      )
    }
    expect(kv.info.position).toBe(position)
    const ids = await (await model.prompts).queryIds('Who?')
    expect((await model.generateIds(ids, { kv, maxNewTokens: 3, ignoreEos: true })).ids).toHaveLength(3)
    kv.close()
    model.close()
  })

  it('whose added tokens hang it while it is loaded is ended by the clock', async () => {
    const folder = hostileTokenizer((fields) => {
      Object.assign(fields, { normalizer: { type: 'Replace', pattern: catastrophe, content: 'a' } })
      fields.added_tokens.push({ id: 9, content: victim, special: false, normalized: true })
    })
    const tokenizer = open(folder, { seconds: 0.2 })
    for (let time = 0; time < 2; time++)
      expect(await sentenceOf(tokenizer.encode('a'), folder)).toMatch(
        /^FOLDER\/tokenizer.json takes more than 0.6\d* s to load; HEADZIP_TOKENIZER_SECONDS raises the limit$/,
      )
  })

  it('that fills the memory is ended alone, and starts anew for the next text', async () => {
    const folder = hostileTokenizer((fields) => {
      const replace = { type: 'Replace', pattern: { Regex: '[xy]' }, content: '$&$&$&$&' }
      Object.assign(fields, { normalizer: { type: 'Sequence', normalizers: Array(14).fill(replace) } })
    })
    const tokenizer = open(folder, { seconds: 30, memoryMiB: 128 })
    expect(await sentenceOf(tokenizer.encode('xy'), folder)).toBe(
      'FOLDER/tokenizer.json makes a tokenizer that needs more than 128 MiB of memory; HEADZIP_TOKENIZER_MEMORY raises the limit',
    )
    expect(await tokenizer.decode(await tokenizer.encode('goes on'))).toBe('goes on')
  })

  const unusable = 'FOLDER/tokenizer.json is not a tokenizer that headzip can use: '
  it.each<[string, (folder: string) => void, string]>([
    [
      'a pattern that does not compile',
      edited((fields) => Object.assign(fields, { pre_tokenizer: split({ Regex: '(a' }) })),
      `${unusable}Invalid regular expression: /(a/gu: Unterminated group`,
    ],
    [
      'brackets in brackets',
      edited((fields) =>
        Object.assign(fields, { pre_tokenizer: split({ Regex: '('.repeat(1e5) + ')'.repeat(1e5) }) }),
      ),
      `${unusable}Invalid regular expression`,
    ],
    [
      'sequences in sequences',
      edited((fields) => {
        for (let i = 0; i < 1500; i++)
          fields.normalizer = { type: 'Sequence', normalizers: [fields.normalizer] }
      }),
      unusable,
    ],
    [
      'lists in lists',
      (folder) => writeFileSync(join(folder, 'tokenizer.json'), '['.repeat(5e6)),
      'FOLDER/tokenizer.json is not valid JSON',
    ],
    [
      'more bytes than any',
      (folder) => truncateSync(join(folder, 'tokenizer.json'), 2 ** 30),
      'FOLDER/tokenizer.json has 1073741824 bytes, more than the 134217728 that are allowed',
    ],
    [
      'a pipe for its chat template',
      (folder) => execFileSync('mkfifo', [join(folder, 'chat_template.jinja')]),
      'FOLDER/chat_template.jinja is not a regular file',
    ],
  ])('with %s is refused', async (_, spoil, sentence) => {
    const folder = writeTinyChat()
    spoil(folder)
    expect(await sentenceOf(open(folder).encode('a'), folder)).toContain(sentence)
  })
})

/** The fault as one of a folder. */
function edited(edit: (fields: TokenizerJson) => void): (folder: string) => void {
  return (folder) => {
    const file = join(folder, 'tokenizer.json')
    const fields = JSON.parse(readFileSync(file, 'utf8')) as TokenizerJson
    edit(fields)
    writeFileSync(file, JSON.stringify(fields))
  }
}

function nested(list: string, body: string, depth: number): string {
  return depth === 0 ? body : `{% for a${depth} in ${list} %}${nested(list, body, depth - 1)}{% endfor %}`
}

function forAssistant(body: string): string {
  return `{% for m in messages %}{% if m['role'] == 'assistant' %}${body}{% endif %}{{ m['content'] }}{% endfor %}`
}
