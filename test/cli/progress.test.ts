import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { progressKind, Steps, withDownload } from '../../src/cli/progress.js'
import { ProgressBar } from '../../src/cli/progress-bar.js'
import { ProgressLines } from '../../src/cli/progress-lines.js'
import { Step } from '../../src/cli/progress-step.js'

/** What was written to stderr, and when, in seconds. */
let written: { at: number; text: string }[]

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance', 'Date'],
  })
  const begun = performance.now()
  written = []
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    written.push({ at: Math.round((performance.now() - begun) / 100) / 10, text: String(text) })
    return true
  })
})
afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
  vi.useRealTimers()
})

const seconds = (count: number): void => void vi.advanceTimersByTime(1000 * count)
const times = (): number[] => written.map(({ at }) => at)
const lines = (): string[] => written.map(({ text }) => text.trimEnd())

/** A step that does a tenth in each tenth of its time. */
function run(display: ProgressLines, label: string, lasting: number): void {
  const step = new Step(label)
  display.begin(step)
  for (let part = 1; part <= 10; part++) {
    seconds(lasting / 10)
    step.done = step.gained = part / 10
  }
  display.end(step, true)
}

describe('lines of progress', () => {
  it('are none for short work', () => {
    run(new ProgressLines(), 'prefill', 1.9)
    seconds(60)
    expect(written).toEqual([])
  })

  it('come after two seconds, then every ten, with the time left and the pace', () => {
    run(new ProgressLines(), 'prefill', 40)
    expect(times()).toEqual([2, 12, 22, 32, 40])
    expect(lines()).toEqual([
      'prefill: 2.0 s so far',
      'prefill: 20%, 48 s left, 1.7%/s',
      'prefill: 50%, 22 s left, 2.3%/s',
      'prefill: 70%, 14 s left, 2.2%/s',
      'prefill: done in 40.0 s',
    ])
  })

  it('come once a minute when the work lasts', () => {
    run(new ProgressLines(), 'scoring', 7200)
    expect(times().filter((at) => at < 600)).toHaveLength(60)
    const late = times().filter((at) => at > 602 && at < 7200)
    expect(late.slice(1).every((at, i) => at - late[i]! === 60)).toBe(true)
    expect(lines().at(-2)).toMatch(/^scoring: 90%, \d+ min \d+ s left, 45\.\d%\/h$/)
  })

  it('keep their pace over many short steps', () => {
    const display = new ProgressLines()
    for (let question = 0; question < 30; question++) run(display, `question ${question}`, 1.5)
    expect(times()).toEqual([2, 12, 22, 32, 42])
    expect(lines()[1]).toBe('question 7: 90%, 1 s left, 60.0%/s')
  })

  it('come without news, too', () => {
    const display = new ProgressLines()
    display.begin(new Step('kernels'))
    seconds(25)
    expect(lines()).toEqual(['kernels: 2.0 s so far', 'kernels: 12.0 s so far', 'kernels: 22.0 s so far'])
  })

  it('are of the innermost step, and of the outer one again after it', () => {
    const display = new ProgressLines()
    const outer = new Step('evaluating')
    const inner = new Step('rajpurkar/squad')
    display.begin(outer)
    seconds(1)
    display.begin(inner)
    seconds(2)
    display.end(inner, true)
    seconds(10)
    expect(lines()).toEqual(['rajpurkar/squad: 2.0 s so far', 'evaluating: 12.0 s so far'])
  })

  it('begin anew after a rest, as between two requests to a server', () => {
    const display = new ProgressLines()
    run(display, 'first', 1)
    seconds(100)
    run(display, 'second', 1)
    seconds(100)
    run(display, 'third', 5)
    expect(times()).toEqual([204])
  })
})

describe('what is shown', () => {
  it.each<[boolean, string, string, string]>([
    [true, 'xterm', '', 'bar'],
    [true, 'dumb', '', 'plain'],
    [false, 'xterm', '', 'plain'],
    [true, 'xterm', 'none', 'none'],
    [true, 'xterm', 'plain', 'plain'],
  ])('on a terminal: %s, TERM=%s, HEADZIP_PROGRESS=%s: %s', (terminal, term, variable, kind) => {
    vi.stubEnv('TERM', term)
    vi.stubEnv('HEADZIP_PROGRESS', variable)
    const before = process.stderr.isTTY
    process.stderr.isTTY = terminal
    try {
      expect(progressKind(undefined)).toBe(kind)
      expect(progressKind('plain')).toBe('plain')
    } finally {
      process.stderr.isTTY = before
    }
  })

  it('is a bar where a terminal can draw one, gone in the end', () => {
    const before = process.stderr.isTTY
    process.stderr.isTTY = true
    try {
      const bar = new ProgressBar()
      const step = new Step('scoring\u001b[31m')
      bar.begin(step)
      seconds(1)
      expect(written).toEqual([])
      step.done = step.gained = 0.5
      seconds(2)
      bar.end(step)
      const text = written.map((each) => each.text).join('')
      expect(text).toContain('scoring\\u001b[31m [')
      expect(text).toContain('50%')
      expect(text).not.toContain('\u001b[31m')
      const drawn = written.length
      seconds(5)
      expect(written).toHaveLength(drawn)
    } finally {
      process.stderr.isTTY = before
    }
  })

  it('names no step of the command that ended with an error as done', async () => {
    const steps = new Steps('plain')
    steps.begin('prefill')
    seconds(11)
    steps.end(false)
    expect(lines()).toEqual(['prefill: 2.0 s so far'])
  })

  it('is bytes and their pace for a download', async () => {
    await withDownload('org/model', 'plain', async ({ onProgress, onWait }) => {
      onProgress({ done: 0.5, bytes: 50 * 2 ** 20, fetched: 20 * 2 ** 20, total: 100 * 2 ** 20 })
      onWait({ why: 'hub: too many requests (429)', seconds: 55, attempt: 1, tries: 5 })
    })
    expect(lines()).toEqual([
      'org/model: hub: too many requests (429); trying again in 55.0 s (1 of 5 tries made)',
    ])
  })
})
