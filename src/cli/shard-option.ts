import type { Options } from 'yargs'
import { parseShard, type Shard, shardFromEnvironment, wholeWork } from '../shard.js'
import { printNote } from './output.js'

/** Option of every command whose work may be shared by processes. */
export const shardOption = {
  shard: {
    type: 'string',
    describe:
      'This process takes the i-th of n shards, i/n (default: as a Slurm array or Kubernetes indexed job says; none: all)',
  },
} as const satisfies Record<string, Options>

/** Says on stderr when the environment chose. @throws InputError for what is no shard */
export function chosenShard(given: string | undefined): Shard {
  if (given === 'none') return wholeWork
  if (given !== undefined) return parseShard(given)
  const found = shardFromEnvironment(process.env)
  if (!found) return wholeWork
  const { index, count } = found.shard
  printNote(`shard ${index}/${count}, from ${found.from} (--shard none takes all)`)
  return found.shard
}
