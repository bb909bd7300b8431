/** Names of repositories on the hub: `org/name`, `org/name@revision`, `org/name:file.gguf`. */

import { InputError } from '../errors.js'

export interface Repo {
  type: 'model' | 'dataset'
  /** `org/name` */
  name: string
  /** Branch, tag or commit. */
  revision: string
}

export interface NamedModel {
  /** `org/name` */
  name: string
  revision: string | undefined
  /** What follows a colon: a .gguf file of the repository, or a part of one's name such as `Q4_K_M`. */
  file: string | undefined
}

const part = '[A-Za-z0-9][\\w.-]{0,95}'
const namePattern = new RegExp(`^${part}/${part}$`)
const modelPattern = new RegExp(`^(${part}/${part})(?:@([^:]+))?(?::(.+))?$`)

/** undefined when the text cannot be a model on the hub. */
export function parseModelName(text: string): NamedModel | undefined {
  const [, name, revision, file] = modelPattern.exec(text) ?? []
  if (name === undefined || !isRepoName(name)) return undefined
  return { name, revision, file }
}

/** The hub's own rules: letters, digits and -_. in both parts, no `--` (the cache's separator) and no `..`. */
function isRepoName(name: string): boolean {
  return namePattern.test(name) && !/--|\.\.|[-.](\/|$)/.test(name)
}

/** @throws InputError unless both can be a repository's name and a revision of it */
export function checkRepo(repo: Repo): Repo {
  if (!isRepoName(repo.name)) {
    throw new InputError(`a ${repo.type} on the hub is named org/name, got '${repo.name.slice(0, 80)}'`)
  }
  // git's own rules for names of references, as far as they matter to a path.
  if (!/^[\w][\w./+#-]{0,199}$/.test(repo.revision) || /\.\.|\/\/|[/.]$/.test(repo.revision)) {
    throw new InputError(`a revision is a branch, tag or commit, got '${repo.revision.slice(0, 80)}'`)
  }
  return repo
}

export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision)
}

/** Its folder in the cache. */
export function folderName({ type, name }: Repo): string {
  return `${type}s--${name.replace('/', '--')}`
}

/** For messages: `org/name`, with the revision where it is not the default. */
export function describeRepo({ name, revision }: Repo): string {
  return revision === 'main' ? name : `${name}@${revision}`
}
