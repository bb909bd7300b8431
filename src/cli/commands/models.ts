import type { Argv } from 'yargs'
import { InputError } from '../../errors.js'
import { escapeText } from '../../escape.js'
import { type CachedModel, type CachedRevision, scanModels } from '../../hub/scan.js'
import { hubSettings } from '../../hub/settings.js'
import { shortNames } from '../../hub/short-names.js'
import { shortNameTable } from '../../hub/tables.js'
import { embeddedModels } from '../../model/embedded.js'
import { families } from '../../model/families/index.js'
import type { GlobalOptions } from '../options.js'
import { formatBytes, printJson, printText, table } from '../output.js'

export function models(cli: Argv<GlobalOptions>): Argv<GlobalOptions> {
  return cli.command(
    'models',
    'List model families, short names, and the models in the Hugging Face cache',
    (args) =>
      args
        .options({
          markdown: {
            type: 'boolean',
            default: false,
            describe: 'Print the table of short names as Markdown',
          },
        })
        .example('$0 models', 'What can be named where a command takes a model'),
    async ({ json, markdown }) => {
      if (markdown && json) throw new InputError('give --json or --markdown, not both')
      if (markdown) {
        printText(shortNameTable())
        return
      }
      const { cacheFolder } = hubSettings()
      const cached = await scanModels(cacheFolder)
      if (json) printJson(asJson(cacheFolder, cached))
      else printText(asText(cacheFolder, cached))
    },
  )
}

function asJson(cacheFolder: string, cached: CachedModel[]): object {
  return {
    embedded: embeddedModels,
    families: families.map(({ architectures, chat }) => ({ architectures, chat })),
    shortNames: shortNames.map((each) => ({ ...each, supported: isSupported(each.architecture) })),
    cacheFolder,
    cached: cached.map(({ revisions, ...model }) => ({
      ...model,
      revisions: revisions.map((each) => ({ ...each, complete: each.missing.length === 0 })),
    })),
  }
}

function asText(cacheFolder: string, cached: CachedModel[]): string {
  const inCache = new Map(cached.map((model) => [model.name, model]))
  const familyRows = families.map(({ architectures, chat }) => [
    architectures.join(', '),
    chat ?? "the tokenizer's template",
  ])
  const nameRows = [
    ...embeddedModels.map((name) => [name, '', 'with this package']),
    ...shortNames.map(({ name, repo, architecture }) => [
      name,
      repo,
      isSupported(architecture) ? stateOf(inCache.get(repo)) : `not supported: ${architecture}`,
    ]),
  ]
  const cacheRows = cached.flatMap((model) =>
    model.revisions.length === 0
      ? [[model.name, '', '', formatBytes(model.bytes), stateOf(model)]]
      : model.revisions.map((each) => [
          model.name,
          each.refs.join(', '),
          each.commit.slice(0, 12),
          formatBytes(each.bytes),
          revisionState(each, model),
        ]),
  )
  const cache =
    cacheRows.length === 0
      ? `No models in ${escapeText(cacheFolder)}`
      : `Models in ${escapeText(cacheFolder)}\n\n${table(['model', 'revision', 'commit', 'size', 'state'], cacheRows)}`
  return [
    table(['architecture', 'prompts'], familyRows),
    table(['name', 'on the hub', 'here'], nameRows),
    cache,
  ].join('\n\n')
}

function isSupported(architecture: string): boolean {
  return families.some(({ architectures }) => architectures.includes(architecture))
}

/** The best of a model's revisions. */
function stateOf(model: CachedModel | undefined): string {
  if (!model) return ''
  if (model.revisions.some(({ missing }) => missing.length === 0)) return 'complete'
  return model.unfinishedBytes > 0
    ? `broken off, ${formatBytes(model.unfinishedBytes)} to go on from`
    : 'incomplete'
}

function revisionState({ missing }: CachedRevision, model: CachedModel): string {
  if (missing.length === 0) return 'complete'
  const unfinished = model.unfinishedBytes > 0 ? ` (${formatBytes(model.unfinishedBytes)} to go on from)` : ''
  return missing.length > 2
    ? `${missing.length} files missing${unfinished}`
    : `without ${missing.join(', ')}${unfinished}`
}
