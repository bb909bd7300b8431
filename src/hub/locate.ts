/** Any way to name a model, to a path on this disk: a folder, a .gguf file, an embedded model, a short name, a hub id. */

import { existsSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { check } from '../check.js'
import { didYouMean } from '../did-you-mean.js'
import { InputError } from '../errors.js'
import { embeddedFolder, embeddedModels } from '../model/embedded.js'
import { stemOf } from '../model/gguf/parts.js'
import { checkHubOptions, fetchModel, type HubOptions } from './fetch-model.js'
import { HubRefusal } from './refusals.js'
import { type NamedModel, parseModelName } from './repo.js'
import { resolveShortName, shortNames } from './short-names.js'

export interface LocateOptions extends HubOptions {
  /** Branch, tag or commit of a model on the hub; `org/name@revision` says the same. */
  revision?: string | undefined
}

export interface LocatedModel {
  /** Of a folder in Hugging Face's layout, or of a .gguf file. */
  path: string
  /** Name for files and messages: without organisation, folder and ending. */
  id: string
}

/**
 * What is on disk goes before names of the hub; those are downloaded where the cache lacks them.
 * @throws InputError when nothing of that name is here or on the hub
 */
export async function locateModel(pathOrName: string, options: LocateOptions = {}): Promise<LocatedModel> {
  check(pathOrName, 'pathOrName', 'path')
  checkHubOptions(options)
  const { revision } = options
  if (embeddedModels.includes(pathOrName) || existsSync(pathOrName)) {
    if (revision !== undefined) {
      throw new InputError(`a revision goes with a model on the hub, but ${pathOrName} is on this disk`)
    }
    return embeddedModels.includes(pathOrName)
      ? { path: embeddedFolder(pathOrName), id: pathOrName }
      : { path: pathOrName, id: idOf(pathOrName) }
  }
  const named = namedModel(pathOrName, revision)
  if (!named) {
    throw new InputError(
      `${pathOrName} is not a model: give a folder with a config.json, a .gguf file, ${embeddedModels.join(', ')}, ` +
        'a short name that headzip models lists, or a name on the hub such as Qwen/Qwen3-8B' +
        didYouMean(/^[^@:]*/.exec(pathOrName)![0], [
          ...embeddedModels,
          ...shortNames.map(({ name }) => name),
        ]),
    )
  }
  try {
    const path = await fetchModel(named, options)
    return { path, id: path.endsWith('.gguf') ? idOf(path) : (named.name.split('/')[1] ?? named.name) }
  } catch (error) {
    if (!(error instanceof HubRefusal) || ![401, 404].includes(error.status)) throw error
    const meant = didYouMean(named.name, [...new Set(shortNames.map(({ repo }) => repo))])
    throw new InputError(`there is no ${pathOrName} on this disk, and ${error.message}${meant}`, {
      cause: error,
    })
  }
}

function namedModel(text: string, revision: string | undefined): NamedModel | undefined {
  // `qwen3-8b@main` works as `Qwen/Qwen3-8B@main` does.
  const [, short = '', rest = ''] = /^([^/@:]+)(.*)$/s.exec(text) ?? []
  const repo = resolveShortName(short)
  const named = parseModelName(repo === undefined ? text : `${repo}${rest}`)
  if (!named || revision === undefined) return named
  if (named.revision !== undefined && named.revision !== revision) {
    throw new InputError(`${text} names the revision ${named.revision}, --revision names ${revision}`)
  }
  return { ...named, revision }
}

/** The last part of a path; of a snapshot in the Hugging Face cache, whose last part is a commit, the model's name. */
function idOf(path: string): string {
  const full = resolve(path)
  const cached = /\/models--[^/]+--([^/]+)\/snapshots\/[^/]+$/.exec(full)
  return cached?.[1] ?? stemOf(basename(full))
}
