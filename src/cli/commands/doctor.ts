import type { Argv } from 'yargs'
import { findAddon } from '../../engine/binding.js'
import { version } from '../../engine/version.js'
import { isUserError } from '../../errors.js'
import type { GlobalOptions } from '../options.js'
import { formatBytes, printJson, printText, table } from '../output.js'

export function doctor(cli: Argv<GlobalOptions>): Argv<GlobalOptions> {
  return cli.command(
    'doctor',
    'Show what headzip runs on',
    (args) => args.example('$0 doctor', 'Versions, instruction set, and whether a GPU is used'),
    ({ json }) => {
      const found = {
        headzip: version,
        node: process.version,
        platform: `${process.platform} ${process.arch}`,
        ...engine(),
      }
      if (json) printJson(found)
      else printText(table(['what', 'found'], Object.entries(found)))
    },
  )
}

/** Without an engine everything else still works, and this command is where one looks for the reason. */
function engine() {
  try {
    const { addon, path } = findAddon()
    const { isa, threads, cuda } = addon.devices()
    return {
      addon: path,
      cpu: `${isa}, ${threads} threads`,
      cuda:
        cuda.reason === ''
          ? `${cuda.name}, compute capability ${(cuda.compute / 10).toFixed(1)}, ${formatBytes(cuda.memory)}`
          : `no: ${cuda.reason}`,
      cublaslt: cuda.cublaslt || 'not found',
    }
  } catch (error) {
    if (!isUserError(error)) throw error
    const unknown = 'unknown without the addon'
    return { addon: `none: ${error.message}`, cpu: unknown, cuda: unknown, cublaslt: unknown }
  }
}
