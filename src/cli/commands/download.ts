import type { Argv } from 'yargs'
import { locateModel } from '../../hub/locate.js'
import { interruptSignal } from '../interrupt.js'
import { engineOptions, type GlobalOptions, modelDescription } from '../options.js'
import { printJson, printLine } from '../output.js'
import { withDownload } from '../progress.js'

export function download(cli: Argv<GlobalOptions>): Argv<GlobalOptions> {
  return cli.command(
    'download <model>',
    'Download a model from the hub into the Hugging Face cache, and print where it lies',
    (args) =>
      args
        .positional('model', { type: 'string', demandOption: true, describe: modelDescription })
        .options({ revision: engineOptions.revision })
        .example('$0 download qwen2.5-7b', 'Every command does so by itself; this one does nothing else')
        .example('$0 download org/name-GGUF:Q4_K_M', 'One file of a repository of quantised ones'),
    async ({ model, revision, json, progress }) => {
      const located = await withDownload(model, progress, (callbacks) =>
        locateModel(model, { revision, ...callbacks, signal: interruptSignal }),
      )
      if (json) printJson(located)
      else printLine(located.path)
    },
  )
}
