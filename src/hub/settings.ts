/** Where the Hugging Face cache lies and how the hub is reached: the environment variables that Python's huggingface_hub reads. */

import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { check } from '../check.js'
import { InputError } from '../errors.js'
import { type ProxySettings, proxiesFrom } from './proxy.js'

export interface HubSettings {
  /** No slash at its end. */
  endpoint: string
  /** Holds `models--org--name/{blobs,refs,snapshots}`. */
  cacheFolder: string
  token: string | undefined
  /** Only the cache is used. */
  offline: boolean
  /** A request that brings nothing for this long has failed. */
  timeoutSeconds: number
  /** Wait before the second try of a failed request; doubled for each further one. */
  backoffSeconds: number
  /** Most time for all tries of one request; what takes longer, by the server's own word, is not waited for. */
  patienceSeconds: number
  /** None when left out. */
  proxies?: ProxySettings | undefined
}

type Environment = Readonly<Record<string, string | undefined>>

/** @throws InputError when a variable holds something that cannot be used */
export function hubSettings(env: Environment = process.env): HubSettings {
  check(env, 'env', 'object')
  const home =
    folder(env.HF_HOME) ?? join(folder(env.XDG_CACHE_HOME) ?? join(homedir(), '.cache'), 'huggingface')
  return {
    endpoint: endpointOf(env.HF_ENDPOINT || 'https://huggingface.co'),
    cacheFolder: folder(env.HF_HUB_CACHE) ?? folder(env.HUGGINGFACE_HUB_CACHE) ?? join(home, 'hub'),
    token: tokenOf(env, home),
    offline: isTrue(env.HF_HUB_OFFLINE || env.TRANSFORMERS_OFFLINE),
    timeoutSeconds: secondsOf(env.HF_HUB_DOWNLOAD_TIMEOUT),
    backoffSeconds: 1,
    patienceSeconds: 300,
    proxies: proxiesFrom(env),
  }
}

function folder(path: string | undefined): string | undefined {
  if (path === undefined || path === '') return undefined
  return resolve(path.replace(/^~(?=\/|$)/, homedir()))
}

function endpointOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url && /^https?:$/.test(url.protocol)) return text.replace(/\/+$/, '')
  throw new InputError(`HF_ENDPOINT must be an http or https address, got '${text.slice(0, 200)}'`)
}

/** Of the variable, else of the file that `hf auth login` writes. */
function tokenOf(env: Environment, home: string): string | undefined {
  const given = env.HF_TOKEN?.trim() || env.HUGGING_FACE_HUB_TOKEN?.trim() || readToken(env, home)
  if (!given) return undefined
  if (/^[\x21-\x7e]+$/.test(given)) return given
  throw new InputError(
    'the Hugging Face token holds characters that no token has: check HF_TOKEN or the token file',
  )
}

function readToken(env: Environment, home: string): string | undefined {
  if (isTrue(env.HF_HUB_DISABLE_IMPLICIT_TOKEN)) return undefined
  const file = folder(env.HF_TOKEN_PATH) ?? join(home, 'token')
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw new InputError(`${file} cannot be read: ${(error as Error).message}`, { cause: error })
  }
}

function isTrue(value: string | undefined): boolean {
  return ['1', 'ON', 'YES', 'TRUE'].includes(value?.toUpperCase() ?? '')
}

function secondsOf(text: string | undefined): number {
  if (text === undefined || text === '') return 30
  const seconds = Number(text)
  if (seconds > 0 && Number.isFinite(seconds)) return seconds
  throw new InputError(`HF_HUB_DOWNLOAD_TIMEOUT must be a number of seconds, got '${text.slice(0, 80)}'`)
}
