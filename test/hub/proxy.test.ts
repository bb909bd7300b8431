import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { fetchModel } from '../../src/hub/fetch-model.js'
import { proxiesFrom } from '../../src/hub/proxy.js'
import { parseModelName } from '../../src/hub/repo.js'
import { headzip, type Outcome } from '../cli/headzip.js'
import { scratchFolder } from '../scratch.js'
import { LoopbackProxy } from './proxy-server.js'
import { everything, settingsFor } from './repos.js'
import { certificate, FakeHub } from './server.js'

const plain = new FakeHub(everything)
const secure = new FakeHub(everything, true)
const proxy = new LoopbackProxy()
const password = 'hunter2'
const address = (credentials = ''): string => `http://${credentials}127.0.0.1:${proxy.port}`

beforeAll(() => Promise.all([plain.start(), secure.start(), proxy.start()]))
afterAll(() => Promise.all([plain.stop(), secure.stop(), proxy.stop()]))
beforeEach(() => {
  proxy.reset()
  plain.asked.length = 0
  secure.asked.length = 0
})

/** The words of a refusal, with the addresses of this run left out. */
function words(text: string): string {
  return text
    .replaceAll(plain.endpoint, 'HUB')
    .replaceAll(secure.endpoint, 'HUB')
    .replaceAll(`127.0.0.1:${proxy.port}`, 'PROXY')
    .replace(/\d+\.\d s\)/, 'T s)')
}

/** Fetches a model within this process. */
async function fetchWith(env: Record<string, string>, hub = plain): Promise<string> {
  const settings = settingsFor(hub, { proxies: proxiesFrom(env) })
  return await fetchModel(parseModelName('tests/quantised-GGUF:Q4')!, { settings })
}

async function refusal(env: Record<string, string>, hub = plain): Promise<string> {
  const error: unknown = await fetchWith(env, hub).catch((thrown: unknown) => thrown)
  const { message, stack } = error as Error
  for (const text of [message, stack]) expect(text).not.toContain(password)
  return words(message)
}

describe('a hub at http:// behind a proxy', () => {
  it.each(['HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy'])(
    'is asked through %s, files on another host and all, without a tunnel',
    async (variable) => {
      expect(existsSync(await fetchWith({ [variable]: address() }))).toBe(true)
      const asked = [...plain.asked]
      expect(asked.map(({ host }) => host)).toContain('files')
      expect(proxy.asked).toHaveLength(asked.length)
      expect(proxy.asked.every((line) => / http:\/\/(127\.0\.0\.1|localhost):/.test(line))).toBe(true)
    },
  )

  it('takes an address without a scheme', async () => {
    await fetchWith({ HTTP_PROXY: `127.0.0.1:${proxy.port}` })
    expect(proxy.asked.length).toBeGreaterThan(0)
  })

  it.each(['127.0.0.1,localhost', '*', ' localhost , 127.0.0.1 '])(
    'is asked directly where NO_PROXY is %j',
    async (except) => {
      await fetchWith({ HTTP_PROXY: address(), NO_PROXY: except })
      expect(proxy.asked).toEqual([])
      expect(plain.asked.length).toBeGreaterThan(0)
    },
  )

  it('is asked through the proxy where only the other host is named in no_proxy', async () => {
    await fetchWith({ HTTP_PROXY: address(), no_proxy: 'localhost' })
    const [hub, files] = ['hub', 'files'].map((host) => plain.asked.filter((each) => each.host === host))
    expect(files).toHaveLength(1)
    expect(proxy.asked).toHaveLength(hub!.length)
  })

  it('sends user and password to the proxy and nowhere else', async () => {
    proxy.credentials = `kim:${password}`
    await fetchWith({ HTTP_PROXY: address(`kim:${password}@`) })
    expect(proxy.asked.length).toBeGreaterThan(0)
    expect(plain.asked.every(({ authorization }) => authorization === undefined)).toBe(true)
  })

  it('cannot be reached with a wrong password, of which nothing is said', async () => {
    proxy.credentials = 'kim:another'
    expect(await refusal({ HTTP_PROXY: address(`kim:${password}@`) })).toBe(
      'the proxy http://PROXY asks for a user and a password, or other ones (407): HTTP_PROXY takes them as http://user:password@host:port',
    )
    expect(proxy.asked).toHaveLength(1)
  })

  it('says through which proxy it cannot be reached', async () => {
    const closed = await new LoopbackProxy().start()
    const { port } = closed
    await closed.stop()
    const sentence = await refusal({ all_proxy: `http://kim:${password}@127.0.0.1:${port}/` })
    expect(sentence.replaceAll(`:${port}`, ':PORT')).toBe(
      'HUB cannot be reached through the proxy http://127.0.0.1:PORT: connect ECONNREFUSED 127.0.0.1:PORT (5 tries in T s)',
    )
  })

  it.each([
    [`socks5://kim:${password}@127.0.0.1:1080`, 'a socks5 address'],
    [`http://kim:${password}@`, 'what is no address'],
    [`http://${password} :3128`, 'what is no address'],
  ])('refuses %j as a proxy, and quotes nothing of it', async (bad, got) => {
    expect(await refusal({ HTTP_PROXY: bad })).toBe(
      `HTTP_PROXY must be the http or https address of a proxy, such as http://proxy:3128, got ${got}; unset it, or list the hub in NO_PROXY`,
    )
  })
})

