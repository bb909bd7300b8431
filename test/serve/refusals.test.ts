import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { profile, startServer, user } from './start.js'

const question = user(`${profile}\n\nWhat is my name?`)
const good = { model: 'nano', messages: [question] }

interface Envelope {
  error: { message: string; type: string; param: string | null; code: string | null }
}

describe('requests that cannot be answered', () => {
  const started = startServer({ maxNewTokens: 64, maxRequestBytes: 100_000 })

  it.each<[string, unknown, number, string, string | null]>([
    ['that are no JSON', '{"model": "nano",', 400, 'the request is not valid JSON', null],
    ['that are empty', '', 400, 'the request is not valid JSON', null],
    ['that are no object', '[1]', 400, 'the request must be a JSON object, got an array of 1', null],
    ['without a model', { messages: [question] }, 400, 'model is missing', 'model'],
    ['without messages', { model: 'nano' }, 400, 'messages is missing', 'messages'],
    [
      'with no message in the list',
      { ...good, messages: [] },
      400,
      'messages must be a list of one message or more, got an array of 0',
      'messages',
    ],
    [
      'with a message that has no content',
      { ...good, messages: [{ role: 'user' }] },
      400,
      'messages[0].content is missing',
      'messages[0].content',
    ],
    [
      'with content that is no text',
      { ...good, messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }] },
      400,
      'messages[0].content must be a string or a list of text parts, got an array of 1',
      'messages[0].content',
    ],
    [
      'of a role nobody has',
      { ...good, messages: [{ role: 'tool', content: 'x' }] },
      400,
      "messages[0].role must be system, developer, user or assistant, got 'tool'",
      'messages[0].role',
    ],
    [
      'that end with the assistant',
      { ...good, messages: [question, { role: 'assistant', content: 'Kim' }] },
      400,
      'the last message must be of the user',
      'messages',
    ],
    [
      'that begin with the assistant',
      { ...good, messages: [{ role: 'assistant', content: 'Kim' }, question] },
      400,
      "messages[0] is the assistant's, but no user has spoken before",
      null,
    ],
    ['of blanks', { ...good, messages: [user(' \n ')] }, 400, 'a message of the user is empty', 'messages'],
    [
      'for another model',
      { ...good, model: 'gpt-4' },
      404,
      'there is no model "gpt-4" here, only nano',
      'model',
    ],
    ['for two answers', { ...good, n: 2 }, 400, 'n must be 1: a request gets one answer, got 2', 'n'],
    [
      'for tools',
      { ...good, tools: [{ type: 'function' }] },
      400,
      'tools must be left out: tools are not supported, got an array of 1',
      'tools',
    ],
    [
      'for JSON',
      { ...good, response_format: { type: 'json_object' } },
      400,
      'response_format.type must be "text", the only format, got \'json_object\'',
      'response_format.type',
    ],
    [
      'with a misspelt field',
      { ...good, max_tokns: 5 },
      400,
      'max_tokns is not a field of a request here; did you mean max_tokens?',
      'max_tokns',
    ],
    [
      'with a field of nobody',
      { ...good, be_nice: true },
      400,
      'be_nice is not a field of a request here',
      'be_nice',
    ],
    [
      'with a misspelt field of a message',
      { ...good, messages: [{ ...question, contents: 'x' }] },
      400,
      'messages[0].contents is not a field of a request here; did you mean content?',
      'messages[0].contents',
    ],
    [
      'with a misspelt field of a text part',
      { ...good, messages: [{ role: 'user', content: [{ type: 'text', text: 'x', txt: 'y' }] }] },
      400,
      'messages[0].content[0].txt is not a field of a request here; did you mean text?',
      'messages[0].content[0].txt',
    ],
    [
      'with a misspelt option of a stream',
      { ...good, stream: true, stream_options: { include_usages: true } },
      400,
      'stream_options.include_usages is not a field of a request here; did you mean include_usage?',
      'stream_options.include_usages',
    ],
    ...['level', 'ratio', 'scores', 'selection', 'sink', 'recent', 'sweep'].map(
      (name): [string, unknown, number, string, string] => [
        `for another ${name} of eviction`,
        { ...good, [name]: 0.3 },
        400,
        `${name} is not a field of a request here: what is evicted is chosen when the server is started`,
        name,
      ],
    ),
    ...(
      [
        ['audio', { voice: 'alloy' }, 'left out: it is not supported, got an object'],
        ['frequency_penalty', 0.5, '0: penalties are not supported, got 0.5'],
        ['function_call', { name: 'f' }, '"none": tools are not supported, got an object'],
        ['functions', [{}], 'left out: tools are not supported, got an array of 1'],
        ['logit_bias', { 50256: -100 }, 'left out: it is not supported, got an object'],
        ['logprobs', true, 'left out: log probabilities are not returned, got true'],
        ['min_p', 0.05, '0: it is not supported, got 0.05'],
        ['moderation', {}, 'left out: it is not supported, got an object'],
        ['presence_penalty', -1, '0: penalties are not supported, got -1'],
        ['reasoning_effort', 'high', '"none": reasoning is not supported, got \'high\''],
        ['repetition_penalty', 1.1, '1: penalties are not supported, got 1.1'],
        ['store', true, 'false: no answer is stored, got true'],
        ['tool_choice', 'required', '"none": tools are not supported, got \'required\''],
        ['top_logprobs', 5, 'left out: log probabilities are not returned, got 5'],
        ['verbosity', 'low', "left out: it is not supported, got 'low'"],
        ['web_search_options', {}, 'left out: it is not supported, got an object'],
      ] as const
    ).map(([name, value, expected]): [string, unknown, number, string, string] => [
      `for ${name}`,
      { ...good, [name]: value },
      400,
      `${name} must be ${expected}`,
      name,
    ]),
    [
      'for speech',
      { ...good, modalities: ['text', 'audio'] },
      400,
      'modalities[1] must be "text", the only kind of answer, got \'audio\'',
      'modalities[1]',
    ],
    [
      'of several speakers',
      { ...good, messages: [{ ...question, name: 'Kim' }] },
      400,
      "messages[0].name must be left out: names of speakers are not supported, got 'Kim'",
      'messages[0].name',
    ],
    [
      'hotter than allowed',
      { ...good, temperature: 2.5 },
      400,
      'temperature must be a number from 0 to 2, got 2.5',
      'temperature',
    ],
    [
      'with a number written as text',
      { ...good, temperature: '0.5' },
      400,
      "temperature must be a number from 0 to 2, got '0.5'",
      'temperature',
    ],
    ['with a top_p of 0', { ...good, top_p: 0 }, 400, 'top_p must be a number in (0, 1], got 0', 'top_p'],
    [
      'for no token',
      { ...good, max_tokens: 0 },
      400,
      'max_tokens must be an integer from 1 to 64, got 0',
      'max_tokens',
    ],
    [
      'for more tokens than the server gives',
      { ...good, max_completion_tokens: 65 },
      400,
      'max_completion_tokens must be an integer from 1 to 64, got 65',
      'max_completion_tokens',
    ],
    [
      'with an empty stop string',
      { ...good, stop: ['a', ''] },
      400,
      'stop must be a string or a list of up to 16 strings, each of 1 to 256 characters, got an array of 2',
      'stop',
    ],
    [
      'larger than the limit',
      { ...good, context: 'x'.repeat(100_001) },
      413,
      'the request is larger than this server takes',
      null,
    ],
  ])('%s', async (_, body, status, message, param) => {
    const response = await started().post(body)
    const { error } = (await response.json()) as Envelope
    expect(error).toMatchObject({ message, param })
    expect(response.status).toBe(status)
  })

  it('with control characters for a field, which nobody gets to see', async () => {
    const { error } = (await (await started().post({ ...good, 'be\x1b[2Jnice': 1 })).json()) as Envelope
    expect(error.message).toMatch(/^be.*nice is not a field of a request here$/)
    expect(error.message + error.param).not.toContain('\x1b')
  })

  it('that need more positions than the model has, before anything is computed', async () => {
    const { client } = started()
    const long = client.chat.completions.create({
      ...good,
      messages: [user(`${'word '.repeat(9000)}\n\nWho?`)],
    })
    await expect(long).rejects.toMatchObject({
      status: 400,
      code: 'context_length_exceeded',
      param: 'messages',
    })
    await expect(long).rejects.toThrow(
      /^400 the messages have \d+ tokens, but nano has 8192 positions; fewer or shorter messages fit, or a rope_scaling of type yarn in its config\.json reaches further$/,
    )
  })

  it('of another content type, method or address', async () => {
    const { post, server } = started()
    const text = await post(good, { headers: { 'content-type': 'text/plain' } })
    expect([text.status, ((await text.json()) as Envelope).error.message]).toEqual([
      415,
      'the request must be JSON, with the content type application/json',
    ])
    const elsewhere = await fetch(`${server.url}/v1/completions`, { method: 'POST' })
    expect([elsewhere.status, ((await elsewhere.json()) as Envelope).error]).toMatchObject([
      404,
      { message: 'there is no POST /v1/completions here', type: 'invalid_request_error' },
    ])
  })

  it('that are not even HTTP', async () => {
    const { port, hostname } = new URL(started().server.url)
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), hostname, () => socket.end('squeak\r\n\r\n'))
      let text = ''
      socket.on('data', (data) => {
        text += data.toString()
      })
      socket.on('close', () => resolve(text))
      socket.on('error', reject)
    })
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/)
  })

  it('and the server goes on', async () => {
    const { choices } = await started().client.chat.completions.create(good)
    expect(choices[0]?.message.content).toBe('Kim')
  })
})

