/** Which samples this process takes when several, here or on other machines, share the work. */

import { check } from './check.js'
import { InputError, printable } from './errors.js'

/** Of `count` processes the one at `index`, from 0. */
export interface Shard {
  index: number
  count: number
}

export const wholeWork: Shard = { index: 0, count: 1 }

/** `1/4` -> the second of four. @throws InputError for anything else */
export function parseShard(text: string, option = '--shard'): Shard {
  check(text, 'text', 'string')
  check(option, 'option', 'string')
  const [, index, count] = /^(\d{1,6})\/(\d{1,6})$/.exec(text.trim()) ?? []
  const shard = { index: Number(index), count: Number(count) }
  if (index !== undefined && shard.index < shard.count) return shard
  throw new InputError(`${option} must be i/n with 0 <= i < n, such as 0/4, got '${printable(text)}'`)
}

/**
 * The shard that a Slurm array (SLURM_ARRAY_TASK_ID, _COUNT, _MIN, _STEP) or a Kubernetes indexed job
 * (JOB_COMPLETION_INDEX, and HEADZIP_SHARD_COUNT, since Kubernetes tells no count) gives to this process.
 * @returns undefined outside of both
 * @throws InputError when the variables contradict each other
 */
export function shardFromEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): { shard: Shard; from: string } | undefined {
  check(environment, 'environment', 'object')
  const slurm = environment.SLURM_ARRAY_TASK_ID
  if (slurm !== undefined && slurm !== '') {
    const at = (name: string, otherwise: string): number => whole(environment[name] ?? otherwise, name)
    const first = at('SLURM_ARRAY_TASK_MIN', '0')
    const step = Math.max(at('SLURM_ARRAY_TASK_STEP', '1'), 1)
    const index = (whole(slurm, 'SLURM_ARRAY_TASK_ID') - first) / step
    return {
      shard: checked(index, at('SLURM_ARRAY_TASK_COUNT', '1'), 'SLURM_ARRAY_TASK_ID'),
      from: 'SLURM_ARRAY_TASK_ID',
    }
  }
  const kubernetes = environment.JOB_COMPLETION_INDEX
  if (kubernetes === undefined || kubernetes === '') return undefined
  const count = environment.HEADZIP_SHARD_COUNT
  if (count === undefined)
    throw new InputError(
      'JOB_COMPLETION_INDEX is set but HEADZIP_SHARD_COUNT is not: set it to the completions of the job, or pass --shard',
    )
  const index = whole(kubernetes, 'JOB_COMPLETION_INDEX')
  return {
    shard: checked(index, whole(count, 'HEADZIP_SHARD_COUNT'), 'JOB_COMPLETION_INDEX'),
    from: 'JOB_COMPLETION_INDEX',
  }
}

/** The `part`-th of `parts` equal parts of a shard. */
export function subShard({ index, count }: Shard, part: number, parts: number): Shard {
  return { index: index + count * part, count: count * parts }
}

/** Every `count`-th item, from `index` on: neighbours, often of like size, go to different processes. */
export function itemsOf<T>(items: readonly T[], { index, count }: Shard): T[] {
  return items.filter((_, i) => i % count === index)
}

function whole(text: string, name: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new InputError(`${name} must be a whole number, it is '${text}'`)
}

function checked(index: number, count: number, name: string): Shard {
  if (Number.isInteger(index) && index >= 0 && index < count) return { index, count }
  throw new InputError(`${name} names shard ${index} of ${count}, which there is not`)
}
