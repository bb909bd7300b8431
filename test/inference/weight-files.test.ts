import {
  cpSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadModel } from '../../src/inference/model.js'
import { scoreHeads } from '../../src/scoring/score.js'
import { headzip, type Outcome, packageRoot, runNode } from '../cli/headzip.js'
import { scratchFolder } from '../scratch.js'
import { writeTinyChat } from './tiny-chat.js'

const profile = 'My name is Kim. I live in Seoul and study computer science. '.repeat(4)
const weights = 'model.safetensors'

/** A copy of nano whose weights may be damaged. */
function nano(): string {
  const folder = join(scratchFolder(), 'nano')
  cpSync(join(packageRoot, 'models/nano'), folder, { recursive: true })
  return folder
}

/**
 * Runs a script in a process of its own, which may die of what it does. It has `model`, `cut(bytes)`, which shortens the
 * weights in place, and `tell(name, promise)`, which prints how the promise settles.
 */
function inProcess(script: string, folder = nano()): Promise<Outcome> {
  const preamble = `
    const { loadModel, scoreHeads } = await import(${JSON.stringify(`file://${packageRoot}/dist/index.js`)})
    const { truncateSync, statSync } = await import('node:fs')
    const file = ${JSON.stringify(join(folder, weights))}
    const cut = (bytes) => truncateSync(file, bytes)
    const size = statSync(file).size
    const model = await loadModel(${JSON.stringify(folder)}, { device: 'cpu' })
    const tell = async (name, promise) =>
      console.log(name + ': ' + (await promise.then(() => 'done', (error) => error.code + ' ' + error.message)))
  `
  return runNode(['--input-type=module', '-e', preamble + script])
}

const refused = (name: string): string =>
  `${name}: HEADZIP_ENGINE FILE was truncated while it was being read, or its disk failed; ` +
  'load the model again once the file is whole'

function lines({ out }: Outcome): string[] {
  return out
    .replaceAll(/\/\S+\/model\.safetensors/g, 'FILE')
    .split('\n')
    .slice(0, -1)
}

describe('a weight file that is truncated in place is an error, never the end of the process', () => {
  it('while a context is scored, and for whatever is asked of the model afterwards', async () => {
    const ran = await inProcess(`
      const context = 'The quick brown fox jumps over the lazy dog. '.repeat(300)
      let cuts = 0
      const onProgress = () => { if (cuts++ === 0) cut(4096) }
      await tell('score', scoreHeads(model, { context, onProgress }))
      console.log('cut ' + (cuts > 0))
      await tell('prefill', model.prefill('My name is Kim.'))
      await tell('means', model.means(await model.textIds('My name is Kim.')))
    `)
    expect(ran).toMatchObject({ code: 0, err: '' })
    expect(lines(ran)).toEqual([refused('score'), 'cut true', refused('prefill'), refused('means')])
  })

  it('while an answer is streamed: no token of it comes from what was lost', async () => {
    const ran = await inProcess(`
      const kv = await model.prefill('My name is Kim. I live in Seoul.')
      const options = { kv, maxNewTokens: 400, ignoreEos: true }
      const whole = (await model.generate('Where do I live?', options)).text
      let heard = ''
      const stream = async () => {
        for await (const text of model.stream('Where do I live?', options)) {
          if (heard === '') cut(size / 2)
          heard += text
        }
      }
      await tell('stream', stream())
      console.log('heard ' + (heard.length > 0 && whole.startsWith(heard)))
      const { position } = kv.info
      await tell('conversation', model.generate('Who am I?', { kv, updateCache: true }))
      console.log('kept ' + (kv.info.position === position))
    `)
    expect(ran).toMatchObject({ code: 0, err: '' })
    expect(lines(ran)).toEqual([refused('stream'), 'heard true', refused('conversation'), 'kept true'])
  })

  it.each([
    ['all of it', '0'],
    ['half of it', 'size / 2'],
    ['its last ten bytes, which no read would miss', 'size - 10'],
  ])('before a job, by %s, and when it is long enough again', async (_, left) => {
    const ran = await inProcess(`
      const kv = await model.prefill('My name is Kim.')
      cut(${left})
      await tell('generate', model.generate('Who am I?', { kv }))
      cut(size)
      await tell('probabilities', model.logProbs('Who am I?', 'Kim', { kv }))
      await tell('save', kv.save(${JSON.stringify(join(scratchFolder(), 'nano.kv'))}))
      model.close()
    `)
    expect(ran).toMatchObject({ code: 0, err: '' })
    expect(lines(ran)).toEqual(['generate', 'probabilities', 'save'].map(refused))
  })

  it('under a server, whose answers are the sentence from then on', async () => {
    const ran = await inProcess(`
      const { serve } = await import(${JSON.stringify(`file://${packageRoot}/dist/serve/server.js`)})
      const server = await serve(model, { port: 0 })
      const ask = async (content) => {
        const body = JSON.stringify({ model: 'nano', max_tokens: 5, messages: [{ role: 'user', content }] })
        const headers = { 'content-type': 'application/json' }
        const answer = await fetch(server.url + '/v1/chat/completions', { method: 'POST', headers, body })
        console.log(answer.status + ' ' + ((await answer.json()).error?.message ?? ''))
      }
      await ask('My name is Kim.')
      cut(0)
      await ask('My name is Kim. Who am I?')
      await ask('My name is Kim.')
      console.log('health ' + (await fetch(server.url + '/health')).status)
      await server.close()
      model.close()
    `)
    expect(ran).toMatchObject({ code: 0, err: '' })
    const told = refused('').replace(': HEADZIP_ENGINE', '500')
    expect(lines(ran)).toEqual(['200 ', told, told, 'health 200'])
  })

  it('under the command line, which writes nothing and exits with 2', async () => {
    const ran = await scored((file) => truncateSync(file, 4096))
    expect(lastLine(ran)).toMatch(/model\.safetensors was truncated while it was being read/)
    expect(ran).toMatchObject({ code: 2, out: '', written: ['own.jsonl'] })
  })

  it('and one of two models goes on', async () => {
    const ran = await inProcess(`
      const other = await loadModel('nano', { device: 'cpu' })
      cut(0)
      await tell('cut', model.prefill('My name is Kim.'))
      await tell('whole', other.prefill('My name is Kim.'))
    `)
    expect(ran).toMatchObject({ code: 0, err: '' })
    expect(lines(ran)).toEqual([refused('cut'), 'whole: done'])
  })
})

/** Runs `headzip score` on a copy of nano whose weights meet `change` once they are mapped. @returns what was written, too */
async function scored(change: (file: string) => void): Promise<Outcome & { written: string[] }> {
  const folder = nano()
  const out = scratchFolder()
  const data = join(out, 'own.jsonl')
  const context = 'The quick brown fox jumps over the lazy dog. '.repeat(100)
  writeFileSync(data, `${JSON.stringify({ prompts: [context, 'What jumps?'], ground_truth: ['fox'] })}\n`)
  const file = join(folder, weights)
  const args = ['score', folder, '--data', data, '--idx', '0', '--out', join(out, 'scores')]
  let timer: NodeJS.Timeout | undefined
  const ran = await headzip(args, {
    env: { HEADZIP_DEVICE: 'cpu' },
    started: (child) => {
      const look = (): void => {
        if (!readFileSync(`/proc/${child.pid}/maps`, 'utf8').includes(file)) return
        clearInterval(timer)
        change(file)
      }
      timer = setInterval(look, 5)
      child.on('exit', () => clearInterval(timer))
    },
  })
  return { ...ran, written: readdirSync(out) }
}

const lastLine = ({ err }: Outcome): string => err.trimEnd().split('\n').at(-1)!

const changed = /model\.safetensors was changed after the model was loaded: .*; load the model again$/

/** Writes other weights of the same layout over those of a folder, in place and without a moment in which they are shorter. */
async function overwrite(folder: string): Promise<void> {
  const other = readFileSync(
    join(
      writeTinyChat({}, (_, values) => values.reverse()),
      weights,
    ),
  )
  const file = await open(join(folder, weights), 'r+')
  await file.write(other, 0, other.length, 0)
  await file.close()
}

describe('what was made by weights that were overwritten in place is not written', () => {
  it('to a cache file', async () => {
    const folder = writeTinyChat()
    const model = await loadModel(folder)
    const kv = await model.prefill(profile)
    const out = scratchFolder()
    await kv.save(join(out, 'before.kv'))
    await overwrite(folder)
    await expect(kv.save(join(out, 'after.kv'))).rejects.toThrow(changed)
    await expect(kv.save(join(out, 'before.kv'), { force: true })).rejects.toThrow(changed)
    await expect(kv.save(join(out, 'after.kv'))).rejects.toMatchObject({ code: 'HEADZIP_ENGINE' })
    expect(readdirSync(out)).toEqual(['before.kv'])
  })

  it('to a cache file, when the file has its old time again', async () => {
    const folder = writeTinyChat()
    const { atime, mtime } = statSync(join(folder, weights))
    utimesSync(join(folder, weights), atime, mtime) // to the precision that can be restored
    const model = await loadModel(folder)
    const kv = await model.prefill(profile)
    await overwrite(folder)
    utimesSync(join(folder, weights), atime, mtime)
    await expect(kv.save(join(scratchFolder(), 'after.kv'))).rejects.toThrow(changed)
  })

  it('to a cache file, when they change while it is written', async () => {
    const folder = writeTinyChat()
    const model = await loadModel(folder)
    const kv = await model.prefill(profile)
    const out = scratchFolder()
    let told = 0
    const onProgress = (): void => {
      if (told++ === 0) utimesSync(join(folder, weights), 1, 1)
    }
    await expect(kv.save(join(out, 'never.kv'), { onProgress })).rejects.toThrow(changed)
    expect(told).toBeGreaterThan(1)
    expect(readdirSync(out)).toEqual([])
  })

  it.each(['kvzip', 'duo-estimate'] as const)('to scores by %s', async (method) => {
    const folder = writeTinyChat()
    const model = await loadModel(folder)
    const options = { context: profile, method }
    await scoreHeads(model, options)
    await overwrite(folder)
    await expect(scoreHeads(model, options)).rejects.toThrow(changed)
  })

  it('under the command line, which exits with 2', async () => {
    const ran = await scored((file) => utimesSync(file, 1, 1))
    expect(lastLine(ran)).toMatch(changed)
    expect(ran).toMatchObject({ code: 2, out: '', written: ['own.jsonl'] })
  })

  it('but is, where another file took the name of the one that is still read', async () => {
    const folder = writeTinyChat()
    const model = await loadModel(folder)
    const kv = await model.prefill(profile)
    const other = writeTinyChat({}, (_, values) => values.reverse())
    renameSync(join(other, weights), join(folder, weights))
    const file = join(scratchFolder(), 'profile.kv')
    await kv.save(file)
    expect((await model.restore(file)).lastLogits).toEqual(kv.lastLogits)
  })
})
