import { describe, expect, it } from 'vitest'
import { armKey, armsOf, randomScores } from '../../src/eval/arms.js'
import { parseRatio, parseRatios } from '../../src/eval/ratios.js'
import { randomHeads, selectHeads } from '../../src/scores/select.js'
import { itemsOf, parseShard, shardFromEnvironment, subShard } from '../../src/shard.js'

describe('ratios', () => {
  it.each([
    ['0.1..1.0', [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]],
    ['0.3', [0.3]],
    ['0.6,0.2..0.4', [0.2, 0.3, 0.4, 0.6]],
    ['0.1..0.25:0.05, .5', [0.1, 0.15, 0.2, 0.25, 0.5]],
    ['30%,60%', [0.3, 0.6]],
    ['10%..0.3', [0.1, 0.2, 0.3]],
    ['10%..25%:5%', [0.1, 0.15, 0.2, 0.25]],
  ])('%s means %j', (text, ratios) => {
    expect(parseRatios(text)).toEqual(ratios)
  })

  it.each([
    ['0.1-0.5', "--ratios must be such as 0.3,0.6 or 0.1..1.0 or 0.1..1.0:0.05, got '0.1-0.5'"],
    ['', "got ''"],
    ['1.4', '--ratios must be a number in (0, 1], got 1.4'],
    ['0.5..0.1', "must run upwards in at most 1000 steps, got '0.5..0.1'"],
    ['0.1..1:0', 'must run upwards'],
    ['10..60', '--ratios must be a number in (0, 1], got 10; write 0.1 or 10%'],
  ])('refuses %j', (text, sentence) => {
    expect(() => parseRatios(text)).toThrow(sentence)
  })
})

describe('one ratio', () => {
  it.each([
    ['0.6', 0.6],
    ['.5', 0.5],
    ['60%', 0.6],
    ['55 %', 0.55],
    ['33.3%', 0.333],
    ['100%', 1],
    ['1e-1', 0.1],
  ])('%s means %d', (text, ratio) => {
    expect(parseRatio(text)).toBe(ratio)
  })

  it.each([
    ['60', '--ratio must be a number in (0, 1], got 60; write 0.6 or 60%'],
    ['1.5', '--ratio must be a number in (0, 1], got 1.5'],
    ['101', '--ratio must be a number in (0, 1], got 101'],
    ['-0.1', '--ratio must be a number in (0, 1], got -0.1'],
    ['0%', "--ratio must be above 0% and at most 100%, got '0%'"],
    ['140%', "--ratio must be above 0% and at most 100%, got '140%'"],
    ['most', "--ratio must be a number in (0, 1] or a percentage such as 60%, got 'most'"],
    ['0,6', "--ratio must be a number in (0, 1] or a percentage such as 60%, got '0,6'"],
    ['', "--ratio must be a number in (0, 1] or a percentage such as 60%, got ''"],
  ])('refuses %j', (text, sentence) => {
    expect(() => parseRatio(text)).toThrow(expect.objectContaining({ message: sentence }) as Error)
  })
})

describe('shards', () => {
  it('take every n-th item, and together all of them once', () => {
    const items = Array.from({ length: 11 }, (_, i) => i)
    expect(itemsOf(items, parseShard('1/4'))).toEqual([1, 5, 9])
    const all = [0, 1, 2, 3].flatMap((index) => itemsOf(items, { index, count: 4 }))
    expect(all.sort((a, b) => a - b)).toEqual(items)
  })

  it('are parted further without overlap', () => {
    const parts = [0, 1, 2].map((part) => subShard({ index: 1, count: 2 }, part, 3))
    expect(parts).toEqual([1, 3, 5].map((index) => ({ index, count: 6 })))
  })

  it.each(['4/4', '-1/4', '1', '1/0', 'a/b'])('refuse %s', (text) => {
    expect(() => parseShard(text)).toThrow(`--shard must be i/n with 0 <= i < n, such as 0/4, got '${text}'`)
  })

  it('come from a Slurm array, wherever it starts and however it steps', () => {
    const slurm = { SLURM_ARRAY_TASK_ID: '30', SLURM_ARRAY_TASK_MIN: '10', SLURM_ARRAY_TASK_STEP: '10' }
    expect(shardFromEnvironment({ ...slurm, SLURM_ARRAY_TASK_COUNT: '4' })).toEqual({
      shard: { index: 2, count: 4 },
      from: 'SLURM_ARRAY_TASK_ID',
    })
    expect(() => shardFromEnvironment({ ...slurm, SLURM_ARRAY_TASK_COUNT: '2' })).toThrow(
      'SLURM_ARRAY_TASK_ID names shard 2 of 2, which there is not',
    )
  })

  it('come from a Kubernetes indexed job, which must be told its size', () => {
    expect(shardFromEnvironment({ JOB_COMPLETION_INDEX: '3', HEADZIP_SHARD_COUNT: '4' })?.shard).toEqual({
      index: 3,
      count: 4,
    })
    expect(() => shardFromEnvironment({ JOB_COMPLETION_INDEX: '3' })).toThrow(
      'JOB_COMPLETION_INDEX is set but HEADZIP_SHARD_COUNT is not',
    )
    expect(shardFromEnvironment({})).toBeUndefined()
  })
})

describe('arms', () => {
  const shape = { layers: 3, kvHeads: 4 }

  it('are the full cache once, and every level at every ratio below 1', () => {
    const scores = [{ label: 'own', hash: 'h', scores: randomScores(shape, 9) }]
    const arms = armsOf({ levels: ['head', 'pair', 'random'], ratios: [0.5, 1], scores, draws: 2, shape })
    expect(arms.map(armKey)).toEqual([
      '["full",1,"",0]',
      '["head",0.5,"own",0]',
      '["pair",0.5,"",0]',
      '["random",0.5,"",0]',
      '["random",0.5,"",1]',
    ])
    expect(() => armsOf({ levels: ['head'], ratios: [0.5], scores: [], draws: 1, shape })).toThrow(
      'the level head needs head scores: pass --scores',
    )
  })

  it('keep at random what the seed draws, at every ratio', () => {
    for (const ratio of [0.1, 0.5, 0.9])
      for (const seed of [0, 1, 7])
        expect(selectHeads(randomScores(shape, seed), { ratio }).keep).toEqual(
          randomHeads(shape, ratio, seed),
        )
  })
})
