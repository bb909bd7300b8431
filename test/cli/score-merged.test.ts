import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { readScores } from '../../src/scores/arrow.js'
import { scratchFolder } from '../scratch.js'
import { headzip } from './headzip.js'

const cwd = scratchFolder()
const folder = 'head_scores/nano'
const merged = `${folder}/merged.arrow`
const run = (...args: string[]): ReturnType<typeof headzip> => headzip(args, { cwd })
const mergedSources = async (): Promise<string[]> =>
  (await readScores(join(cwd, merged))).provenance.sources.map(({ data }) => data)

beforeAll(() => {
  for (const [name, text] of [
    ['kim', 'My name is Kim and I live in Seoul.'],
    ['rex', 'My dog is called Rex and barks.'],
    ['ada', 'Ada wrote the first program.'],
  ] as const)
    writeFileSync(join(cwd, `${name}.jsonl`), JSON.stringify({ prompts: [text, 'What is my name?'] }))
  writeFileSync(join(cwd, 'notes.txt'), 'My name is Kim.')
})

describe('headzip score', () => {
  it('ends with the merged file, and names the command that answers with it', async () => {
    const { out, code } = await run('score', 'nano', '--data', 'kim.jsonl,rex.jsonl')
    expect(code).toBe(0)
    expect(readdirSync(join(cwd, folder)).sort()).toEqual(['kim-0.arrow', 'merged.arrow', 'rex-0.arrow'])
    expect(await mergedSources()).toEqual(['kim', 'rex'])
    expect(out).toContain(`\n${merged}: the maximum over kim-0 + rex-0\n`)
    const [, next = ''] = /\nNext: headzip (.*)\n$/.exec(out) ?? []
    expect(next).toBe(`ask nano --context FILE --query "..." --scores ${merged}`)
    const words = next.replace('FILE', 'notes.txt').replace('"..."', 'Who?').split(' ')
    expect(await run(...words)).toMatchObject({ code: 0, err: '' })
  })

  it('leaves a merged file that is there as it is, and says what merges all', async () => {
    const before = readFileSync(join(cwd, merged))
    const { out, code } = await run('score', 'nano', '--data', 'ada.jsonl')
    expect(code).toBe(0)
    expect(readFileSync(join(cwd, merged)).equals(before)).toBe(true)
    const [, command = ''] = /this merges all scores of the folder: headzip (.*)\n$/.exec(out) ?? []
    expect(command).toBe(`merge ${folder} -o ${merged} --force`)
    expect(await run(...command.split(' '))).toMatchObject({ code: 0, err: '' })
    expect(await mergedSources()).toEqual(['ada', 'kim', 'rex'])
  })

  it('replaces it with --force, and says what else lies there', async () => {
    const { out } = await run('score', 'nano', '--data', 'ada.jsonl', '--force')
    expect(await mergedSources()).toEqual(['ada'])
    expect(out).toContain(
      `${merged}: the maximum over ada-0; the folder holds 2 more score files: headzip merge ${folder} -o ${merged} --force merges all\n`,
    )
  })

  it('in shards names the one command that merges them', async () => {
    for (const shard of ['0/2', '1/2']) {
      const { out } = await run(
        'score',
        'nano',
        '--data',
        'kim.jsonl,rex.jsonl',
        '--shard',
        shard,
        '-o',
        'shards',
      )
      expect(out).toMatch(
        /\n\nWhen all shards are done: headzip merge shards\/nano -o shards\/nano\/merged\.arrow\n$/,
      )
    }
    const again = await run(
      'score',
      'nano',
      '--data',
      'kim.jsonl,rex.jsonl',
      '--shard',
      '0/2',
      '-o',
      'shards',
    )
    expect(again.out).toMatch(/^Nothing is left for this shard\.\n\nWhen all shards are done: headzip merge /)
    const { out } = await run('merge', 'shards/nano', '-o', 'shards/nano/merged.arrow')
    expect(out).toMatch(
      /^shards\/nano\/merged\.arrow: 6 layers x 4 KV heads, the maximum over kim-0, rex-0\n/,
    )
  })

  it('quotes what a shell would take apart', async () => {
    const { out } = await run('score', 'nano', '--data', 'kim.jsonl', '-o', 'my scores')
    expect(out).toMatch(/ --scores 'my scores\/nano\/merged\.arrow'\n$/)
  })
})

describe('the folder of an export to KVzip', () => {
  beforeAll(async () => {
    await run('score', 'nano', '--data', 'kim.jsonl,rex.jsonl', '--method', 'kvzip+', '-o', 'plus')
    for (const name of ['kim', 'rex'])
      await run('export', `plus/nano/kvzip+/${name}-0.arrow`, '--to', 'kvzip', '-o', 'kvzip')
    await run('export', 'plus/nano/kvzip+', '--to', 'kvzip', '-o', 'one')
  })

  it('is imported, method and sources included', async () => {
    const { out } = await run('import', 'one', '-o', 'back.arrow', '--json')
    expect(JSON.parse(out)).toMatchObject({
      from: 'one/nano-kim+rex-0.pt',
      format: 'kvzip',
      method: 'kvzip+',
      sources: [{ data: 'kim' }, { data: 'rex' }],
    })
  })

  it('is merged, and so is one of them beside a score file', async () => {
    const { out } = await run('merge', 'kvzip', '-o', 'm.arrow', '--json')
    expect(JSON.parse(out)).toMatchObject({
      from: ['kvzip/nano-kim-0.pt', 'kvzip/nano-rex-0.pt'],
      method: 'kvzip+',
      sources: [{ data: 'kim' }, { data: 'rex' }],
    })
    const [ours, theirs] = await Promise.all(
      ['plus/nano/kvzip+/merged.arrow', 'm.arrow'].map((file) => readScores(join(cwd, file))),
    )
    expect(theirs!.max).toEqual(ours!.max)
    const mixed = await run(
      'merge',
      'kvzip/nano-kim-0.pt',
      'plus/nano/kvzip+/rex-0.arrow',
      '-o',
      'mixed.arrow',
    )
    expect(mixed).toMatchObject({ code: 0, err: '' })
  })

  it('with several files is refused by import, which names the command for them', async () => {
    expect(await run('import', 'kvzip', '-o', 'x.arrow')).toMatchObject({
      code: 2,
      err: 'kvzip holds 2 score files; name one of them, or headzip merge kvzip makes one of all\n',
    })
  })
})
