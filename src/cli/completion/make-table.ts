import { knownNames } from '../../data/sets.js'
import { shortNames } from '../../hub/short-names.js'
import { embeddedModels } from '../../model/embedded.js'
import { commandTree } from '../cli.js'
import type { CompletionTable } from './table.js'

export function makeTable(): CompletionTable {
  return {
    root: commandTree(),
    models: [...embeddedModels, ...shortNames.map(({ name }) => name)],
    dataSets: [...knownNames],
  }
}
