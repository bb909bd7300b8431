import type { Options } from 'yargs'
import type { Device } from '../engine/open.js'
import { InputError } from '../errors.js'
import { loadModel, type Model } from '../inference/model.js'
import { interruptSignal } from './interrupt.js'
import { type ProgressKind, withDownload } from './progress.js'

export interface GlobalOptions {
  json: boolean
  verbose: boolean
  progress: ProgressKind | undefined
}

/** Of the argument of every command that loads a model. */
export const modelDescription =
  'Folder, .gguf file, nano, a short name (see headzip models), or org/name[@revision][:file.gguf] on the hub'

/** Options of every command that loads a model. */
export const engineOptions = {
  device: {
    choices: ['auto', 'cpu', 'cuda'] as const satisfies readonly Device[],
    default: 'auto' as Device,
    describe: 'Where to compute',
  },
  revision: { type: 'string', describe: 'Branch, tag or commit of a model on the hub (default: main)' },
  threads: { type: 'number', describe: 'CPU threads (default: all cores)' },
  'gpu-memory': {
    type: 'string',
    describe: 'Most GPU memory to hold, weights included, as 8GiB (default: what is free)',
  },
} as const satisfies Record<string, Options>

export const forceOption = {
  force: { type: 'boolean', default: false, describe: 'Replace what is there' },
} as const satisfies Record<string, Options>

/** Loads a model for the time of one use. */
export async function withModel<T>(
  pathOrName: string,
  options: {
    device: Device
    revision: string | undefined
    threads: number | undefined
    gpuMemory: string | undefined
    progress: ProgressKind | undefined
  },
  use: (model: Model) => Promise<T>,
): Promise<T> {
  const { device, revision, threads, progress } = options
  const gpuMemory = options.gpuMemory === undefined ? undefined : bytesIn(options.gpuMemory, '--gpu-memory')
  const model = await withDownload(pathOrName, progress, (callbacks) =>
    loadModel(pathOrName, { device, revision, threads, gpuMemory, ...callbacks, signal: interruptSignal }),
  )
  try {
    return await use(model)
  } finally {
    model.close()
  }
}

/** `a,b` -> a and b. @throws InputError when nothing is named */
export function namesIn(text: string, option: string): string[] {
  const names = text.split(',').map((name) => name.trim())
  if (names.every((name) => name !== '')) return names
  throw new InputError(`${option} must be comma-separated names, got '${text}'`)
}

/** `0,2` -> 0 and 2. @throws InputError unless all are whole numbers */
export function indicesIn(text: string, option: string): number[] {
  const names = namesIn(text, option)
  if (names.every((name) => /^\d{1,9}$/.test(name))) return names.map(Number)
  throw new InputError(`${option} must be comma-separated whole numbers, got '${text}'`)
}

/** `8GiB`, `500MB`, `1073741824` -> bytes. @throws InputError for anything else */
export function bytesIn(text: string, option: string): number {
  const units: Record<string, number> = {
    '': 1,
    B: 1,
    KB: 1e3,
    MB: 1e6,
    GB: 1e9,
    KIB: 2 ** 10,
    MIB: 2 ** 20,
    GIB: 2 ** 30,
  }
  const [, count, unit = ''] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim()) ?? []
  const factor = units[unit.toUpperCase()]
  if (count === undefined || factor === undefined || Number(count) <= 0)
    throw new InputError(`${option} must be a size such as 8GiB or 500MB, got '${text}'`)
  return Math.floor(Number(count) * factor)
}
