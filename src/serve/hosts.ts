/**
 * Which hosts a server answers to. Once a site lets its name resolve to 127.0.0.1 (DNS rebinding), its pages can make a
 * browser ask a server of this machine and read what it says; what they cannot choose are the headers Host and Origin.
 */

import { hostname } from 'node:os'
import type { FastifyRequest } from 'fastify'
import { printable } from '../errors.js'
import { ApiError } from './errors.js'

/** `name`, an address or a name in lower case; an IPv6 address stands in brackets. */
interface HostAndPort {
  name: string
  /** Left out: whatever port. */
  port?: number | undefined
}

const loopback = ['localhost', '127.0.0.1', '[::1]']

export interface HostOptions {
  /** What the server listens on. */
  host: string
  /** Beside what it listens on: `llm.example.com`, `10.0.0.5:8080`, or `*` for any. */
  allowedHosts: readonly string[]
}

/**
 * Answered are loopback names and what is listened on, with the port, and `allowedHosts`. A server on all interfaces is
 * meant to be reached under names that it cannot know: unless `allowedHosts` names them, any Host is answered there.
 * Pages that send an Origin must be of an answered host, or of the one they ask.
 * @returns throws ApiError 403 for a request to, or from a page of, any other host
 */
export function hostCheck({ host, allowedHosts }: HostOptions): (request: FastifyRequest) => void {
  if (allowedHosts.includes('*')) return () => {}
  const others = allowedHosts.map((text) => parseHost(text)!)
  const bound = canonical(host)
  const everywhere = bound === '0.0.0.0' || bound === '[::]'
  const own = isLoopback(host) ? [bound, ...loopback] : [bound, ...loopback, hostname().toLowerCase()]
  return ({ raw }) => {
    const { localAddress = '', localPort } = raw.socket
    const ours = [...own, canonical(localAddress)].map((name): HostAndPort => ({ name, port: localPort }))
    const answered = (target: HostAndPort): boolean =>
      [...ours, ...others].some(
        ({ name, port }) => name === target.name && (port ?? target.port) === target.port,
      )

    const { host: hosts = [], origin: origins = [] } = raw.headersDistinct
    const asked = hosts.length === 1 ? parseHost(hosts[0]!, 80) : undefined
    if (!asked || !(answered(asked) || (everywhere && others.length === 0)))
      throw refused(`to the host '${shown(hosts)}'`)
    for (const origin of origins) {
      const page = parseOrigin(origin)
      if (!page || !(answered(page) || page.name === asked.name))
        throw refused(`pages of '${shown([origin])}'`)
    }
  }
}

/** Whether only this machine can reach what listens there. */
export function isLoopback(host: string): boolean {
  const name = canonical(host)
  return loopback.includes(name) || /^127(\.\d+){3}$/.test(name)
}

/** A name or address and perhaps a port, as it stands in a Host header; undefined for anything else. */
export function parseHost(text: string, port?: number): HostAndPort | undefined {
  // URL takes more than that: users, paths, a missing name.
  const [, name, given] =
    /^([\w.-]+|\[[\da-f:.]+\]|[\da-f]*(?::[\da-f]*){2,})(?::(\d{1,5}))?$/i.exec(text) ?? []
  if (name === undefined || !URL.canParse(urlOf(name))) return undefined
  return { name: canonical(name), port: given === undefined ? port : Number(given) }
}

/** `https://llm.example.com`; undefined for `null` and what is no address. */
function parseOrigin(origin: string): HostAndPort | undefined {
  if (!URL.canParse(origin)) return undefined
  const { hostname: name, port, protocol } = new URL(origin)
  return { name: name.toLowerCase(), port: Number(port || (protocol === 'https:' ? 443 : 80)) }
}

/** One spelling of an address: `[0:0::1]` is `[::1]`, and IPv4 reached through an IPv6 socket is IPv4. */
function canonical(host: string): string {
  const name = host.replace(/^::ffff:(?=\d+\.)/i, '')
  return URL.canParse(urlOf(name)) ? new URL(urlOf(name)).hostname : name.toLowerCase()
}

function urlOf(name: string): string {
  return `http://${name.includes(':') && !name.startsWith('[') ? `[${name}]` : name}`
}

function refused(what: string): ApiError {
  const message = `this server does not answer ${what}: it is not in allowedHosts (--allowed-hosts)`
  return new ApiError(403, message, { code: 'host_not_allowed' })
}

function shown(texts: readonly string[]): string {
  return printable(texts.join(', '), 80)
}
