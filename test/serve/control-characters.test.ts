import { connect } from 'node:net'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { loadModel, type Model } from '../../src/inference/model.js'
import { type RunningServer, serve } from '../../src/serve/server.js'
import { writeTinyChat } from '../inference/tiny-chat.js'

const evil = 'a\u001b[31m\u009b2J\u202eb\r\nINJECTED'
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const raw = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/

let model: Model
let server: RunningServer
const logged: string[] = []

beforeAll(async () => {
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    logged.push(String(text))
    return true
  })
  model = await loadModel(writeTinyChat(), { device: 'cpu' })
  server = await serve(model, { port: 0, log: true })
})
afterAll(async () => {
  await server.close()
  model.close()
  vi.restoreAllMocks()
})

it.each([
  ['another model', { model: evil, messages: [{ role: 'user', content: 'Hi' }] }],
  ['a role', { model: 'x', messages: [{ role: evil, content: 'Hi' }] }],
  ['a temperature', { model: 'x', messages: [{ role: 'user', content: 'Hi' }], temperature: evil }],
])('an error body quotes nothing raw: %s', async (_, body) => {
  const response = await fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  expect(response.ok).toBe(false)
  expect(text).not.toMatch(raw)
  const { error } = JSON.parse(text) as { error: { message: string } }
  expect(error.message).toContain('INJECTED')
  expect(error.message).not.toMatch(raw)
  expect(error.message).not.toContain('\n')
})

it('the log holds JSON lines without control characters, whatever bytes a header has', async () => {
  const { port, hostname } = new URL(server.url)
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect(Number(port), hostname, () =>
      socket.write(
        Buffer.from('GET /health HTTP/1.1\r\nHost: a\u009b31m\r\nConnection: close\r\n\r\n', 'latin1'),
      ),
    )
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    socket.on('end', () => resolve(text)).on('error', reject)
  })
  expect(answer).not.toMatch(/[\u0080-\u009f]/)
  await vi.waitFor(() => expect(logged.join('')).toContain('31m'))
  const lines = logged.join('').trimEnd().split('\n')
  for (const line of lines) {
    expect(line).not.toMatch(raw)
    expect(() => JSON.parse(line)).not.toThrow()
  }
})
