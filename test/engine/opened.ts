import { loadAddon } from '../../src/engine/binding.js'
import type { describeModel } from '../../src/model/describe.js'

/** What native code makes of a described model on the CPU, with fields of the request changed. */
export function opened({ spec, weights }: ReturnType<typeof describeModel>, change: object = {}): unknown {
  const { Engine } = loadAddon()
  return new Engine({
    device: 'cpu',
    threads: 1,
    gpuMemory: 0,
    randomWeights: 0,
    kernelTimes: false,
    spec,
    files: [weights[0]!.file],
    weights: weights.map((weight) => ({ ...weight, file: 0 })),
    ...change,
  })
}
