import type { Options } from 'yargs'
import type { Device } from '../engine/open.js'
import { InputError } from '../errors.js'
import { loadModel, type Model } from '../inference/model.js'

export interface GlobalOptions {
  json: boolean
  verbose: boolean
}

/** Options of every command that loads a model. */
export const engineOptions = {
  device: {
    choices: ['auto', 'cpu', 'cuda'] as const satisfies readonly Device[],
    default: 'auto' as Device,
    describe: 'Where to compute',
  },
  threads: { type: 'number', describe: 'CPU threads (default: all cores)' },
} as const satisfies Record<string, Options>

export const forceOption = {
  force: { type: 'boolean', default: false, describe: 'Replace what is there' },
} as const satisfies Record<string, Options>

/** Loads a model for the time of one use. */
export async function withModel<T>(
  pathOrName: string,
  options: { device: Device; threads: number | undefined },
  use: (model: Model) => Promise<T>,
): Promise<T> {
  const model = await loadModel(pathOrName, { device: options.device, threads: options.threads })
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
  throw new InputError(`${option} must be names joined by commas, got '${text}'`)
}

/** `0,2` -> 0 and 2. @throws InputError unless all are whole numbers */
export function indicesIn(text: string, option: string): number[] {
  const names = namesIn(text, option)
  if (names.every((name) => /^\d{1,9}$/.test(name))) return names.map(Number)
  throw new InputError(`${option} must be whole numbers joined by commas, got '${text}'`)
}
