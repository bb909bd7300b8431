/**
 * The process that owns a tokenizer. What comes with a model may loop for ever or fill the memory, and a worker thread
 * would not contain that: where one large allocation does not fit a thread's heap, V8 ends the whole process.
 */

import { isUserError, printable } from '../../errors.js'
import { bounded, TimeLimit } from './bounded.js'
import type { TokenizerFields } from './fields.js'
import { raisesTime, secondsToLoad } from './limits.js'
import { LoadedTokenizer } from './loaded.js'
import {
  type FromTokenizer,
  fileOf,
  type Request,
  type TokenizerSource,
  type ToTokenizer,
} from './protocol.js'
import { type Job, once, RoundRobin } from './round-robin.js'

const heartbeatMilliseconds = 500

// Whoever started this process ends it; a signal to the whole group, as Ctrl-C is, must not do so before.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
process.on('disconnect', () => process.exit())
const early: ToTokenizer[] = []
let take = (message: ToTokenizer): void => void early.push(message)
process.on('message', (message: ToTokenizer) => {
  if ('load' in message) void load(message.load, message.seconds)
  else take(message)
})

async function load(source: TokenizerSource, seconds: number): Promise<void> {
  const file = fileOf(source)
  try {
    const read = await readerOf(source)
    answer(
      bounded(() => new LoadedTokenizer(read()), secondsToLoad(seconds)),
      seconds,
    )
  } catch (error) {
    const failed =
      error instanceof TimeLimit
        ? `${file} takes more than ${secondsToLoad(seconds)} s to load; ${raisesTime}`
        : isUserError(error)
          ? error.message
          : `${file} is not a tokenizer that headzip can use: ${printable(String(error), 200)}`
    process.send?.({ failed } satisfies FromTokenizer, () => process.exit())
  }
}

/** GGUF's modules are loaded for GGUF files only. */
async function readerOf(source: TokenizerSource): Promise<() => TokenizerFields> {
  if ('gguf' in source) {
    const { ggufFields } = await import('./gguf-fields.js')
    return () => ggufFields(source.gguf)
  }
  const { folderFields } = await import('./folder-fields.js')
  return () => folderFields(source.folder)
}

function answer(tokenizer: LoadedTokenizer, seconds: number): void {
  const queue = new RoundRobin(seconds, ({ id }, outcome) => send({ id, ...outcome }))
  take = (message) => {
    if ('cancel' in message) queue.cancel(message.cancel)
    else if ('name' in message) queue.add(jobOf(tokenizer, message))
  }
  const beat = (): void => send({ alive: true })
  beat()
  setInterval(() => queue.idle || beat(), heartbeatMilliseconds)
  for (const message of early) take(message)
}

function send(message: FromTokenizer): void {
  process.send?.(message)
}

function jobOf(tokenizer: LoadedTokenizer, request: Request): Job {
  const { id } = request
  const { file } = tokenizer
  switch (request.name) {
    case 'encode': {
      const { text, special } = request.input
      const task = `tokenise a text of ${text.length} characters`
      return { id, file, task, characters: text.length, steps: tokenizer.encode(text, special) }
    }
    case 'decode': {
      const { ids, special } = request.input
      const task = `decode ${ids.length} tokens`
      return { id, file, task, characters: ids.length, steps: once(() => tokenizer.decode(ids, special)) }
    }
    case 'newText': {
      const { before, ids, last } = request.input
      const task = `decode ${ids.length} tokens`
      return { id, file, task, characters: ids.length, steps: tokenizer.newText(before, ids, last) }
    }
    case 'specialIds': {
      const steps = once(() => tokenizer.specialIds(request.input.tokens))
      return { id, file, task: 'look up tokens', characters: 0, steps }
    }
    case 'turns': {
      const at = tokenizer.chatTemplate?.file ?? file
      const steps = once(() => tokenizer.turns())
      return { id, file: at, task: 'render its chat template', characters: 0, steps }
    }
  }
}
