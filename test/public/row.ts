import { join } from 'node:path'
import { scratchFolder } from '../scratch.js'
import { call, flag, name, nothing, optional, type Takes } from './wrong.js'

/** What a public function takes. */
export interface Row {
  /** Arguments that are right. */
  good: unknown[]
  /** Of each parameter. */
  takes: Takes[]
  /** Of fields, by the parameter that holds them. */
  fields?: Record<number, Record<string, Takes>>
}

export const folder = scratchFolder()
export const at = (file: string): string => join(folder, file)

export const settings = {
  ...{ endpoint: 'http://127.0.0.1:1', cacheFolder: folder, token: undefined, offline: true },
  ...{ timeoutSeconds: 1, backoffSeconds: 1, patienceSeconds: 1 },
}

export const rule = optional(nothing)
export const job = { onProgress: optional(call), signal: optional(nothing) }
export const write = { force: optional(flag) }
export const hub = {
  ...job,
  onWait: optional(call),
  settings: rule,
  revision: optional(name),
}