describe('a hub at https:// behind a proxy', () => {
  /** Node reads the certificates that it trusts once, so this takes a process of its own. */
  function download(env: Record<string, string>): Promise<Outcome> {
    const home = join(scratchFolder(), 'hf')
    const own = { HF_HOME: home, HF_HUB_CACHE: '', HF_ENDPOINT: secure.endpoint, HF_TOKEN: 'hf_any' }
    return headzip(['download', 'tests/quantised-GGUF:Q4', '--progress', 'plain'], {
      env: { ...own, HF_HUB_OFFLINE: '', NODE_EXTRA_CA_CERTS: certificate, NO_PROXY: '', ...env },
    })
  }

  it('is asked through tunnels, whose ends the proxy cannot read', async () => {
    proxy.credentials = `kim:${password}`
    const { code, out, err } = await download({ HTTPS_PROXY: address(`kim:${password}@`) })
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(existsSync(out.trim())).toBe(true)
    expect(new Set(proxy.asked.map((line) => line.replace(/\d+$/, '')))).toEqual(
      new Set(['CONNECT 127.0.0.1:', 'CONNECT localhost:']),
    )
    expect(secure.asked.map(({ authorization }) => authorization)).toContain('Bearer hf_any')
  })

  it('is asked again when the proxy is busy, and says on stderr that it waits', async () => {
    proxy.busy = { tunnels: 1, status: 503 }
    const { code, err } = await download({ https_proxy: address() })
    expect(code).toBe(0)
    expect(words(err)).toMatch(
      /^tests\/quantised-GGUF:Q4: HUB: the proxy answers 503; trying again in \d+ ms \(1 of 5 tries made\)\n$/,
    )
  })

  it('is given up at once when the proxy refuses the host', async () => {
    proxy.refusing = 403
    const { code, out, err } = await download({ HTTPS_PROXY: address(`kim:${password}@`) })
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(words(err)).toBe(
      'the proxy http://PROXY refuses to connect to HUB (403): check HTTPS_PROXY, or list the host in NO_PROXY\n',
    )
    expect(proxy.asked).toHaveLength(1)
  })
})

describe('proxies of the environment', () => {
  it.each<[Record<string, string>, string | undefined, string | undefined]>([
    [{}, undefined, undefined],
    [{ HTTPS_PROXY: 'http://a' }, undefined, 'HTTPS_PROXY'],
    [{ HTTPS_PROXY: 'http://a', https_proxy: 'http://b' }, undefined, 'https_proxy'],
    [{ https_proxy: '', HTTPS_PROXY: 'http://a' }, undefined, 'HTTPS_PROXY'],
    [{ HTTP_PROXY: 'http://a' }, 'HTTP_PROXY', 'HTTP_PROXY'],
    [{ HTTP_PROXY: 'http://a', ALL_PROXY: 'http://b' }, 'HTTP_PROXY', 'ALL_PROXY'],
    [{ HTTP_PROXY: 'http://a', NO_PROXY: '*' }, undefined, undefined],
  ])('%j: http by %s, https by %s', (env, http, https) => {
    const proxies = proxiesFrom(env)
    expect(proxies?.http?.variable).toBe(http)
    expect(proxies?.https?.variable).toBe(https)
  })
})
