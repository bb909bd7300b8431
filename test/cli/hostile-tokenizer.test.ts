import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { catastrophe, hostileTemplate, hostileTokenizer, victim } from '../model/hostile-chat.js'
import { scratchFolder } from '../scratch.js'
import { headzip, type Outcome } from './headzip.js'

/** Asks a model; what takes longer than a minute is killed. */
async function ask(folder: string, env: Record<string, string>): Promise<Outcome> {
  const context = join(scratchFolder(), 'context.txt')
  writeFileSync(context, `My name is ${victim}`)
  let timer: NodeJS.Timeout | undefined
  const args = ['ask', folder, '--context', context, '--query', 'Who?', '--full', '--progress', 'none']
  const outcome = await headzip(args, {
    env,
    started: (child) => {
      timer = setTimeout(() => child.kill('SIGKILL'), 60_000)
    },
  })
  clearTimeout(timer)
  return outcome
}

describe('headzip ask of a model with a hostile', () => {
  it.each<[string, () => string, string]>([
    [
      'template, a huge loop,',
      () => hostileTemplate('{% for i in range(1000000000) %}x{% endfor %}'),
      'FOLDER/chat_template.jinja has a chat template that cannot be used: it asks for a range of 1000000000, more than the 100000 allowed',
    ],
    [
      'tokenizer, a pattern of exponential time,',
      () =>
        hostileTokenizer((fields) => {
          fields.normalizer = { type: 'Replace', pattern: catastrophe, content: 'a' }
        }),
      `FOLDER/tokenizer.json takes more than 1 s to tokenise a text of ${victim.length + 11} characters; HEADZIP_TOKENIZER_SECONDS raises the limit`,
    ],
    [
      'tokenizer, a text that grows without end,',
      () =>
        hostileTokenizer((fields) => {
          const replace = { type: 'Replace', pattern: { Regex: '[A-Z]' }, content: '$&$&$&$&' }
          fields.normalizer = { type: 'Sequence', normalizers: Array(14).fill(replace) }
        }),
      'FOLDER/tokenizer.json makes a tokenizer that needs more than 128 MiB of memory; HEADZIP_TOKENIZER_MEMORY raises the limit',
    ],
  ])('%s ends with one sentence and exit code 2', async (kind, make, sentence) => {
    const folder = make()
    const seconds = kind.includes('grows') ? '60' : '1'
    const outcome = await ask(folder, { HEADZIP_TOKENIZER_SECONDS: seconds, HEADZIP_TOKENIZER_MEMORY: '128' })
    expect({ ...outcome, err: outcome.err.replaceAll(folder, 'FOLDER') }).toEqual({
      code: 2,
      out: '',
      err: `${sentence}\n`,
    })
  })

  it('limit in the environment says so', async () => {
    const outcome = await ask('nano', { HEADZIP_TOKENIZER_SECONDS: 'long' })
    const err = "HEADZIP_TOKENIZER_SECONDS must be a positive number, got 'long'\n"
    expect(outcome).toEqual({ code: 2, out: '', err })
  })
})