describe('a server with a key', () => {
  const apiKey = 'sk-a secret with spaces'
  const started = startServer({ apiKey })

  it.each([
    ['no key', undefined, 'an API key is needed: Authorization: Bearer <key>'],
    ['a wrong key', 'Bearer sk-another', 'the API key is wrong'],
    ['the beginning of the key', `Bearer ${apiKey.slice(0, -1)}`, 'the API key is wrong'],
    ['the key and more', `Bearer ${apiKey}x`, 'the API key is wrong'],
    ['another scheme', `Basic ${apiKey}`, 'an API key is needed: Authorization: Bearer <key>'],
  ])('refuses %s', async (_, authorization, message) => {
    const { server, post } = started()
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization }
    const models = await fetch(`${server.url}/v1/models`, { headers })
    expect(models.status).toBe(401)
    const response = await post(good, { headers: { 'content-type': 'application/json', ...headers } })
    expect(response.status).toBe(401)
    expect(((await response.json()) as Envelope).error).toMatchObject({ message, code: 'invalid_api_key' })
  })

  it('answers who has it, and tells anyone that it is well', async () => {
    const { client, server } = started()
    const { choices } = await client.chat.completions.create(good)
    expect(choices[0]?.message.content).toBe('Kim')
    const health = await fetch(`${server.url}/health`)
    expect(await health.json()).toMatchObject({ status: 'ok', model: 'nano', contexts: 1 })
  })
})
