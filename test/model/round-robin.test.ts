import { describe, expect, it } from 'vitest'
import { type Job, type Outcome, once, RoundRobin } from '../../src/model/tokenizer/round-robin.js'

/** Works for a millisecond between two steps. */
function* busy(steps: number, each: () => void = () => {}): Generator<void, number> {
  for (let step = 0; step < steps; step++) {
    const end = performance.now() + 1
    while (performance.now() < end);
    each()
    yield
  }
  return steps
}

function job(id: number, steps: Job['steps']): Job {
  return { id, file: 'x.json', task: `do ${id}`, characters: 10, steps }
}

/** Runs them all. @returns what came of each, in the order of their ends */
function outcomes(jobs: readonly Job[], seconds = 30): Promise<[number, Outcome][]> {
  return new Promise((resolve) => {
    const ends: [number, Outcome][] = []
    const queue = new RoundRobin(seconds, ({ id }, outcome) => {
      ends.push([id, outcome])
      if (ends.length === jobs.length) resolve(ends)
    })
    for (const each of jobs) queue.add(each)
  })
}

describe('jobs of one tokenizer', () => {
  it('take turns, so that a short one ends before a long one that came first', async () => {
    const ends = await outcomes([
      job(1, busy(200)),
      job(2, busy(60)),
      job(
        3,
        once(() => 'short'),
      ),
    ])
    expect(ends).toEqual([
      [3, { value: 'short' }],
      [2, { value: 60 }],
      [1, { value: 200 }],
    ])
  })

  it('get no turn any more once they are cancelled', async () => {
    let steps = 0
    let before = 0
    await new Promise<void>((resolve) => {
      const queue = new RoundRobin(30, () => resolve())
      queue.add(
        job(
          1,
          busy(Number.POSITIVE_INFINITY, () => steps++),
        ),
      )
      setTimeout(() => {
        queue.cancel(1)
        before = steps
        queue.add(job(2, busy(50)))
      }, 30)
    })
    expect(before).toBeGreaterThan(0)
    expect(steps).toBe(before)
  })

  it('end with one sentence when their slices take too long together, or one of them does', async () => {
    const hang = once(() => {
      for (;;);
    })
    const ends = await outcomes([job(1, busy(1e6)), job(2, hang), job(3, busy(20))], 0.2)
    const late = (id: number): [number, Outcome] => [
      id,
      { error: `x.json takes more than 0.2 s to do ${id}; HEADZIP_TOKENIZER_SECONDS raises the limit` },
    ]
    expect(ends).toHaveLength(3)
    expect(ends).toContainEqual(late(1))
    expect(ends).toContainEqual(late(2))
    expect(ends).toContainEqual([3, { value: 20 }])
  })

  it('say what went wrong in them, and nothing else stops', async () => {
    const fault = once(() => {
      throw new RangeError('Maximum call stack')
    })
    expect(await outcomes([job(1, fault), job(2, busy(5))])).toEqual([
      [1, { error: 'x.json cannot do 1: Maximum call stack' }],
      [2, { value: 5 }],
    ])
  })
})
