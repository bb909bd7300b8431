import type { Argv } from 'yargs'
import { addonPaths, loadAddon } from '../../engine/binding.js'
import { version } from '../../engine/version.js'
import type { GlobalOptions } from '../options.js'
import { formatBytes, printJson, printText, table } from '../output.js'

export function doctor(cli: Argv<GlobalOptions>): Argv<GlobalOptions> {
  return cli.command(
    'doctor',
    'Show what headzip runs on',
    (args) => args.example('$0 doctor', 'Versions, instruction set, and whether a GPU is used'),
    ({ json }) => {
      const { isa, threads, cuda } = loadAddon().devices()
      const found = {
        headzip: version,
        node: process.version,
        platform: `${process.platform} ${process.arch}`,
        addon: addonPaths()[0] ?? '',
        cpu: `${isa}, ${threads} threads`,
        cuda:
          cuda.reason === ''
            ? `${cuda.name}, compute capability ${(cuda.compute / 10).toFixed(1)}, ${formatBytes(cuda.memory)}`
            : `no: ${cuda.reason}`,
        cublaslt: cuda.cublaslt || 'not found',
      }
      if (json) printJson(found)
      else printText(table(['what', 'found'], Object.entries(found)))
    },
  )
}
