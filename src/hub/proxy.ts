/** Ways to the hub through a proxy: what the environment names, and the fetch that goes through it. */

import type { Dispatcher } from 'undici'
import { InputError } from '../errors.js'

type Environment = Readonly<Record<string, string | undefined>>

/** A proxy, and the variable that named it. The address may hold a password: it is in no message. */
export interface NamedProxy {
  variable: string
  address: string
}

export interface ProxySettings {
  /** For hubs at http://, and at https://. */
  http: NamedProxy | undefined
  https: NamedProxy | undefined
  /** Hosts that are reached directly, comma-separated: `localhost,.example.org,10.0.0.7:8080`; `*` for all. */
  except: string
}

/** As curl and Python read them, lower case first; without HTTPS_PROXY and ALL_PROXY, HTTP_PROXY serves https, too. */
export function proxiesFrom(env: Environment): ProxySettings | undefined {
  const first = (...names: string[]): NamedProxy | undefined => {
    const variable = names.flatMap((name) => [name.toLowerCase(), name]).find((name) => env[name]?.trim())
    return variable === undefined ? undefined : { variable, address: env[variable]!.trim() }
  }
  const except = (env.no_proxy ?? env.NO_PROXY ?? '').trim()
  const http = first('HTTP_PROXY', 'ALL_PROXY')
  const https = first('HTTPS_PROXY', 'ALL_PROXY', 'HTTP_PROXY')
  return (http ?? https) && except !== '*' ? { http, https, except } : undefined
}

/** The proxy for addresses of this kind; NO_PROXY may still name the host. */
export function proxyFor(url: string, proxies: ProxySettings | undefined): NamedProxy | undefined {
  return url.startsWith('https:') ? proxies?.https : proxies?.http
}

/** `http://proxy.example:3128`, without user and password. @throws InputError for what is no address of a proxy */
export function describeProxy(proxy: NamedProxy): string {
  const { protocol, host } = urlOf(proxy)
  return `${protocol}//${host}`
}

/** @returns fetch of Node itself without proxies. @throws InputError for an address that cannot be a proxy's */
export async function fetchThrough(proxies: ProxySettings | undefined): Promise<typeof fetch> {
  if (!proxies) return fetch
  const { fetch: proxied } = await import('undici')
  const dispatcher = await dispatcherOf(proxies)
  // Its own types are of a later version than the ones that Node's fetch has.
  const through = (url: string, init: object): Promise<unknown> => proxied(url, { ...init, dispatcher })
  return through as unknown as typeof fetch
}

/** One a set of proxies: connections are kept for later requests. */
const dispatchers = new Map<string, Dispatcher>()

async function dispatcherOf({ http, https, except }: ProxySettings): Promise<Dispatcher> {
  const addresses = [http, https].map((proxy) => (proxy ? urlOf(proxy).href : ''))
  const key = JSON.stringify([...addresses, except])
  const known = dispatchers.get(key)
  if (known) return known
  const { EnvHttpProxyAgent } = await import('undici')
  const [httpProxy, httpsProxy] = addresses as [string, string]
  // Proxies let a CONNECT through to port 443, and seldom to others: what is not encrypted goes without a tunnel.
  const made = new EnvHttpProxyAgent({ httpProxy, httpsProxy, noProxy: except, proxyTunnel: false })
  dispatchers.set(key, made)
  return made
}

function urlOf({ variable, address }: NamedProxy): URL {
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(address) ? address : `http://${address}`
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url && /^https?:$/.test(url.protocol) && url.hostname !== '') return url
  const got = url && url.protocol !== '' ? `a ${url.protocol.slice(0, -1)} address` : 'what is no address'
  throw new InputError(
    `${variable} must be the http or https address of a proxy, such as http://proxy:3128, got ${got}; ` +
      'unset it, or list the hub in NO_PROXY',
  )
}
